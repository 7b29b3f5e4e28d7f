//! What the scheduler asks of a worker.

use std::time::Duration;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::ids::{ImageId, ScrapeId};

/// A new shape gets a new variant; a variant that may still sit in a queue
/// somewhere is never edited.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Job {
    /// Bring one image of a scrape to its outcome.
    TagImageV1(TagImage),
}

/// One image of one scrape. `day`, `scrape` and `seq` name its row in
/// `scrape_images`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TagImage {
    /// The partition of the row.
    pub day: Date,
    /// `scrapes.key`.
    pub scrape: i64,
    /// Place in the inventory, from 0.
    pub seq: i32,
    /// The pipeline's name of the scrape, for logs.
    pub scrape_id: ScrapeId,
    /// The image.
    pub image: ImageId,
    /// Where it is.
    pub url: String,
}

/// How far what is known of an image may be trusted by the job that asks.
///
/// A header of the job and no field of it: a worker of before passes over the header and gives what it
/// knows, where a job that it cannot read would be dead-lettered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Whatever is known.
    #[default]
    Memory,
    /// What the database knows; not a worker's memory, for the picture was replaced lately.
    Database,
    /// Nothing: the picture was replaced just now. Its host is asked.
    Nothing,
}

impl Trust {
    /// The value of the header; none where there is no need of one.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Memory => None,
            Self::Database => Some("database"),
            Self::Nothing => Some("nothing"),
        }
    }

    /// As far, but for the memory of workers.
    #[must_use]
    pub fn without_memory(self) -> Self {
        if self == Self::Memory { Self::Database } else { self }
    }

    /// The one of this word. One of a later version asks the host: that is never wrong.
    pub fn of_word(word: &str) -> Self {
        if word == "database" { Self::Database } else { Self::Nothing }
    }
}

/// For how long a worker may remember an image without asking the database again. A picture that
/// is replaced is looked at by one worker, and the others remember the one before.
pub const MEMORY_LASTS: Duration = Duration::from_secs(24 * 3600);

/// For how long the jobs of a replaced picture [trust](Trust::Database) no memory: until every memory
/// of the one before is gone, also one that was made while the new one was still looked for.
pub const REPLACED_LATELY: Duration = MEMORY_LASTS.saturating_mul(2);

#[cfg(test)]
mod tests {
    use super::*;

    /// Jobs outlive deploys: this text is what older workers have in their queue.
    #[test]
    fn wire_format_is_stable() {
        let wire = r#"{"type":"tag_image_v1","day":"2026-11-21","scrape":17,"seq":5,"scrape_id":"s-1","image":"00000000-0000-0000-0000-000000000007","url":"http://img.test/7.jpg"}"#;
        let job: Job = serde_json::from_str(wire).unwrap();
        let Job::TagImageV1(image) = &job;
        assert_eq!((image.scrape, image.seq), (17, 5));
        assert_eq!(serde_json::to_string(&job).unwrap(), wire);
    }

    /// They lie in queues too.
    #[test]
    fn the_words_of_trust_are_stable() {
        let words = [Trust::Memory, Trust::Database, Trust::Nothing].map(Trust::word);
        assert_eq!(words, [None, Some("database"), Some("nothing")]);
        let read = ["database", "nothing", "a later word"].map(Trust::of_word);
        assert_eq!(read, [Trust::Database, Trust::Nothing, Trust::Nothing]);
    }
}
