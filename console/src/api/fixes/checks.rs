//! What a correction must say before anything is written.

use axum::http::{HeaderMap, header};
use tagfleet_shared::model_sets::AttributeValues;

use super::{MOST_IMAGES, MOST_NOTE};
use crate::state::Console;
use crate::store::fixes::{self, Restored};
use crate::store::model_sets;
use crate::store::version::Version;
use crate::web::{Kind, Problem};

/// The version that was seen; none if it does not matter.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<Version>, Problem> {
    let missing = || Problem::new(Kind::PreconditionRequired, "If-Match is missing");
    let text = headers.get(header::IF_MATCH).ok_or_else(missing)?.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let wrong = |()| Problem::new(Kind::BadRequest, "If-Match is neither * nor the ETag of an image");
    // A proxy that compresses an answer weakens its ETag; a version tells of the image, not of the bytes of an answer.
    let text = text.strip_prefix("W/").unwrap_or(text);
    text.trim_matches('"').parse().map(Some).map_err(wrong)
}

/// The live model set can say `value` of `attribute`.
pub(super) async fn check_value(
    console: &Console,
    attribute: &str,
    value: Option<&str>,
) -> Result<(), Problem> {
    knows(&live(console).await?, attribute, value).map_err(|Unknown { what, known }| {
        let problem = Problem::new(Kind::Unprocessable, format!("the live model set knows no {what}"));
        problem.advise(format!("It knows: {known}."))
    })
}

/// The live model set can say what an undo of these entries brings back: an older one knew other values.
pub(super) async fn check_restored(console: &Console, entries: &[i64]) -> Result<(), Problem> {
    let restored = fixes::restored_by(&console.pool, entries).await?;
    if restored.is_empty() {
        return Ok(());
    }
    let attributes = live(console).await?;
    for Restored { entry, attribute, value } in restored {
        knows(&attributes, &attribute, value.as_deref()).map_err(|Unknown { what, known }| {
            let detail = format!("entry {entry} cannot be undone: the live model set knows no {what}");
            let problem = Problem::new(Kind::Unprocessable, format!("{detail}; nothing was written"));
            let instead = "Correct the image or withdraw its fix instead; others can be undone without it.";
            problem.advise(format!("It knows: {known}. {instead}"))
        })?;
    }
    Ok(())
}

async fn live(console: &Console) -> Result<Vec<AttributeValues>, Problem> {
    let attributes = model_sets::live_attributes(&console.pool).await?;
    if attributes.is_empty() {
        let problem = Problem::new(Kind::Unavailable, "no worker has told yet what its model set can say");
        return Err(problem.advise("Start a worker; it tells when it begins."));
    }
    Ok(attributes)
}

/// What a model set does not know, and what it does.
struct Unknown {
    what: String,
    known: String,
}

fn knows(attributes: &[AttributeValues], attribute: &str, value: Option<&str>) -> Result<(), Unknown> {
    let Some(known) = attributes.iter().find(|known| known.name == attribute) else {
        let names: Vec<_> = attributes.iter().map(|known| &*known.name).collect();
        return Err(Unknown { what: format!("attribute {attribute:?}"), known: names.join(", ") });
    };
    if known.allows(value) {
        return Ok(());
    }
    let null = known.default.is_none().then_some("null");
    let classes: Vec<_> = known.classes.iter().map(String::as_str).chain(null).collect();
    let value = value.map_or("null".into(), |value| format!("{value:?}"));
    Err(Unknown { what: format!("value {value} of {attribute}"), known: classes.join(", ") })
}

pub(super) fn note(note: Option<&str>) -> Result<Option<&str>, Problem> {
    note.map(|note| checked("note", note, 0, MOST_NOTE)).transpose()
}

pub(super) fn checked<'a>(field: &str, text: &'a str, least: usize, most: usize) -> Result<&'a str, Problem> {
    if (least..=most).contains(&text.len()) && !text.contains('\0') {
        return Ok(text);
    }
    Err(Problem::new(Kind::BadRequest, format!("{field} must have {least} to {most} bytes, and no NUL")))
}

pub(super) fn count(field: &str, count: usize) -> Result<(), Problem> {
    if (1..=MOST_IMAGES).contains(&count) {
        return Ok(());
    }
    Err(Problem::new(
        Kind::BadRequest,
        format!("{field} has {count} items, and must have 1 to {MOST_IMAGES}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_that_a_proxy_has_weakened_is_the_version_that_was_seen() {
        let seen = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, header::HeaderValue::from_static(text));
            if_match(&headers).map(|version| version.map(|version| version.to_string()))
        };
        for text in [r#""17.4a47f34f""#, r#"W/"17.4a47f34f""#] {
            assert_eq!(seen(text).unwrap().as_deref(), Some("17.4a47f34f"), "{text}");
        }
        assert_eq!(seen("*").unwrap(), None);
        for text in ["W/*", "W/", "none"] {
            assert_eq!(seen(text).unwrap_err().kind(), Kind::BadRequest, "{text}");
        }
    }
}
