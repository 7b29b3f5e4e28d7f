//! Downloads images from strangers.
//!
//! [`Downloader::fetch`] brings the bytes of one image, or says why not. The
//! URL comes from outside and so does all that the server sends, so each step
//! has its limit and each address is checked where the connection is made, on
//! every redirect.
//!
//! # Reasons
//!
//! Each failure has one stable word ([`DownloadError::reason`]), which is kept
//! with the image and counted in the metrics. Words are never changed, only
//! added.
//!
//! | word | what happened | tried again |
//! | --- | --- | --- |
//! | `timeout` | one of the time limits, or status 408 | yes |
//! | `dns` | the name has no address, or name servers do not answer | yes |
//! | `connection` | refused, reset, unreachable, or not HTTP | yes |
//! | `tls` | certificate or handshake refused | yes |
//! | `truncated` | closed before the announced end of the body | yes |
//! | `throttled` | status 425, 429 | yes |
//! | `server_error` | status 5xx | yes |
//! | `gone` | status 404, 410 | no |
//! | `denied` | status 401, 402, 403, 407, 451 | no |
//! | `bad_status` | other 4xx, a success other than 200 and 203, a redirect without `Location` | no |
//! | `not_an_image` | the body is HTML, XML, JSON or other text | no |
//! | `too_large` | more than `max_bytes`, sent or announced | no |
//! | `empty` | a body of no bytes | no |
//! | `forbidden_address` | the host is, or resolves to, an address that is not public | no |
//! | `too_many_redirects` | more than `max_redirects` | no |
//! | `redirect_loop` | redirected to a URL that was asked before | no |
//! | `bad_url` | scheme other than http and https, credentials, a port of another protocol, cannot be parsed | no |
//!
//! A host that fails again and again is left alone for a while: its pictures
//! then fail with its last word, without being asked for. Those of a host that
//! asks for patience, or is too slow for all that want something of it, are put
//! off: that is no attempt.
//!
//! A body that is neither text nor a known image is returned: the decoder knows
//! better.

mod address;
mod aimd;
mod answer;
mod clock;
mod config;
mod destination;
mod error;
mod fetch;
mod health;
mod hosts;
pub mod jpeg;
mod memory;
mod pace;
mod peer;
pub mod permits;
mod ranges;
mod rate;
mod recall;
mod resolver;
mod sniff;
mod status;
mod transport;
mod validators;

#[cfg(test)]
mod tests;

pub use address::{AddressPolicy, ForbiddenAddress};
pub use answer::Answer;
pub use config::DownloadConfig;
pub use destination::redirected;
pub use error::{Attempt, Cause, DownloadError, Limit, Transient, Undownloadable};
pub use fetch::{Downloaded, Downloader, DownloaderError, Revalidated};
pub use hosts::{HostCounts, Turn};
pub use memory::Room;
pub use sniff::is_text;
pub use validators::Validators;

/// Says that a test was skipped, where it is seen: not through `eprintln!`,
/// whose output the test runner keeps to itself when a test passes.
#[cfg(test)]
#[allow(clippy::explicit_write, clippy::unwrap_used, reason = "eprintln! is captured")]
fn skip(reason: std::fmt::Arguments<'_>) {
    use std::io::Write;
    writeln!(std::io::stderr(), "skipped: {reason}").unwrap();
}
