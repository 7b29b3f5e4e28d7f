//! The threads that turn bytes into pixels.

use std::sync::Arc;

use bytes::Bytes;

use crate::batch::Batcher;
use crate::decode::{DecodeLimits, Decoder, InputSize, Pixels, Undecodable};
use crate::metrics::{Metrics, Stage};

/// A pool of threads called `decode`, which share a [`Decoder`] and its memory.
///
/// Decoding is the larger half of the work on a CPU; on threads of its own it
/// never holds up the tasks that download.
pub struct DecodeThreads {
    threads: Batcher<Bytes, Result<Pixels, Undecodable>>,
}

impl DecodeThreads {
    /// Starts `threads` of them, for models that look at `sizes`.
    ///
    /// # Errors
    ///
    /// If the operating system gives no more threads.
    pub fn start(
        threads: usize,
        sizes: &[InputSize],
        limits: &DecodeLimits,
        metrics: &Metrics,
    ) -> std::io::Result<Self> {
        let decoder = Arc::new(Decoder::new(sizes.to_vec(), limits.clone()));
        let handlers = (0..threads).map(|_| {
            let (decoder, metrics) = (decoder.clone(), metrics.clone());
            move |images: Vec<Bytes>| {
                let decode = |bytes: Bytes| {
                    let _timer = metrics.stage(Stage::Decode, 1);
                    decoder.decode(&bytes)
                };
                images.into_iter().map(decode).collect()
            }
        });
        // One at a time: pictures differ too much in size to be dealt out in advance.
        Ok(Self { threads: Batcher::on_threads("decode", handlers, 1)? })
    }

    /// Decodes one picture; waits its turn.
    ///
    /// # Errors
    ///
    /// If it is not a picture that can be read within the limits.
    pub async fn decode(&self, bytes: Bytes) -> Result<Pixels, Undecodable> {
        self.threads.ask(bytes).await.unwrap_or(Err(Undecodable::Panicked))
    }
}
