//! `/thumbnails/{image_id}`: a picture for the pages, from this server.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tagfleet_shared::db::DbError;
use uuid::Uuid;

use crate::state::Console;
use crate::store::pictures;
use crate::thumbnails::{self, Size};
use crate::web::{Kind, Params, Path, Problem};

/// Why there is a drawing instead of a picture.
const MISSING: HeaderName = HeaderName::from_static("x-tagfleet-missing");

/// How large, and of which bytes.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    size: u32,
    of: Option<String>,
}

/// Where a page finds the picture of `image` for a grid, as it is at this `version`.
pub(super) fn small(image: &Uuid, version: &str) -> String {
    address(image, version, Size::Small)
}

/// The same for a page of its own.
pub(super) fn large(image: &Uuid, version: &str) -> String {
    address(image, version, Size::Large)
}

/// With the bytes of the version: what is seen is what a correction says that it saw, and not what some cache had.
fn address(image: &Uuid, version: &str, size: Size) -> String {
    format!("/thumbnails/{image}?size={}&of={}", size.pixels(), bytes_of(version))
}

fn bytes_of(version: &str) -> &str {
    version.split_once('.').map_or("0", |(_, bytes)| bytes)
}

/// Sends a small picture, or a drawing that says why there is none. The latter with status 200 as well:
/// a browser shows it, and it may be kept for a while.
pub async fn thumbnail(
    State(console): State<Console>,
    Path(image): Path<Uuid>,
    Params(wanted): Params<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let size = Size::named(wanted.size);
    let size = size.ok_or_else(|| Problem::new(Kind::BadRequest, "size must be 320 or 1280"))?;
    let bytes = wanted.of.as_deref().map_or(Some(0), |of| u32::from_str_radix(of, 16).ok());
    let bytes = bytes
        .ok_or_else(|| Problem::new(Kind::BadRequest, "of must be the part of a version after its dot"))?;
    let find = async {
        let found = pictures::url_of(&console.pool, image).await?;
        Ok::<_, DbError>(
            found.map(|(url, version)| (url, u32::from_str_radix(bytes_of(&version), 16).unwrap_or(0))),
        )
    };
    let made = console.thumbnails.of(thumbnails::Wanted { image, bytes, size }, find).await?;
    console.metrics.thumbnail(made.missing.is_none());
    // Only for whoever may see it.
    let keep = match made.keep.as_secs() {
        0 => "no-store".into(),
        seconds => format!("private, max-age={seconds}"),
    };
    let about = [(header::ETAG, made.etag.clone()), (header::CACHE_CONTROL, keep)];
    let had = headers.get(header::IF_NONE_MATCH).and_then(|had| had.to_str().ok());
    if had.is_some_and(|had| had.split(',').any(|tag| tag.trim() == made.etag)) {
        return Ok((StatusCode::NOT_MODIFIED, about).into_response());
    }
    let missing = made.missing.map(|reason| [(MISSING, reason)]);
    let mut response = (about, [(header::CONTENT_TYPE, made.kind)], made.bytes).into_response();
    if let Some([(name, reason)]) = missing {
        response.headers_mut().insert(name, axum::http::HeaderValue::from_static(reason));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_bytes_are_at_another_address() {
        let at = |version: &str| small(&Uuid::nil(), version);
        assert_eq!(at("17.4a47f34f"), format!("/thumbnails/{}?size=320&of=4a47f34f", Uuid::nil()));
        assert_eq!(at("17.4a47f34f"), at("18.4a47f34f"), "a fix changes no picture");
        assert_ne!(at("17.4a47f34f"), at("17.0"));
    }
}
