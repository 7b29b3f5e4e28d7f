//! Why a picture cannot be decoded.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The bytes arrived but they give no picture. Final: they never will.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Undecodable {
    /// No bytes at all.
    #[error("no bytes")]
    Empty,
    /// Not one of the formats that begin with a known signature: an HTML page, JSON, text.
    #[error("not an image")]
    NotAnImage,
    /// An image in a format that the fleet does not read.
    #[error("{0} is not a supported format")]
    UnsupportedFormat(Cow<'static, str>),
    /// The header claims more pixels than allowed.
    #[error("{width}x{height} is more than {limit} pixels")]
    TooManyPixels {
        /// As the header has it.
        width: u32,
        /// As the header has it.
        height: u32,
        /// The limit, in pixels.
        limit: u64,
    },
    /// Few enough pixels, but of a kind that takes too much memory to decode.
    #[error("decoding would take more than {limit} bytes")]
    TooMuchMemory {
        /// The limit, in bytes.
        limit: u64,
    },
    /// A progressive JPEG that would take long to decode.
    #[error("{scans} scans are too many for its size")]
    TooManyScans {
        /// The scans in the file.
        scans: u32,
    },
    /// The file is damaged, or uses a feature that no decoder here knows.
    #[error("corrupt: {0}")]
    Corrupt(String),
    /// A decoder panicked.
    #[error("the decoder panicked")]
    Panicked,
}

impl Undecodable {
    /// Short, stable word: a metric label and a database value, so never rename one.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotAnImage => "unknown_format",
            Self::UnsupportedFormat(_) => "unsupported_format",
            Self::TooManyPixels { .. } => "too_many_pixels",
            Self::TooMuchMemory { .. } => "too_much_memory",
            Self::TooManyScans { .. } => "too_many_scans",
            Self::Corrupt(_) | Self::Panicked => "undecodable",
        }
    }

    pub(super) fn corrupt(why: impl std::fmt::Display) -> Self {
        Self::Corrupt(why.to_string())
    }
}
