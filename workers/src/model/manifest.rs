//! `manifest.toml`: what a model set is made of.

mod check;
mod read;
mod section;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tagfleet_shared::tags::Tags;

pub(super) use self::read::read;
use self::read::read_text;
use super::Example;
use super::hierarchy::is_within;
use crate::decode::InputSize;

/// A model set, as its manifest describes it. The files are there and are what
/// the manifest says; whether their graphs are, [`OnnxModel`](super::OnnxModel) checks.
#[derive(Clone, Debug, Default)]
pub struct ModelSet {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) card: Option<String>,
    pub(super) digest: String,
    pub(super) stages: Vec<Stage>,
    pub(super) examples: Vec<Example>,
    pub(super) feed_exclude: FeedExclude,
}

/// One ONNX file and what is read from it.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Unique in the set.
    pub name: String,
    /// The ONNX file.
    pub file: PathBuf,
    /// What the graph takes.
    pub input: Input,
    /// The stage runs only for images to which earlier stages gave these values.
    pub runs_when: Option<Condition>,
    /// In the order in which they are decided.
    pub attributes: Vec<Attribute>,
    /// The output of the graph that holds an embedding of each picture, `float [N, D]`
    /// or `float16 [N, D]`. One stage of a set has one at most.
    pub embedding: Option<String>,
}

/// The input of a graph: `uint8 [N, height, width, 3]`, RGB.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its name in the graph.
    pub name: String,
    /// Height and width.
    pub size: InputSize,
}

/// Something that a model says of an image.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// Unique in the set: the key in [`Tags`].
    pub name: String,
    /// The output of the graph that holds its logits, `float [N, classes]`.
    pub output: String,
    /// The values, in the order of the logits. `a/b` is a kind of `a`.
    pub classes: Vec<String>,
    /// The value of an image of which the models could say nothing.
    pub default: Option<String>,
    /// A best class with a lower probability than this is no answer: the value is
    /// the nearest above it that is as likely, with all that lies within, else null.
    pub min_score: Option<f32>,
    /// The same for one value alone, in place of `min_score`: models know some
    /// classes better than others.
    pub min_scores: BTreeMap<String, f32>,
    /// Asked only of images to which earlier attributes gave these values;
    /// of others the value is null and there is no score.
    pub applies_when: Option<Condition>,
}

/// For each attribute named, the values of which it must have one, or one that
/// lies within.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition(pub BTreeMap<String, Vec<String>>);

impl Condition {
    /// Whether `tags` are as the condition wants them.
    pub fn holds(&self, tags: &Tags) -> bool {
        self.0.iter().all(|(attribute, values)| {
            tags.get(attribute).is_some_and(|value| values.iter().any(|wanted| is_within(value, wanted)))
        })
    }
}

/// Which images do not belong into a marketing feed: those that have one of these
/// values, or one that lies within, in any of these attributes.
pub type FeedExclude = BTreeMap<String, Vec<String>>;

/// Everything that is wrong with a model set.
#[derive(Debug, thiserror::Error)]
#[error("the model set in {} has {} problem{}:\n  {}",
    .dir.display(), .problems.len(), if .problems.len() == 1 { "" } else { "s" }, .problems.join("\n  "))]
pub struct ManifestError {
    /// The folder.
    pub dir: PathBuf,
    /// One line each, with its place in the manifest.
    pub problems: Vec<String>,
}

impl ModelSet {
    /// Reads and checks the model set in the folder `dir`.
    ///
    /// # Errors
    ///
    /// Lists every problem: nobody should have to fix one and meet the next.
    pub fn load(dir: &Path) -> Result<Self, ManifestError> {
        Self::checked(read(dir), dir)
    }

    /// The same, of a manifest that was read already; `dir` has the files that it names.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn of_manifest(text: &str, dir: &Path) -> Result<Self, ManifestError> {
        Self::checked(read_text(text, dir), dir)
    }

    fn checked((set, problems): (Self, Vec<String>), dir: &Path) -> Result<Self, ManifestError> {
        if problems.is_empty() { Ok(set) } else { Err(ManifestError { dir: dir.into(), problems }) }
    }

    /// What the manifest calls it: for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the manifest says of it, for people.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The card beside its manifest: what it can and cannot do, as Markdown.
    pub fn card(&self) -> Option<&str> {
        self.card.as_deref()
    }

    /// Tells this set from every other: 32 hex digits, from the SHA-256 of the
    /// manifest and of every file that it names.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The stages, in the order in which they run.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// Whether a stage has an embedding.
    pub fn has_embedding(&self) -> bool {
        self.stages.iter().any(|stage| stage.embedding.is_some())
    }

    /// Which images are not for a marketing feed.
    pub fn feed_exclude(&self) -> &FeedExclude {
        &self.feed_exclude
    }

    /// The pictures that it is tested with before it answers.
    pub fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// The same set, but without thresholds: of every attribute that applies it says
    /// the likeliest class. For comparing what it says of two pictures.
    #[must_use]
    pub fn without_thresholds(mut self) -> Self {
        for attribute in self.stages.iter_mut().flat_map(|stage| &mut stage.attributes) {
            attribute.min_score = None;
            attribute.min_scores.clear();
        }
        self
    }

    /// The attributes of all stages, in the order in which they are decided.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.stages.iter().flat_map(|stage| &stage.attributes)
    }

    /// Every attribute with its default, null where it has none.
    pub fn defaults(&self) -> Tags {
        self.attributes().map(|attribute| (attribute.name.clone(), attribute.default.clone())).collect()
    }

    /// The sizes that pictures are wanted in, each once.
    pub fn input_sizes(&self) -> Vec<InputSize> {
        let mut sizes: Vec<_> = self.stages.iter().map(|stage| stage.input.size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }
}
