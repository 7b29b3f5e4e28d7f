//! The threads that turn bytes into pixels, each with a process that does it.
//!
//! The pictures come from strangers, and most of what decodes them is written in languages in which a
//! mistake is a crash. So it happens in processes that may die, hang or run out of memory: that is one
//! bad picture, and the worker and all its other jobs know nothing of it. It costs a copy of the file
//! and one of the pixels for each picture.

mod apart;
mod process;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

pub use self::apart::ApartArgs;
pub use self::process::{DecodeProcess, Plan};
use crate::batch::Batcher;
use crate::decode::{DecodeLimits, Decoder, InputSize, Pixels, Undecodable};
use crate::metrics::{Metrics, Stage};

/// How the processes that decode are kept within bounds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecodersConfig {
    /// Whether there are any. Without, the threads of the worker decode, and nothing here holds.
    pub isolated: bool,
    /// Their program, a `tagfleet-worker`; empty for the one that runs.
    pub program: PathBuf,
    /// The longest that one picture may take, from its bytes to its pixels.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Address space of each, in bytes.
    pub max_address_space: u64,
}

impl DecodersConfig {
    /// See [`tagfleet_shared::config::Check`].
    pub fn check(&self, problems: &mut Vec<String>) {
        if self.timeout.is_zero() {
            problems.push("decoders.timeout must be longer than nothing".into());
        }
        if self.max_address_space < MIN_ADDRESS_SPACE {
            problems.push(format!(
                "decoders.max_address_space must be at least {MIN_ADDRESS_SPACE}, or the program itself finds no room"
            ));
        }
    }
}

/// What the program takes without a picture is less than half of this.
const MIN_ADDRESS_SPACE: u64 = 128 << 20;

/// What a picture did to the process that decoded it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Poison {
    /// It died, and a fresh one as well.
    #[error("it killed the process that decoded it, twice: {0}")]
    Killed(String),
    /// It was not done in time.
    #[error("it was not decoded within {0:?}")]
    TimedOut(Duration),
    /// It ran out of memory, though the header of the picture promised that it would not.
    #[error("decoding it took more memory than a process has, twice: {0}")]
    OutOfMemory(String),
}

impl Poison {
    /// Short, stable word: a value in the database, a metric label and the reason of a dead letter,
    /// so never rename one.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Killed(_) => "killed_decoder",
            Self::TimedOut(_) => "decode_timeout",
            Self::OutOfMemory(_) => "decode_memory",
        }
    }
}

/// Why there are no pixels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDecoded {
    /// The picture is to blame, and a decoder says why.
    #[error(transparent)]
    Undecodable(#[from] Undecodable),
    /// The picture is to blame, and no decoder lived to say why.
    #[error(transparent)]
    Poison(#[from] Poison),
    /// Nothing is to be had that could decode it: the machine is unwell.
    #[error("no process that decodes can be started: {0}")]
    NoDecoder(String),
}

/// A pool of threads called `decode`, each with its own process, or all with one [`Decoder`] and its memory.
///
/// Decoding is the larger half of the work on a CPU; on threads of its own it
/// never holds up the tasks that download.
pub struct DecodeThreads {
    threads: Batcher<Bytes, Result<Pixels, NotDecoded>>,
}

impl DecodeThreads {
    /// Starts `threads` of them, for models that look at `sizes`.
    ///
    /// # Errors
    ///
    /// If the operating system gives no more threads. Processes are started when they are needed.
    pub fn start(
        threads: usize,
        sizes: &[InputSize],
        limits: &DecodeLimits,
        decoders: &DecodersConfig,
        metrics: &Metrics,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Decoder::new(sizes.to_vec(), limits.clone()));
        let handlers = (0..threads).map(|_| {
            let mut decode: Decode = if decoders.isolated {
                let mut process = DecodeProcess::new(Plan::new(sizes, limits, decoders), metrics.clone());
                Box::new(move |bytes| process.decode(bytes))
            } else {
                let decoder = shared.clone();
                Box::new(move |bytes| Ok(decoder.decode(bytes)?))
            };
            let metrics = metrics.clone();
            move |images: Vec<Bytes>| {
                let timed = |bytes: Bytes| {
                    let _timer = metrics.stage(Stage::Decode, 1);
                    decode(&bytes)
                };
                images.into_iter().map(timed).collect()
            }
        });
        // One at a time: pictures differ too much in size to be dealt out in advance.
        Ok(Self { threads: Batcher::on_threads("decode", handlers, 1)? })
    }

    /// Decodes one picture; waits its turn.
    ///
    /// # Errors
    ///
    /// If it is not a picture that can be read within the limits, or nothing can decode it now.
    pub async fn decode(&self, bytes: Bytes) -> Result<Pixels, NotDecoded> {
        self.threads.ask(bytes).await.unwrap_or(Err(Undecodable::Panicked.into()))
    }
}

type Decode = Box<dyn FnMut(&[u8]) -> Result<Pixels, NotDecoded> + Send>;

#[cfg(test)]
mod tests {
    use super::*;
    use tagfleet_shared::outcome::PARKED;

    /// The scheduler takes the outcome of a parked job away by its reason.
    #[test]
    fn the_jobs_of_poison_are_parked() {
        let said = String::new;
        let all = [Poison::Killed(said()), Poison::TimedOut(Duration::ZERO), Poison::OutOfMemory(said())];
        assert!(all.iter().all(|poison| PARKED.contains(&poison.reason())));
    }
}
