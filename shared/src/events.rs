//! The events that the fleet and its neighbours exchange, version 1.
//!
//! A field may be added to an event; none is renamed, retyped or removed
//! without a new version. The JSON Schemas in `docs/schemas/` are generated
//! from these types.

mod changes;
mod unquoted;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{AdvertiserId, MAX_ID_BYTES, ScrapeId};
use crate::lane::Lane;
use crate::tags::Tags;
use crate::wall_clock;

pub use self::changes::{Change, ImageChanged, ImageTagged};
pub use self::unquoted::unquoted;

/// The longest URL or key that is taken, in bytes.
pub const MAX_TEXT_BYTES: usize = 8192;

/// How far the clock of a pipeline may be ahead of ours.
const AHEAD: SignedDuration = SignedDuration::from_hours(1);

/// A scrape pipeline has collected the inventory of one advertiser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "scrape.finished, version 1")]
pub struct ScrapeFinished {
    /// The pipeline's name of this scrape. The same id twice is one scrape.
    pub scrape_id: ScrapeId,
    /// Whose inventory it is.
    pub advertiser_id: AdvertiserId,
    /// When the scrape ended. Of two unfinished scrapes of one advertiser the
    /// later supersedes the earlier.
    pub finished_at: Timestamp,
    /// The lane of its jobs; by the size of the inventory where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<Lane>,
    /// The inventory itself. Either this or `manifest_url` or `images_of`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Vec<ListedImage>>,
    /// Where the inventory lies: NDJSON, one image a line, plain or gzip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_url: Option<String>,
    /// The inventory is that of this earlier scrape of the same advertiser, which was listed to its end and is
    /// still kept: its images are tagged again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images_of: Option<ScrapeId>,
}

/// One image of an inventory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ListedImage {
    /// Where the picture is, http or https.
    pub url: String,
    /// The pipeline's own stable name of the picture, where its URL changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_key: Option<String>,
    /// The listing that shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing_id: Option<String>,
    /// Its place within the listing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i32>,
    /// Values that the advertiser stated, e.g. `{"color": "red"}`: they win
    /// over the model's. Null and `N/A` state nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configured: Option<Tags>,
}

/// Every image of a scrape has its outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "scrape.tagged, version 1")]
pub struct ScrapeTagged {
    /// The same for every copy of this announcement; also the AMQP message id.
    pub event_id: uuid::Uuid,
    /// The scrape that was announced as finished.
    pub scrape_id: ScrapeId,
    /// Whose inventory it is.
    pub advertiser_id: AdvertiserId,
    /// Images of the inventory; the sum of `outcomes`.
    pub images: u64,
    /// Images by outcome: `inferred`, `cached`, `matched`, `skipped`, `defaulted`.
    pub outcomes: BTreeMap<String, u64>,
    /// The newer scrape of the same advertiser that overtook this one: images
    /// not tagged by then are `skipped`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<ScrapeId>,
    /// As in `scrape.finished`.
    pub finished_at: Timestamp,
    /// When the scheduler took the event.
    pub received_at: Timestamp,
    /// When the last job was confirmed by the broker.
    pub published_at: Timestamp,
    /// When the last image had its outcome.
    pub tagged_at: Timestamp,
}

/// A person has corrected a tag, or withdrawn a correction.
///
/// The first event of a fix is told after its commit, and each at least once; of two events of one
/// image and attribute the one with the higher `fix_id` is the later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "tag.fixed, version 1")]
pub struct TagFixed {
    /// The entry in the history of fixes; also the AMQP message id. Every copy has the same.
    pub fix_id: i64,
    /// The image.
    pub image_id: uuid::Uuid,
    /// The pipeline's own name of it, if it has one and is still listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_key: Option<String>,
    /// Where it is, if it is still listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whose value it is; absent: everyone's who has no fix of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertiser_id: Option<AdvertiserId>,
    /// The attribute.
    pub attribute: String,
    /// What was done.
    pub action: FixAction,
    /// The value of the fix before, if there was one.
    pub from: Option<String>,
    /// The value of the fix now; null is a value too, if `action` is `set`.
    pub to: Option<String>,
    /// Who did it.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When.
    pub at: Timestamp,
    /// What the models had said of it then: null is an answer too; absent: nothing, or it was not noted yet.
    #[serde(default, with = "said", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub machine: Option<Option<String>>,
}

/// A value that may be null, or absent.
mod said {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &Option<Option<String>>, to: S) -> Result<S::Ok, S::Error> {
        value.serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
        Option::deserialize(from).map(Some)
    }
}

/// What can be done to a fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FixAction {
    /// It has a value.
    Set,
    /// It is gone: the machine's value is back.
    Withdrawn,
}

/// Why an event or a manifest line is not taken, with the field that is wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Malformed {
    /// Path of the field, e.g. `images[3].url`; `.` for the whole text.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Malformed {
    fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// Text that parsed, and the fields in it that nobody knows.
#[derive(Debug)]
pub struct Parsed<T> {
    /// The value.
    pub value: T,
    /// Paths of fields that are not part of the contract; they change nothing.
    pub unknown_fields: Vec<String>,
}

impl ScrapeFinished {
    /// Reads and checks one event.
    ///
    /// # Errors
    ///
    /// Names the first field that is missing, of the wrong type or out of bounds.
    pub fn parse(body: &[u8]) -> Result<Parsed<Self>, Malformed> {
        let parsed: Parsed<Self> = parse(body)?;
        let event = &parsed.value;
        check_text("scrape_id", &event.scrape_id.0, 1, MAX_ID_BYTES)?;
        check_text("advertiser_id", &event.advertiser_id.0, 1, MAX_ID_BYTES)?;
        // It would supersede every scrape until then.
        check_past("finished_at", event.finished_at)?;
        match (&event.images, &event.manifest_url, &event.images_of) {
            (Some(images), None, None) => {
                for (i, image) in images.iter().enumerate() {
                    image
                        .check()
                        .map_err(|e| Malformed::new(format!("images[{i}].{}", e.field), e.problem))?;
                }
            }
            (None, Some(url), None) => check_manifest_url(url)?,
            (None, None, Some(scrape)) => check_text("images_of", &scrape.0, 1, MAX_ID_BYTES)?,
            (Some(_), Some(_), _) => {
                return Err(Malformed::new("manifest_url", "given beside images: one of the two"));
            }
            (_, _, Some(_)) => {
                return Err(Malformed::new("images_of", "given beside images or manifest_url: one of them"));
            }
            (None, None, None) => {
                return Err(Malformed::new("images", "missing, and no manifest_url either"));
            }
        }
        Ok(parsed)
    }
}

impl ListedImage {
    /// Reads and checks one line of a manifest.
    ///
    /// # Errors
    ///
    /// Names the first field that is missing, of the wrong type or out of bounds.
    pub fn parse(line: &[u8]) -> Result<Parsed<Self>, Malformed> {
        let parsed: Parsed<Self> = parse(line)?;
        parsed.value.check()?;
        Ok(parsed)
    }

    /// Whether the database can hold it. A URL that cannot be fetched is not
    /// malformed: its image is skipped, with a reason, like any dead link.
    fn check(&self) -> Result<(), Malformed> {
        check_text("url", &self.url, 1, MAX_TEXT_BYTES)?;
        for (field, text) in [("image_key", &self.image_key), ("listing_id", &self.listing_id)] {
            if let Some(text) = text {
                check_text(field, text, 1, MAX_TEXT_BYTES)?;
            }
        }
        for (attribute, value) in self.configured.iter().flat_map(|tags| &tags.0) {
            check_text("configured", attribute, 1, MAX_ID_BYTES)?;
            if let Some(value) = value {
                check_text(&format!("configured.{attribute}"), value, 1, MAX_ID_BYTES)?;
            }
        }
        Ok(())
    }

    /// What the advertiser stated: nulls (and `N/A`) left out.
    pub fn stated(&self) -> Option<Tags> {
        let mut tags = self.configured.clone()?.normalised();
        tags.0.retain(|_, value| value.is_some());
        (!tags.0.is_empty()).then_some(tags)
    }
}

fn parse<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<Parsed<T>, Malformed> {
    let mut unknown_fields = Vec::new();
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    // `?` is how a path says that it goes through an `Option`.
    let note = |path: serde_ignored::Path<'_>| unknown_fields.push(path.to_string().replace(".?", ""));
    let value = serde_ignored::deserialize(tracked, note);
    let value = value.map_err(|error| Malformed::new(track.path().to_string(), unquoted(&error)))?;
    json.end().map_err(|error| Malformed::new(".", unquoted(&error)))?;
    Ok(Parsed { value, unknown_fields })
}

fn check_text(field: &str, text: &str, min: usize, max: usize) -> Result<(), Malformed> {
    if text.len() < min {
        return Err(Malformed::new(field, "is empty"));
    }
    if text.len() > max {
        return Err(Malformed::new(field, format!("is longer than {max} bytes")));
    }
    if text.contains('\0') {
        return Err(Malformed::new(field, "contains a NUL character"));
    }
    Ok(())
}

fn check_past(field: &str, time: Timestamp) -> Result<(), Malformed> {
    if time > wall_clock::now().saturating_add(AHEAD).unwrap_or(Timestamp::MAX) {
        return Err(Malformed::new(field, "lies more than an hour in the future"));
    }
    Ok(())
}

fn check_manifest_url(text: &str) -> Result<(), Malformed> {
    let url = url::Url::parse(text).map_err(|e| Malformed::new("manifest_url", e.to_string()))?;
    match url.scheme() {
        "http" | "https" => check_text("manifest_url", text, 1, MAX_TEXT_BYTES),
        other => Err(Malformed::new("manifest_url", format!("scheme {other} is not http or https"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn malformed(body: &str) -> String {
        ScrapeFinished::parse(body.as_bytes()).unwrap_err().to_string()
    }

    const HEAD: &str = r#""scrape_id":"s","advertiser_id":"a","finished_at":"2026-11-21T09:00:00Z""#;

    /// Pipelines in production send this text; it must be read for ever.
    #[test]
    fn version_1_is_read() {
        let body = format!(
            r#"{{{HEAD},"lane":"express","images":[{{"url":"http://img.test/1.jpg","image_key":"k",
                "listing_id":"l","position":1,"configured":{{"color":"red","image_type":"N/A"}}}}]}}"#
        );
        let event = ScrapeFinished::parse(body.as_bytes()).unwrap().value;
        assert_eq!(event.lane, Some(Lane::Express));
        let images = event.images.unwrap();
        assert_eq!(images[0].image_key.as_deref(), Some("k"));
        assert_eq!(images[0].stated(), Some([("color", Some("red"))].into_iter().collect()));
    }

    #[test]
    fn an_error_names_the_field() {
        assert_eq!(malformed(r#"{"scrape_id":"s"}"#), ".: missing field `advertiser_id` at line 1 column 17");
        assert!(malformed(&format!(r#"{{{HEAD},"images":[{{"url":1}}]}}"#)).starts_with("images[0].url: "));
        assert!(malformed(&format!(r#"{{{HEAD},"lane":"fast","images":[]}}"#)).starts_with("lane: "));
        assert_eq!(malformed(&format!("{{{HEAD}}}")), "images: missing, and no manifest_url either");
        assert_eq!(
            malformed(&format!(r#"{{{HEAD},"images":[{{"url":"a\u0000"}}]}}"#)),
            "images[0].url: contains a NUL character"
        );
        assert_eq!(
            malformed(&format!(r#"{{{HEAD},"manifest_url":"file:///etc/passwd"}}"#)),
            "manifest_url: scheme file is not http or https"
        );
        let both = format!(r#"{{{HEAD},"images":[],"images_of":"s0"}}"#);
        assert_eq!(malformed(&both), "images_of: given beside images or manifest_url: one of them");
        assert_eq!(malformed(&format!(r#"{{{HEAD},"images_of":""}}"#)), "images_of: is empty");
        let future = HEAD.replace("2026", "2962");
        assert_eq!(
            malformed(&format!(r#"{{{future},"images":[]}}"#)),
            "finished_at: lies more than an hour in the future"
        );
        assert!(malformed("not json").starts_with(".: expected ident"));
    }

    #[test]
    fn an_unknown_field_changes_nothing_and_is_told() {
        let body = format!(r#"{{{HEAD},"images":[{{"url":"http://a.test/","imagekey":"k"}}],"shop":1}}"#);
        let parsed = ScrapeFinished::parse(body.as_bytes()).unwrap();
        assert_eq!(parsed.unknown_fields, ["images.0.imagekey", "shop"]);
    }
}
