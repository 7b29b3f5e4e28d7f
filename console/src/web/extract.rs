//! The reading of requests; what cannot be read is a [`Problem`] that names the field.

use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::problem::{Kind, Problem};

/// What the path names.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path: Result<axum::extract::Path<T>, PathRejection> =
            axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|error| Problem::new(Kind::BadRequest, error.body_text()))
    }
}

/// What the query string says.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query: Result<axum::extract::Query<T>, QueryRejection> =
            axum::extract::Query::from_request_parts(parts, state).await;
        query.map(|query| Self(query.0)).map_err(|error| Problem::new(Kind::BadRequest, error.body_text()))
    }
}

/// A body of JSON.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        read(&json_bytes(request, state).await?).map(Self)
    }
}

/// A body that says that it is JSON, as it came.
///
/// # Errors
///
/// If it says something else, is too large, or breaks off.
pub async fn json_bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    if !is_json(&request) {
        return Err(Problem::new(Kind::UnsupportedMedia, "Content-Type is not application/json"));
    }
    bytes(request, state).await
}

/// A body as it came.
///
/// # Errors
///
/// If it is too large, or breaks off.
pub async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    let bytes: Result<Bytes, BytesRejection> = Bytes::from_request(request, state).await;
    bytes.map_err(|error| {
        let large = error.status() == Kind::TooLarge.status();
        Problem::new(if large { Kind::TooLarge } else { Kind::BadRequest }, error.body_text())
    })
}

/// Reads JSON, and names the field that is wrong.
///
/// # Errors
///
/// If it is not what is wanted.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| Problem::new(Kind::BadRequest, format!("{}: {}", error.path(), error.inner())))?;
    json.end().map_err(|error| Problem::new(Kind::BadRequest, error.to_string()))?;
    Ok(value)
}

/// Whether whoever sends these headers came with a browser's address bar, a link or a form: pictures, streams and
/// our own scripts ask for anything but HTML.
pub fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn is_json(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json")
    })
}
