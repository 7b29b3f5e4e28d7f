//! A process that decodes, as the worker sees it.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use tracing::debug;

use super::apart::READY;
use super::{DecodersConfig, NotDecoded, Poison};
use crate::decode::wire::{receive_reply, send_picture};
use crate::decode::{DecodeLimits, InputSize, Pixels, Undecodable};
use crate::metrics::Metrics;

/// Processes that one picture may kill. The first may have died of something else: of what it did before, of
/// a machine that is short of memory, or a while ago, unnoticed.
const TRIES: u32 = 2;

/// What Rust says last when it is given no memory.
const NO_MEMORY: &str = "memory allocation of";

/// A picture that was larger than this is not kept room for.
const KEPT_BYTES: u64 = 1 << 20;

/// What a process is started with.
#[derive(Clone, Debug)]
pub struct Plan {
    program: PathBuf,
    arguments: Vec<String>,
    sizes: Vec<InputSize>,
    timeout: Duration,
}

impl Plan {
    /// A process for models that look at `sizes`.
    pub fn new(sizes: &[InputSize], limits: &DecodeLimits, config: &DecodersConfig) -> Self {
        let mut sizes = sizes.to_vec();
        sizes.sort_unstable();
        sizes.dedup();
        let mut arguments = vec!["decode-apart".to_owned()];
        let numbers = [
            ("--max-pixels", limits.max_pixels),
            ("--max-memory-bytes", limits.max_memory_bytes),
            ("--max-address-space", config.max_address_space),
        ];
        arguments.extend(numbers.iter().flat_map(|(name, value)| [(*name).to_owned(), value.to_string()]));
        arguments.extend(sizes.iter().map(|size| format!("--size={}x{}", size.height, size.width)));
        let own = config.program.as_os_str().is_empty();
        // Not its name: another version may have taken its place by now.
        let program = if own { "/proc/self/exe".into() } else { config.program.clone() };
        Self { program, arguments, sizes, timeout: config.timeout }
    }
}

/// A process that decodes one picture after the other, and its successors.
pub struct DecodeProcess {
    plan: Plan,
    running: Option<Running>,
    metrics: Metrics,
}

/// How a process answered.
enum Answer {
    Decoded(Result<Pixels, Undecodable>),
    Late,
    Gone,
}

impl DecodeProcess {
    /// One that is started when there is a picture.
    pub fn new(plan: Plan, metrics: Metrics) -> Self {
        Self { plan, running: None, metrics }
    }

    /// The id of the process that is there now; none before the first picture, and where the last one died.
    pub fn id(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.child.id())
    }

    /// Decodes one picture, as [`crate::decode::Decoder::decode`] does. Blocks until it is done, or for
    /// as long as a picture may take.
    ///
    /// # Errors
    ///
    /// Whatever the decoder says, what the picture did to it, or that there is none.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<Pixels, NotDecoded> {
        let mut last_words = String::new();
        for _ in 0..TRIES {
            let mut running = match self.running.take() {
                Some(running) => running,
                None => {
                    Running::start(&self.plan).map_err(|error| NotDecoded::NoDecoder(error.to_string()))?
                }
            };
            match running.ask(&self.plan, bytes) {
                Answer::Decoded(end) => {
                    self.running = Some(running);
                    return Ok(end?);
                }
                Answer::Late => {
                    drop(running);
                    let poison = Poison::TimedOut(self.plan.timeout);
                    self.metrics.decoder_lost(poison.reason());
                    return Err(poison.into());
                }
                Answer::Gone => last_words = running.last_words(),
            }
            debug!(last_words, "a process that decodes has died");
            self.metrics.decoder_lost(died_of(last_words.clone()).reason());
        }
        Err(died_of(last_words).into())
    }
}

fn died_of(last_words: String) -> Poison {
    if last_words.contains(NO_MEMORY) { Poison::OutOfMemory(last_words) } else { Poison::Killed(last_words) }
}

/// A process, until it is dropped.
struct Running {
    child: Child,
    socket: UnixStream,
    /// Where pictures and planes are handed over: see [`crate::decode::wire`].
    between: File,
}

impl Running {
    fn start(plan: &Plan) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let between = File::from(memfd_create("picture", MemfdFlags::CLOEXEC)?);
        let child = Command::new(&plan.program)
            .args(&plan.arguments)
            // It needs no passwords. Memory that is only reserved counts as address space, too.
            .env_clear()
            .env("MIMALLOC_ARENA_RESERVE", "16MiB")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(OwnedFd::from(between.try_clone()?)))
            .stderr(Stdio::piped())
            .spawn()?;
        let running = Self { child, socket, between };
        // One that cannot even begin has seen no picture: none is to blame.
        let mut ready = [0];
        match Until::new(&running.socket, plan.timeout).read_exact(&mut ready) {
            Ok(()) if ready == [READY] => Ok(running),
            Ok(()) => Err(io::Error::other("another version of tagfleet-worker, or none")),
            Err(error) => Err(io::Error::new(error.kind(), running.last_words())),
        }
    }

    fn ask(&mut self, plan: &Plan, bytes: &[u8]) -> Answer {
        let mut until = Until::new(&self.socket, plan.timeout);
        let answer = send_picture(&mut until, &self.between, bytes)
            .and_then(|()| receive_reply(BufReader::new(&mut until), &self.between, &plan.sizes));
        if bytes.len() as u64 > KEPT_BYTES {
            // It only takes more memory if it cannot be made shorter.
            let _ = self.between.set_len(0);
        }
        match answer {
            Ok(end) => Answer::Decoded(end),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Answer::Late,
            Err(_) => Answer::Gone,
        }
    }

    /// How it died, and the last that it said, for a person and for [`NO_MEMORY`].
    fn last_words(mut self) -> String {
        // It has closed its socket, so it is dead or does not speak our language.
        let _ = self.child.kill();
        let status = self.child.wait();
        let mut said = String::new();
        if let Some(stderr) = self.child.stderr.take() {
            let _ = stderr.take(1000).read_to_string(&mut said);
        }
        format!("{} {}", status.map_or_else(|error| error.to_string(), ended), said.trim()).trim().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ended(status: ExitStatus) -> String {
    status.to_string()
}

/// A socket that answers before a deadline, or says that it did not: `TimedOut`.
struct Until<'a> {
    socket: &'a UnixStream,
    timeout: Duration,
    deadline: Instant,
}

impl<'a> Until<'a> {
    fn new(socket: &'a UnixStream, timeout: Duration) -> Self {
        Self { socket, timeout, deadline: Instant::now() + timeout }
    }

    fn left(&mut self, now: Instant) -> io::Result<Option<Duration>> {
        /// Whoever waits for a deadline wakes up sooner behind it.
        const OVERSLEPT: Duration = Duration::from_secs(1);
        if now > self.deadline + OVERSLEPT {
            // This process was stopped itself, and perhaps the other one with it: the picture is not to blame.
            self.deadline = now + self.timeout;
        }
        match self.deadline.checked_duration_since(now) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.socket.set_read_timeout(self.left(Instant::now())?)?;
            match self.socket.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}

impl Write for Until<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        loop {
            self.socket.set_write_timeout(self.left(Instant::now())?)?;
            match self.socket.write(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker that was stopped for a while does not blame the picture that it had in its hands.
    #[test]
    fn a_deadline_that_was_overslept_begins_anew() {
        const TIMEOUT: Duration = Duration::from_secs(30);
        let (socket, _other) = UnixStream::pair().unwrap();
        let mut until = Until::new(&socket, TIMEOUT);
        let (deadline, second) = (until.deadline, Duration::from_secs(1));

        assert_eq!(until.left(deadline - second).unwrap(), Some(second));
        assert!(until.left(deadline + second / 2).is_err(), "it was waited for");
        assert_eq!(until.left(deadline + 40 * second).unwrap(), Some(TIMEOUT));
        assert!(until.left(deadline + 70 * second).is_err());
    }
}
