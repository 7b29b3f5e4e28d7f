//! The model set that answers, and how another takes its place.
//!
//! A job asks for the set once, when it begins, and keeps it to its end: its
//! caches, its input sizes, its models, its defaults and its name in the row are
//! of one set. A set that was replaced goes when its last job has ended.

mod load;
mod register;
mod reload;

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use tagfleet_download::permits::Permits;
use tagfleet_shared::failpoint::{self, Point};
use tagfleet_shared::ids::BytesHash;
use tagfleet_shared::lane::Lane;
use tagfleet_shared::tags::Tags;
use tagfleet_shared::traces::TARGET;
use tracing::{Instrument, info_span};

pub use self::load::SetLoader;
pub use self::register::register;
pub use self::reload::Reloader;
use crate::decoders::DecodeThreads;
use crate::inference::Inference;
use crate::known::KnownImages;
use crate::metrics::Metrics;
use crate::outcome::{Known, Stop};

/// A model set at work, and everything that belongs to it alone.
pub struct SetAtWork {
    /// What the manifest calls it.
    pub name: String,
    /// Tells it from every other: see [`ModelSet::digest`](crate::model::ModelSet::digest).
    pub digest: String,
    /// What its models run on.
    pub provider: String,
    /// Its short name in the database; 0 where there is none.
    pub id: i32,
    /// Every attribute with its default.
    pub defaults: Tags,
    /// What it said, in two tiers.
    pub known: KnownImages,
    /// A permit for each picture that is decoded or looked at, which the lanes share: nobody
    /// waits at these threads behind all the pictures of a large scrape.
    pub looks: Permits,
    /// The threads that decode for its input sizes.
    pub decoder: DecodeThreads,
    /// The threads that run its models.
    pub models: Inference,
}

impl SetAtWork {
    /// Decodes the picture with these `bytes`, and asks the models. What is `held` for the bytes is
    /// given back when there are pixels.
    ///
    /// # Errors
    ///
    /// Whatever keeps decoders or models from their answer.
    pub async fn look<H>(&self, lane: Lane, hash: BytesHash, bytes: Bytes, held: H) -> Result<Known, Stop> {
        let _permit = self.looks.take(lane).await.expect("nobody cuts these lines");
        let pixels = self.decoder.decode(bytes).instrument(info_span!(target: TARGET, "decode")).await?;
        drop(held);
        failpoint::here(Point::Decoded);
        let (width, height) = (pixels.width(), pixels.height());
        let answer = self.models.infer(pixels).instrument(info_span!(target: TARGET, "infer")).await?;
        failpoint::here(Point::Inferred);
        Ok(Known { answer, bytes: hash, width, height, last_look: None })
    }
}

/// The set that jobs begin with.
pub struct Sets {
    now: RwLock<Arc<SetAtWork>>,
    metrics: Metrics,
}

impl Sets {
    /// Begins with `first`.
    pub fn new(first: SetAtWork, metrics: Metrics) -> Self {
        metrics.models_loaded(&first.name, &first.digest, &first.provider);
        Self { now: RwLock::new(Arc::new(first)), metrics }
    }

    /// The set for a job that begins now.
    pub fn now(&self) -> Arc<SetAtWork> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on jobs begin with `next`.
    pub fn switch(&self, next: SetAtWork) {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        self.metrics.models_loaded(&next.name, &next.digest, &next.provider);
        let before = std::mem::replace(&mut *now, Arc::new(next));
        drop(now);
        // Not under the lock: its caches may be large.
        drop(before);
    }
}
