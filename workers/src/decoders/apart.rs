//! The process that decodes: `tagfleet-worker decode-apart`, started by a worker and by nobody else.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use anyhow::Context;
use clap::Args;
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};

use crate::decode::wire::{receive_picture, send_reply};
use crate::decode::{DecodeLimits, Decoder, InputSize};

/// What a process says first, when it is bound to its limits.
pub(super) const READY: u8 = b'r';

/// A file that was larger than this is not kept room for.
const KEPT_BYTES: usize = 1 << 20;

/// What a worker tells the process about its work. See [`super::Plan`].
#[derive(Debug, Args)]
pub struct ApartArgs {
    /// See `decode.max_pixels`.
    #[arg(long)]
    max_pixels: u64,
    /// See `decode.max_memory_bytes`.
    #[arg(long)]
    max_memory_bytes: u64,
    /// See `decoders.max_address_space`.
    #[arg(long)]
    max_address_space: u64,
    /// An input size of the models, `HEIGHTxWIDTH`.
    #[arg(long = "size", value_parser = size)]
    sizes: Vec<InputSize>,
}

impl ApartArgs {
    /// Decodes what is announced by stdin, which is a socket, and answers there, until nothing comes any
    /// more. Pictures and planes are handed over in stdout, which is a file in memory.
    ///
    /// # Errors
    ///
    /// If it cannot bind itself to its limits, or the worker hangs up.
    pub fn run(self) -> anyhow::Result<()> {
        let space = Some(self.max_address_space);
        setrlimit(Resource::As, Rlimit { current: space, maximum: space }).context("the address space")?;
        // Whoever hangs in a picture does not hear that the worker is gone.
        set_parent_process_death_signal(Some(Signal::Kill)).context("the worker's death")?;
        // A machine or a container that is short of memory rather loses this process than the worker.
        let _ = std::fs::write("/proc/self/oom_score_adj", "500");
        // What is written there is what the worker reads when this process has died.
        std::panic::set_hook(Box::new(|_| {}));

        let mut socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
        let between = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
        let limits = DecodeLimits { max_pixels: self.max_pixels, max_memory_bytes: self.max_memory_bytes };
        let decoder = Decoder::new(self.sizes, limits);
        socket.write_all(&[READY]).context("the worker")?;
        let mut bytes = Vec::new();
        while receive_picture(&mut socket, &between, &mut bytes)? {
            send_reply(&mut socket, &between, &decoder.decode(&bytes))?;
            bytes.truncate(KEPT_BYTES);
            bytes.shrink_to(KEPT_BYTES);
        }
        Ok(())
    }
}

fn size(text: &str) -> Result<InputSize, String> {
    let sides =
        text.split_once('x').and_then(|(height, width)| Some((height.parse().ok()?, width.parse().ok()?)));
    sides
        .map(|(height, width)| InputSize { height, width })
        .ok_or_else(|| format!("{text} is not HEIGHTxWIDTH"))
}
