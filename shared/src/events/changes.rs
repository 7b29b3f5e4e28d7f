//! Pictures that change one at a time, between two scrapes.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ListedImage, Malformed, Parsed, check_past, check_text, parse};
use crate::ids::{AdvertiserId, ImageId, MAX_ID_BYTES};
use crate::tags::Tags;

/// One picture of an advertiser has changed.
///
/// The same event twice is one change: of several about one picture of one listing the one with the latest
/// `changed_at` counts, whichever comes first. What comes within a moment is worked on together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "image.changed, version 1")]
pub struct ImageChanged {
    /// Whose picture it is.
    pub advertiser_id: AdvertiserId,
    /// What happened to it.
    pub change: Change,
    /// When it happened.
    pub changed_at: Timestamp,
    /// The picture, as a scrape would list it. Of one that was removed, `listing_id` says which listing shows it
    /// no longer; without it, none does.
    pub image: ListedImage,
}

/// What can happen to a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A listing shows it from now on: it is tagged as if a scrape listed it.
    Added,
    /// There is another picture now under the same URL or key: its host is asked, whatever is known of it.
    Replaced,
    /// No listing shows it any more, or this one does not.
    Removed,
}

/// A picture that changed has its outcome.
///
/// There is one announcement for each change that was worked on. Of several changes within a moment that is
/// the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "image.tagged, version 1")]
pub struct ImageTagged {
    /// The same for every copy of this announcement; also the AMQP message id.
    pub event_id: uuid::Uuid,
    /// Whose picture it is.
    pub advertiser_id: AdvertiserId,
    /// As in `image.changed`; `replaced` too where it was removed and added again within a moment.
    pub change: Change,
    /// As in `image.changed`: of two announcements of one picture the one with the later time is true.
    pub changed_at: Timestamp,
    /// The fleet's own name of the picture, as in `tag.fixed`.
    pub image_id: uuid::Uuid,
    /// As in `image.changed`.
    pub url: String,
    /// As in `image.changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_key: Option<String>,
    /// As in `image.changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing_id: Option<String>,
    /// As in `image.changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i32>,
    /// `inferred`, `cached`, `matched`, `skipped` or `defaulted`.
    pub outcome: String,
    /// Why it was skipped or defaulted, in one word; `removed` where nobody shows it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its valid tags: what the models said, then what was configured, then fixes by people.
    pub tags: Tags,
    /// When the scheduler took the first event of this moment.
    pub received_at: Timestamp,
    /// When it had its outcome.
    pub tagged_at: Timestamp,
}

impl ImageChanged {
    /// Reads and checks one event.
    ///
    /// # Errors
    ///
    /// Names the first field that is missing, of the wrong type or out of bounds.
    pub fn parse(body: &[u8]) -> Result<Parsed<Self>, Malformed> {
        let parsed: Parsed<Self> = parse(body)?;
        let event = &parsed.value;
        check_text("advertiser_id", &event.advertiser_id.0, 1, MAX_ID_BYTES)?;
        // Nothing that happens until then would count.
        check_past("changed_at", event.changed_at)?;
        event.image.check().map_err(|e| Malformed::new(format!("image.{}", e.field), e.problem))?;
        Ok(parsed)
    }

    /// What its tags are known by.
    pub fn image_id(&self) -> ImageId {
        ImageId::of(self.image.image_key.as_deref(), &self.image.url)
    }
}

impl Change {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Added, Self::Replaced, Self::Removed];

    /// Its word in events, metrics and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Replaced => "replaced",
            Self::Removed => "removed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#""advertiser_id":"a","changed_at":"2026-11-21T09:00:00Z""#;

    fn malformed(rest: &str) -> String {
        ImageChanged::parse(format!("{{{HEAD},{rest}}}").as_bytes()).unwrap_err().to_string()
    }

    /// Neighbours in production send this text; it must be read for ever.
    #[test]
    fn version_1_of_a_change_is_read() {
        let body = format!(
            r#"{{{HEAD},"change":"replaced","image":{{"url":"http://img.test/1.jpg","image_key":"k",
                "listing_id":"l","position":1,"configured":{{"color":"red"}}}},"shop":1}}"#
        );
        let parsed = ImageChanged::parse(body.as_bytes()).unwrap();
        assert_eq!(parsed.unknown_fields, ["shop"]);
        assert_eq!((parsed.value.change, parsed.value.image.position), (Change::Replaced, Some(1)));
    }

    #[test]
    fn an_error_names_the_field_of_a_change() {
        assert!(malformed(r#""change":"moved","image":{"url":"http://a.test/"}"#).starts_with("change: "));
        assert_eq!(malformed(r#""change":"added","image":{"url":""}"#), "image.url: is empty");
        assert!(malformed(r#""change":"added","image":{"url":7}"#).starts_with("image.url: "));
        assert!(malformed(r#""change":"added""#).starts_with(".: missing field `image`"));
        let future =
            format!(r#"{{{},"change":"added","image":{{"url":"a"}}}}"#, HEAD.replace("2026", "2962"));
        assert_eq!(
            ImageChanged::parse(future.as_bytes()).unwrap_err().to_string(),
            "changed_at: lies more than an hour in the future"
        );
    }

    #[test]
    fn the_word_of_a_change_is_that_of_its_event() {
        for change in Change::ALL {
            assert_eq!(serde_json::to_value(change).unwrap(), change.as_str());
        }
    }
}
