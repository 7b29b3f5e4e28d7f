//! Tells the HTTP client's errors apart. The only place that looks inside them.

use std::error::Error;
use std::io;

use super::address::ForbiddenAddress;
use super::error::{Cause, DownloadError, Limit, Undownloadable};

/// What it means that a request brought no response.
pub fn failed_to_ask(error: reqwest::Error) -> DownloadError {
    if let Some(&forbidden) = find::<ForbiddenAddress>(&error) {
        forbidden.into()
    } else if error.is_builder() {
        Undownloadable::BadUrl("it cannot be sent in a request").into()
    } else if error.is_timeout() {
        // Ours are around the client: this is its only own, or the kernel's.
        Cause::Timeout(Limit::Connect).into()
    } else if error.is_dns() {
        Cause::Dns(innermost(&error)).into()
    } else if find::<rustls::Error>(&error).is_some() {
        Cause::Tls(innermost(&error)).into()
    } else {
        Cause::Connection(innermost(&error)).into()
    }
}

/// Says whether there was a connection, and it broke before the response.
pub fn broke_off(error: &reqwest::Error) -> bool {
    error.is_request() && !error.is_connect() && !error.is_timeout()
}

/// What it means that a body ended early, after `received` bytes.
pub fn failed_to_read(error: reqwest::Error, received: usize) -> DownloadError {
    let closed = find::<io::Error>(&error).is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof);
    if closed {
        Cause::Truncated { received }.into()
    } else if find::<rustls::Error>(&error).is_some() {
        Cause::Tls(innermost(&error)).into()
    } else {
        Cause::Connection(innermost(&error)).into()
    }
}

/// The outermost cause of type `T`.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// The last cause says what happened; those around it only where, and the
/// outermost shows the URL, which is not for the log.
fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| "unknown".to_owned(), ToString::to_string)
}

/// All causes of `error`, from the outside in, without itself.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(cause(error), |error| cause(*error))
}

/// An I/O error that wraps another hides it: its `source` is the other's source.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}
