//! What workers tell of themselves in the table `worker_reports`: written by workers, read by schedulers and consoles.
//! Versions differ during a roll-out: a field is only ever added, with a default.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{ImageId, ScrapeId};

/// One lane, as one worker sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LaneReport {
    /// Jobs at work, held or waiting for their host.
    pub at_work: i64,
    /// Jobs that came to their end since the worker started.
    pub ended: u64,
    /// Jobs that came to their end per second, since the report before.
    pub per_second: f64,
    /// Whether the worker believes that it is a consumer of the lane.
    pub receiving: bool,
}

/// What came of the jobs of one worker within the last quarter of an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndingsReport {
    /// Jobs that came to their end.
    pub ended: u64,
    /// Of these, those that were skipped, and not because a newer scrape had overtaken theirs.
    pub skipped: u64,
    /// Those with the defaults.
    pub defaulted: u64,
    /// Pictures that the models have an answer for,
    pub inferred: u64,
    /// and those that they failed on.
    pub failed: u64,
}

impl EndingsReport {
    /// Adds what another worker tells.
    pub fn add(&mut self, other: Self) {
        self.ended += other.ended;
        self.skipped += other.skipped;
        self.defaulted += other.defaulted;
        self.inferred += other.inferred;
        self.failed += other.failed;
    }

    /// What came since `before`. Counters never fall.
    pub fn since(self, before: Self) -> Self {
        Self {
            ended: self.ended - before.ended,
            skipped: self.skipped - before.skipped,
            defaulted: self.defaulted - before.defaulted,
            inferred: self.inferred - before.inferred,
            failed: self.failed - before.failed,
        }
    }
}

/// An image that was skipped or defaulted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailedImage {
    /// When its work ended.
    pub at: Timestamp,
    /// `skipped` or `defaulted`.
    pub outcome: String,
    /// Why, in one word.
    pub reason: String,
    /// The scrape that listed it.
    pub scrape_id: ScrapeId,
    /// The image.
    pub image_id: ImageId,
    /// Its host; never the URL, which may hold a secret.
    #[serde(default)]
    pub host: String,
}
