//! What was published, what was written, and what was done to the fleet: a line each, never changed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was, by the clock of whoever saw it.
    pub at: Timestamp,
    /// What it was.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// The broker has confirmed the event of a scrape.
    Published {
        /// Its id.
        scrape: String,
        /// What is to be found at the address of each image, by its place.
        images: Vec<Listed>,
    },
    /// A committed transaction has given an image an outcome.
    Written {
        /// The id of its scrape.
        scrape: String,
        /// Its place.
        seq: i32,
        /// The outcome.
        outcome: String,
        /// Why, where it has no answer of the models.
        reason: Option<String>,
        /// Its tags as text.
        tags: String,
    },
    /// A listener has heard `scrape.tagged`.
    Announced {
        /// The scrape.
        scrape: String,
        /// The same for every copy.
        event_id: String,
        /// Images of the inventory.
        images: u64,
        /// Images by outcome.
        outcomes: BTreeMap<String, u64>,
    },
    /// A fault has begun.
    FaultBegun {
        /// The how-many-th.
        number: u32,
        /// What it is, and whom it meets.
        fault: String,
        /// The reasons for which good pictures may end because of it.
        spoils: Vec<String>,
        /// Whether it keeps outcomes that are clear from being written.
        holds: bool,
    },
    /// It did not begin after all.
    FaultFailed {
        /// The how-many-th.
        number: u32,
        /// Why not.
        error: String,
    },
    /// It is over.
    FaultEnded {
        /// The how-many-th.
        number: u32,
        /// What was seen of it.
        note: String,
    },
}

/// What a scrape lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// The path of its address.
    pub path: String,
    /// What is there.
    pub kind: Kind,
}

/// What is to be found at an address, and so which outcomes are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A picture.
    Picture,
    /// A picture, at the second attempt.
    Late,
    /// Part of a picture, or none: some decoders make half a picture of it.
    Broken,
    /// Nothing, or a web page.
    Dead,
}

impl Kind {
    /// Whether the models have an answer to it where all is well.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Picture | Self::Late)
    }
}

/// A ledger that is being written. Clones write to the same file.
#[derive(Clone)]
pub struct Ledger {
    file: Arc<Mutex<File>>,
    path: PathBuf,
}

impl Ledger {
    /// Begins an empty one.
    pub fn begin(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        Ok(Self { file: Arc::new(Mutex::new(file)), path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Notes what has happened now.
    pub fn note(&self, what: What) -> anyhow::Result<()> {
        self.note_all(vec![Entry { at: Timestamp::now(), what }])
    }

    /// Notes what has happened before.
    pub fn note_all(&self, entries: Vec<Entry>) -> anyhow::Result<()> {
        let mut lines = Vec::new();
        for entry in &entries {
            serde_json::to_writer(&mut lines, entry)?;
            lines.push(b'\n');
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&lines).with_context(|| self.path.display().to_string())
    }
}

/// Reads a ledger.
pub fn read(path: &Path) -> anyhow::Result<Vec<Entry>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let line = |(number, line): (usize, std::io::Result<String>)| {
        serde_json::from_str(&line?).with_context(|| format!("{}:{}", path.display(), number + 1))
    };
    BufReader::new(file).lines().enumerate().map(line).collect()
}
