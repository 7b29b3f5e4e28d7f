//! What `tag` prints: one line per input, as it is done.

use std::io::{ErrorKind, Write};

use clap::ValueEnum;
use serde::Serialize;
use tagfleet_shared::tags::{Scores, Tags};

use crate::model::Embedding;
use crate::outcome::{Outcome, Reason};

/// For machines or for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// Columns.
    Table,
}

/// The end of one input.
#[derive(Debug, Serialize)]
pub struct Line {
    source: String,
    outcome: &'static str,
    reason: Option<Reason>,
    tags: Tags,
    scores: Scores,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<Embedding>,
}

impl Line {
    /// What came of `source`.
    pub fn of(source: String, outcome: &Outcome, defaults: &Tags) -> Self {
        let (tags, scores) = match outcome {
            Outcome::Inferred(known)
            | Outcome::Cached(known)
            | Outcome::Renewed(known)
            | Outcome::Matched(known) => (known.answer.tags.clone(), known.answer.scores.clone()),
            Outcome::Defaulted(_) => (defaults.clone(), Scores::default()),
            Outcome::Skipped(_) => Default::default(),
        };
        let reason = outcome.failure().map(|failure| failure.reason.clone());
        let embedding = outcome.known().and_then(|known| known.answer.embedding.clone());
        Self { source, outcome: outcome.kind().as_str(), reason, tags, scores, embedding }
    }

    /// An input that says nothing.
    pub fn malformed(source: String) -> Self {
        let (tags, scores) = Default::default();
        let reason = Some("malformed_line".into());
        Self { source, outcome: "skipped", reason, tags, scores, embedding: None }
    }

    fn row(&self) -> String {
        let tags = self.tags.0.iter().map(|(attribute, value)| {
            let value = value.as_deref().unwrap_or("null");
            match self.scores.0.get(attribute) {
                Some(score) => format!("{attribute}={value} ({:.0} %)", score * 100.0),
                None => format!("{attribute}={value}"),
            }
        });
        let tags = tags.collect::<Vec<_>>().join("  ");
        let end = match &self.reason {
            Some(reason) => format!("{} ({reason})", self.outcome),
            None => self.outcome.to_owned(),
        };
        format!("{:<48} {end:<28} {tags}", self.source)
    }
}

/// Prints lines to stdout.
pub struct Printer {
    format: Format,
}

impl Printer {
    /// In this format.
    pub fn new(format: Format) -> Self {
        Self { format }
    }

    /// Prints one line; false when nobody reads any more.
    ///
    /// # Errors
    ///
    /// If stdout fails otherwise.
    pub fn print(&mut self, line: &Line) -> anyhow::Result<bool> {
        let text = match self.format {
            Format::Json => serde_json::to_string(line)?,
            Format::Table => line.row(),
        };
        match writeln!(std::io::stdout().lock(), "{}", text.trim_end()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
