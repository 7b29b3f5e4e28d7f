//! What a response's status means for the download.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::{rfc2822, strtime};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use tagfleet_shared::wall_clock;

use super::error::{Cause, DownloadError, Limit, Transient, Undownloadable};

/// How to go on after the headers of a response.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// The image is in the body.
    Body,
    /// The image is elsewhere.
    Redirect(&'a [u8]),
}

/// Sorts a response by its status.
pub fn judge(status: StatusCode, headers: &HeaderMap) -> Result<Next<'_>, DownloadError> {
    let code = status.as_u16();
    let refused = match code {
        // 203 is a 200 that a proxy has edited.
        200 | 203 => return Ok(Next::Body),
        301 | 302 | 303 | 307 | 308 => match headers.get(LOCATION) {
            Some(location) => return Ok(Next::Redirect(location.as_bytes())),
            None => Undownloadable::BadStatus(code),
        },
        404 | 410 => Undownloadable::Gone(code),
        401..=403 | 407 | 451 => Undownloadable::Denied(code),
        408 => return Err(later(Cause::Timeout(Limit::Server), headers)),
        425 | 429 => return Err(later(Cause::Throttled(code), headers)),
        500.. => return Err(later(Cause::ServerError(code), headers)),
        _ => Undownloadable::BadStatus(code),
    };
    Err(refused.into())
}

fn later(cause: Cause, headers: &HeaderMap) -> DownloadError {
    let retry_after = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| retry_after(value, wall_clock::now()));
    Transient { retry_after, ..cause.into() }.into()
}

/// Reads `Retry-After`: seconds, or a date in any of HTTP's three formats. A
/// date that has passed means now.
fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let wait = http_date(value)?.duration_since(now);
    Some(wait.try_into().unwrap_or(Duration::ZERO))
}

fn http_date(value: &str) -> Option<Timestamp> {
    const IMF_FIXDATE: rfc2822::DateTimeParser = rfc2822::DateTimeParser::new().relaxed_weekday(true);
    const OBSOLETE: [&str; 2] = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

    let obsolete = |format| {
        let date = strtime::parse(format, value).ok()?.to_datetime().ok()?;
        date.in_tz("UTC").ok().map(|zoned| zoned.timestamp())
    };
    IMF_FIXDATE.parse_timestamp(value).ok().or_else(|| OBSOLETE.into_iter().find_map(obsolete))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(code: u16) -> &'static str {
        let status = StatusCode::from_u16(code).unwrap();
        match judge(status, &HeaderMap::new()) {
            Ok(_) => "ok",
            Err(error) => error.reason(),
        }
    }

    #[test]
    fn every_status_has_its_reason() {
        let expected: &[(&str, &[u16])] = &[
            ("ok", &[200, 203]),
            ("gone", &[404, 410]),
            ("denied", &[401, 402, 403, 407, 451]),
            ("bad_status", &[101, 201, 202, 204, 205, 206, 226]),
            ("bad_status", &[300, 301, 302, 303, 304, 305, 306, 307, 308]),
            ("bad_status", &[400, 405, 406, 409, 411, 418, 422, 426, 431]),
            ("timeout", &[408]),
            ("throttled", &[425, 429]),
            ("server_error", &[500, 501, 502, 503, 504, 509, 522, 599, 999]),
        ];

        for (word, codes) in expected {
            for &code in *codes {
                assert_eq!(reason(code), *word, "status {code}");
            }
        }
    }

    #[test]
    fn only_statuses_that_may_pass_are_tried_again() {
        for code in 100..=999 {
            let status = StatusCode::from_u16(code).unwrap();
            let transient = matches!(judge(status, &HeaderMap::new()), Err(DownloadError::Transient(_)));

            let expected = matches!(code, 408 | 425 | 429 | 500..);
            assert_eq!(transient, expected, "status {code}");
        }
    }

    #[test]
    fn retry_after_is_read_in_all_its_forms() {
        let now: Timestamp = "2026-11-06T08:49:00Z".parse().unwrap();
        let read = |value| retry_after(value, now);
        let seconds = |seconds| Some(Duration::from_secs(seconds));

        assert_eq!(read("120"), seconds(120));
        assert_eq!(read(" 0 "), seconds(0));
        assert_eq!(read("99999999999999999999999"), seconds(u64::MAX));
        assert_eq!(read("Fri, 06 Nov 2026 08:49:37 GMT"), seconds(37));
        assert_eq!(read("Friday, 06-Nov-26 08:49:37 GMT"), seconds(37));
        assert_eq!(read("Fri Nov  6 08:49:37 2026"), seconds(37));
        assert_eq!(read("Fri, 06 Nov 2026 08:00:00 GMT"), seconds(0));
    }

    #[test]
    fn a_retry_after_that_is_neither_is_ignored() {
        let now = Timestamp::now();

        for value in ["", "soon", "-5", "1.5", "Fri, 99 Nov 2026 08:49:37 GMT"] {
            assert_eq!(retry_after(value, now), None, "{value:?}");
        }
    }
}
