//! What the scheduler asks of a worker.

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
}
