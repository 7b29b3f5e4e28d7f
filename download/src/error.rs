//! Why a download failed, split by what happens next.

use std::time::Duration;

use super::address::ForbiddenAddress;

/// A download that did not bring an image's bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DownloadError {
    /// It may go better later: the job is tried again after a delay.
    #[error(transparent)]
    Transient(#[from] Transient),

    /// It will not: the image is skipped at once.
    #[error(transparent)]
    Final(#[from] Undownloadable),
}

/// A failure that may pass. After the last attempt its word becomes the reason
/// why the image is skipped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct Transient {
    /// What went wrong.
    pub cause: Cause,

    /// How long the server asked to be left alone. It is the server's word and
    /// may be years: whoever waits sets the upper bound.
    pub retry_after: Option<Duration>,

    /// When it is worth coming back as far as we know, where the server has said
    /// nothing.
    pub come_back: Option<Duration>,

    /// What it was to the picture.
    pub attempt: Attempt,
}

/// Whether a failure was an attempt at the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The host was asked for this very picture.
    Asked,
    /// The host was not asked, because it fails for others again and again:
    /// that counts as well, or a dead host's pictures would never come to an end.
    LeftAlone,
    /// The host was not asked, because it wants to be asked later, or because
    /// too many others wait for it: no attempt at all.
    PutOff,
}

/// What went wrong in a [`Transient`] failure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// A time limit of ours ran out, or the server gave up waiting for us (408).
    #[error("timed out: {0}")]
    Timeout(Limit),

    /// The name has no address, or the name servers do not answer. The system's
    /// resolver does not let the two be told apart.
    #[error("cannot resolve the host name: {0}")]
    Dns(String),

    /// No connection came about, it broke, or what came over it was not HTTP.
    #[error("connection failed: {0}")]
    Connection(String),

    /// No trust in the server, or no common version of TLS. If every host fails
    /// like this, the worker's own CA certificates are to blame.
    #[error("TLS failed: {0}")]
    Tls(String),

    /// The connection closed before the body's announced end.
    #[error("connection closed after {received} bytes, before the end of the body")]
    Truncated {
        /// Bytes of the body that had arrived.
        received: usize,
    },

    /// The server wants fewer requests (429), or this one later (425).
    #[error("throttled with status {0}")]
    Throttled(u16),

    /// The server is unwell (5xx).
    #[error("server error, status {0}")]
    ServerError(u16),
}

impl Cause {
    /// Whether the server itself has answered. Where it has not, our own way to it
    /// may be to blame.
    pub fn is_answer(&self) -> bool {
        match self {
            Self::Timeout(limit) => match limit {
                Limit::Idle | Limit::Pace | Limit::Total | Limit::Server => true,
                Limit::Connect | Limit::Headers | Limit::Turn => false,
            },
            Self::Dns(_) | Self::Connection(_) | Self::Tls(_) => false,
            Self::Truncated { .. } | Self::Throttled(_) | Self::ServerError(_) => true,
        }
    }
}

/// The time limit that ended a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// `connect_timeout`: name look-up, TCP and TLS.
    #[error("connecting took too long")]
    Connect,

    /// `header_timeout`: from asking to the last header of the answer.
    #[error("no response headers in time")]
    Headers,

    /// `idle_timeout`: nothing arrived for so long.
    #[error("the body stalled")]
    Idle,

    /// `min_bytes_per_second`: it arrived, but crawled.
    #[error("the body came too slowly")]
    Pace,

    /// `total_timeout`: the whole download, redirects included.
    #[error("the whole download took too long")]
    Total,

    /// No turn at the host in time: many others wait for it, and it is slow.
    #[error("too many wait for the host")]
    Turn,

    /// Status 408: the server's limit, not ours.
    #[error("the server waited too long for the request")]
    Server,
}

/// A failure that trying again does not mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undownloadable {
    /// The image is no longer there (404, 410).
    #[error("gone, status {0}")]
    Gone(u16),

    /// The server does not give the image to us (401, 402, 403, 407, 451).
    #[error("access denied, status {0}")]
    Denied(u16),

    /// A status that carries no image and promises none: other client errors,
    /// a success without content, a redirect to nowhere.
    #[error("unexpected status {0}")]
    BadStatus(u16),

    /// The body is text (HTML, JSON, XML, SVG), whatever its name says.
    #[error("the body is text, not an image")]
    NotAnImage,

    /// The body is longer than `max_bytes`, or announced to be.
    #[error("larger than {limit} bytes")]
    TooLarge {
        /// The limit that it broke.
        limit: usize,
    },

    /// The body has no bytes.
    #[error("the body is empty")]
    Empty,

    /// The host is, or resolves to, an address that may not be connected to.
    #[error(transparent)]
    ForbiddenAddress(#[from] ForbiddenAddress),

    /// More redirects than `max_redirects`.
    #[error("more than {limit} redirects")]
    TooManyRedirects {
        /// The limit that they broke.
        limit: usize,
    },

    /// A redirect led to an address that was already asked.
    #[error("redirect loop")]
    RedirectLoop,

    /// The URL, or a redirect's, is not one that may be asked for.
    #[error("bad URL: {0}")]
    BadUrl(&'static str),
}

impl DownloadError {
    /// The failure in one stable word: a value in the database and a metric's
    /// label. See the table in [the module's documentation](super).
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Transient(transient) => transient.reason(),
            Self::Final(undownloadable) => undownloadable.reason(),
        }
    }
}

impl Transient {
    /// The failure in one stable word, see [`DownloadError::reason`].
    pub fn reason(&self) -> &'static str {
        match self.cause {
            Cause::Timeout(_) => "timeout",
            Cause::Dns(_) => "dns",
            Cause::Connection(_) => "connection",
            Cause::Tls(_) => "tls",
            Cause::Truncated { .. } => "truncated",
            Cause::Throttled(_) => "throttled",
            Cause::ServerError(_) => "server_error",
        }
    }
}

impl Undownloadable {
    /// The failure in one stable word, see [`DownloadError::reason`].
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Gone(_) => "gone",
            Self::Denied(_) => "denied",
            Self::BadStatus(_) => "bad_status",
            Self::NotAnImage => "not_an_image",
            Self::TooLarge { .. } => "too_large",
            Self::Empty => "empty",
            Self::ForbiddenAddress(_) => "forbidden_address",
            Self::TooManyRedirects { .. } => "too_many_redirects",
            Self::RedirectLoop => "redirect_loop",
            Self::BadUrl(_) => "bad_url",
        }
    }
}

impl From<Cause> for Transient {
    fn from(cause: Cause) -> Self {
        Self { cause, retry_after: None, come_back: None, attempt: Attempt::Asked }
    }
}

impl From<Cause> for DownloadError {
    fn from(cause: Cause) -> Self {
        Self::Transient(cause.into())
    }
}

impl From<ForbiddenAddress> for DownloadError {
    fn from(forbidden: ForbiddenAddress) -> Self {
        Self::Final(forbidden.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words are in databases and dashboards: this text is what they know.
    #[test]
    fn words_are_stable_and_documented() {
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        let transient = [
            (Cause::Timeout(Limit::Idle), "timeout"),
            (Cause::Dns(String::new()), "dns"),
            (Cause::Connection(String::new()), "connection"),
            (Cause::Tls(String::new()), "tls"),
            (Cause::Truncated { received: 0 }, "truncated"),
            (Cause::Throttled(429), "throttled"),
            (Cause::ServerError(500), "server_error"),
        ];
        let last = [
            (Undownloadable::Gone(404), "gone"),
            (Undownloadable::Denied(403), "denied"),
            (Undownloadable::BadStatus(204), "bad_status"),
            (Undownloadable::NotAnImage, "not_an_image"),
            (Undownloadable::TooLarge { limit: 0 }, "too_large"),
            (Undownloadable::Empty, "empty"),
            (Undownloadable::ForbiddenAddress(ForbiddenAddress { address, kind: "" }), "forbidden_address"),
            (Undownloadable::TooManyRedirects { limit: 0 }, "too_many_redirects"),
            (Undownloadable::RedirectLoop, "redirect_loop"),
            (Undownloadable::BadUrl(""), "bad_url"),
        ];
        let transient = transient.map(|(cause, word)| (DownloadError::from(cause), word, "yes"));
        let last = last.map(|(error, word)| (DownloadError::from(error), word, "no"));
        let table: Vec<_> =
            include_str!("lib.rs").lines().filter(|line| line.starts_with("//! | `")).collect();

        assert_eq!(table.len(), transient.len() + last.len());
        for (error, word, again) in transient.into_iter().chain(last) {
            assert_eq!(error.reason(), word);
            let row = table.iter().find(|row| row.starts_with(&format!("//! | `{word}` |")));
            assert!(row.unwrap().ends_with(&format!("| {again} |")), "{word}");
        }
    }
}
