//! What a correction must say before anything is written.

use axum::http::{HeaderMap, header};

use super::{MOST_IMAGES, MOST_NOTE};
use crate::state::Console;
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

pub(super) async fn check_value(
    console: &Console,
    attribute: &str,
    value: Option<&str>,
) -> Result<(), Problem> {
    let attributes = model_sets::live_attributes(&console.pool).await?;
    if attributes.is_empty() {
        let problem = Problem::new(Kind::Unavailable, "no worker has told yet what its model set can say");
        return Err(problem.advise("Start a worker; it tells when it begins."));
    }
    let wrong = |what: String, known: Vec<&str>| {
        let problem = Problem::new(Kind::Unprocessable, format!("the live model set knows no {what}"));
        problem.advise(format!("It knows: {}.", known.join(", ")))
    };
    let Some(known) = attributes.iter().find(|known| known.name == attribute) else {
        let names = attributes.iter().map(|known| &*known.name).collect();
        return Err(wrong(format!("attribute {attribute:?}"), names));
    };
    if known.allows(value) {
        return Ok(());
    }
    let null = known.default.is_none().then_some("null");
    let classes = known.classes.iter().map(String::as_str).chain(null).collect();
    Err(wrong(format!("value {} of {attribute}", value.map_or("null".into(), |v| format!("{v:?}"))), classes))
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
