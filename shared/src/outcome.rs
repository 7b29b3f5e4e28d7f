//! Outcomes: the one end that every image of every scrape comes to.

use std::fmt;

/// How the work on one image ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OutcomeKind {
    /// The models ran on it.
    Inferred,
    /// Its tags were known from before.
    Cached,
    /// The same bytes were known under another key.
    Matched,
    /// It cannot be had.
    Skipped,
    /// Nobody can say what it shows: the defaults stand in.
    Defaulted,
}

impl OutcomeKind {
    /// Every outcome, in the order of `scrape.tagged`.
    pub const ALL: [Self; 5] = [Self::Inferred, Self::Cached, Self::Matched, Self::Skipped, Self::Defaulted];

    /// The outcome's word in events, metrics and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inferred => "inferred",
            Self::Cached => "cached",
            Self::Matched => "matched",
            Self::Skipped => "skipped",
            Self::Defaulted => "defaulted",
        }
    }
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The reason of an image whose scrape was overtaken by a newer one.
pub const SUPERSEDED: &str = "superseded";

/// The reason of an image that nobody shows any more: see `image.changed`.
pub const REMOVED: &str = "removed";

/// The reasons of a defaulted image whose job was parked: it lies in the dead-letter
/// queue, and may be sent back from there.
pub const PARKED: [&str; 6] =
    ["killed_worker", "killed_decoder", "decode_timeout", "decode_memory", "panicked", "unrecordable"];
