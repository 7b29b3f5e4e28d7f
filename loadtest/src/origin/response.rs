//! The ways in which an image host answers, good and bad.

use std::{
    convert::Infallible,
    future,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    http::{self, HeaderMap, HeaderName, HeaderValue, header},
};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use tokio::sync::watch;

use super::Passage;

/// How a path answers.
#[derive(Clone, Debug)]
pub enum Response {
    /// As it should.
    Bytes {
        /// The media type that is claimed.
        content_type: &'static str,
        /// The whole body.
        body: Bytes,
    },
    /// A status and no body.
    Status(u16),
    /// A status for the first requests, then a JPEG.
    StatusThenBytes {
        /// Such as 429 or 503.
        status: u16,
        /// So many requests get it.
        times: u64,
        /// Sent with the status, such as `Retry-After`.
        headers: Vec<(&'static str, String)>,
        /// Sent once the host is well again.
        body: Bytes,
    },
    /// A JPEG, a few bytes at a time.
    SlowBody {
        /// The whole body.
        body: Bytes,
        /// On average; at least 1.
        bytes_per_second: u64,
    },
    /// Takes the request and never answers.
    Stall,
    /// 302 to an address or a path; its own for a loop.
    RedirectTo(String),
    /// A body without length and without end.
    Endless,
    /// A JPEG that is shorter or longer than its `Content-Length`.
    LyingLength {
        /// What the header says.
        claimed: u64,
        /// What is there to be sent. Nothing beyond the claimed length goes over the wire.
        body: Bytes,
    },
    /// A JPEG that is sent only to those who do not have it: 304 to the others.
    Validated {
        /// Its version; none is said where it is empty.
        etag: &'static str,
        /// When it was changed; nothing is said where it is empty.
        last_modified: &'static str,
        /// The whole body.
        body: Bytes,
    },
    /// Another response, later.
    After(Duration, Box<Self>),
    /// Another response, once the gate says so.
    Gated(watch::Receiver<bool>, Box<Self>),
    /// Two responses in turns, each for so long.
    InTurns(Duration, Box<[Self; 2]>),
    /// What is there if nothing was put there.
    Usual,
}

const JPEG: &str = "image/jpeg";
/// Bodies are sent in pieces of at most this size.
const PIECE: usize = 64 * 1024;
/// Slow bodies are sent in so many pieces per second.
const SLOW_PIECES: u64 = 20;

impl Response {
    /// A JPEG that is sent as it should be.
    pub fn jpeg(body: impl Into<Bytes>) -> Self {
        Self::Bytes { content_type: JPEG, body: body.into() }
    }

    /// What it is just now: itself, unless it is another response, later or in turns.
    pub(super) async fn now(mut self, begun: Instant) -> Self {
        loop {
            self = match self {
                Self::After(delay, then) => {
                    tokio::time::sleep(delay).await;
                    *then
                }
                Self::Gated(mut gate, then) => {
                    // Whoever held the gate has gone: it is open.
                    let _ = gate.wait_for(|open| *open).await;
                    *then
                }
                Self::InTurns(each, two) => {
                    let turns = begun.elapsed().as_nanos() / each.as_nanos().max(1);
                    let [first, second] = *two;
                    if turns.is_multiple_of(2) { first } else { second }
                }
                itself => return itself,
            }
        }
    }

    /// Answers a request with these `headers`, for the `asked`-th time.
    pub(super) async fn give(
        self,
        asked: u64,
        headers: &HeaderMap,
        passage: Passage,
    ) -> http::Response<Body> {
        match self {
            Self::Bytes { content_type, body } => whole(content_type, body, passage),
            Self::Status(status) => bare(status),
            Self::StatusThenBytes { status, times, headers, .. } if asked <= times => {
                let mut response = bare(status);
                for (name, value) in headers {
                    let value = HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static(""));
                    if let Ok(name) = HeaderName::try_from(name) {
                        response.headers_mut().insert(name, value);
                    }
                }
                response
            }
            Self::StatusThenBytes { body, .. } => whole(JPEG, body, passage),
            Self::Validated { etag, last_modified, body } => {
                let mut response =
                    if has(headers, etag, last_modified) { bare(304) } else { whole(JPEG, body, passage) };
                for (name, value) in [(header::ETAG, etag), (header::LAST_MODIFIED, last_modified)] {
                    if !value.is_empty() {
                        response.headers_mut().insert(name, HeaderValue::from_static(value));
                    }
                }
                response
            }
            Self::SlowBody { body, bytes_per_second } => {
                let length = body.len() as u64;
                let piece = (bytes_per_second / SLOW_PIECES).max(1);
                let pause = Duration::from_secs_f64(piece as f64 / bytes_per_second.max(1) as f64);
                let pieces = pieces(body, piece as usize, pause, passage);
                with_length(JPEG, length, Body::from_stream(pieces))
            }
            // The last four are something else by now.
            Self::Stall | Self::After(..) | Self::Gated(..) | Self::InTurns(..) | Self::Usual => {
                let _open = passage;
                future::pending().await
            }
            Self::RedirectTo(location) => {
                let mut response = bare(302);
                let location = HeaderValue::from_str(&location).unwrap_or(HeaderValue::from_static("/"));
                response.headers_mut().insert(header::LOCATION, location);
                response
            }
            Self::Endless => {
                let mut response = http::Response::new(Body::from_stream(endless(passage)));
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JPEG));
                response
            }
            Self::LyingLength { claimed, body } => {
                let kept = usize::try_from(claimed).unwrap_or(usize::MAX).min(body.len());
                let pieces = pieces(body.slice(..kept), PIECE, Duration::ZERO, passage).chain(hesitation());
                with_length(JPEG, claimed, Body::from_stream(pieces))
            }
        }
    }
}

/// Whether who asks has this version; its name counts more than its date.
fn has(headers: &HeaderMap, etag: &str, last_modified: &str) -> bool {
    match headers.get(header::IF_NONE_MATCH) {
        Some(theirs) => theirs == etag,
        None => headers.get(header::IF_MODIFIED_SINCE).is_some_and(|since| since == last_modified),
    }
}

fn bare(status: u16) -> http::Response<Body> {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::IM_A_TEAPOT);
    response
}

fn whole(content_type: &'static str, body: Bytes, passage: Passage) -> http::Response<Body> {
    let length = body.len() as u64;
    with_length(content_type, length, Body::from_stream(pieces(body, PIECE, Duration::ZERO, passage)))
}

fn with_length(content_type: &'static str, length: u64, body: Body) -> http::Response<Body> {
    let mut response = http::Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_LENGTH, length.into());
    response
}

/// `body` in pieces, each but the first after a `pause`; the passage ends with the last one.
fn pieces(
    body: Bytes,
    size: usize,
    pause: Duration,
    passage: Passage,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold((body, passage, false), move |(mut body, passage, begun)| async move {
        if body.is_empty() {
            return None;
        }
        if begun && !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let piece = body.split_to(size.min(body.len()));
        passage.sent(piece.len());
        Some((Ok(piece), (body, passage, true)))
    })
}

/// Nothing, a moment later: the end of a body that is too short closes the connection, and what
/// is not yet on its way would be lost.
fn hesitation() -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::once(async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(Bytes::new())
    })
}

/// The start of a JPEG, then fill bytes for ever.
fn endless(passage: Passage) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold((passage, Bytes::from_static(&[0xFF, 0xD8])), |(passage, piece)| async move {
        passage.sent(piece.len());
        Some((Ok(piece), (passage, Bytes::from_static(&[0xFF; PIECE]))))
    })
}
