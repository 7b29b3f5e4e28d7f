//! What the models say of a picture.
//!
//! A model set is a folder: `manifest.toml` and the ONNX files that it names
//! ([`ModelSet`]). The attributes, their classes and their defaults come from
//! there, not from code. [`Runtime`] is ONNX Runtime and the device it computes
//! on; [`OnnxModel`] is the set, loaded; a [`Loader`] makes it ready, and tests it
//! with the pictures that the set ships.

mod answer;
mod device;
mod embedding;
mod graph;
mod hierarchy;
mod load;
mod manifest;
mod onnx;
mod runtime;
mod selftest;
#[cfg(test)]
mod tests;

pub use self::answer::Answer;
pub use self::device::{Device, UnknownDevice};
pub use self::embedding::Embedding;
pub use self::load::{Loaded, Loader};
pub use self::manifest::{Attribute, Condition, FeedExclude, Input, ManifestError, ModelSet, Stage};
pub use self::onnx::{LoadError, OnnxModel};
pub use self::runtime::{Runtime, RuntimeConfig, RuntimeError};
pub use self::selftest::Example;
use crate::decode::{InputSize, Pixels};

/// A loaded model set. Blocking and for one thread: it lives on a thread of its
/// own, behind a batcher.
pub trait Model: Send + 'static {
    /// Tags every picture of `batch`: one answer each, in the same order.
    ///
    /// # Errors
    ///
    /// Fails for the batch as a whole; the answers of none are known then.
    fn run(&mut self, batch: &[&Pixels]) -> Result<Vec<Answer>, ModelError>;
}

/// Why a batch has no answers.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A picture was not decoded for this model set.
    #[error("stage {stage}: a picture has no plane of {}x{}", size.height, size.width)]
    NoPlane {
        /// The stage that wanted it.
        stage: String,
        /// The size it wanted.
        size: InputSize,
    },
    /// ONNX Runtime failed.
    #[error("stage {stage}: {error}")]
    Run {
        /// The stage that ran.
        stage: String,
        /// What ONNX Runtime says.
        error: ort::Error,
    },
    /// The graph gave a number of logits that cannot be right.
    #[error("stage {stage}: {found} logits in {output}, not {expected}")]
    Output {
        /// The stage that ran.
        stage: String,
        /// The output.
        output: String,
        /// Logits in it, over all pictures.
        found: usize,
        /// Pictures times classes.
        expected: usize,
    },
    /// The graph gave something else than an embedding for each picture.
    #[error("stage {stage}: {output} is {found:?}, not an embedding for each of {pictures} pictures")]
    Embedding {
        /// The stage that ran.
        stage: String,
        /// The output.
        output: String,
        /// Its shape.
        found: Vec<i64>,
        /// Pictures in the run.
        pictures: usize,
    },
    /// A logit that counts is infinite or not a number: the model overflowed, and
    /// has said nothing of that picture.
    #[error("stage {stage}: a logit in {output} is not finite")]
    NotFinite {
        /// The stage that ran.
        stage: String,
        /// The output.
        output: String,
    },
}
