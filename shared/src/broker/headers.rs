//! Reading the headers of a message.

use std::collections::BTreeMap;
use std::time::Duration;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, ShortString};

use crate::wall_clock;

/// Those that are text.
pub(super) fn texts(properties: &BasicProperties) -> BTreeMap<String, String> {
    let headers = properties.headers().iter().flat_map(|headers| headers.inner());
    let text = |(name, value): (&ShortString, &AMQPValue)| match value {
        AMQPValue::LongString(text) => Some((name.to_string(), text.to_string())),
        _ => None,
    };
    headers.filter_map(text).collect()
}

/// A clock that is behind the publisher's sees no negative time.
pub(super) fn since(published: i64) -> Duration {
    let waited = wall_clock::now().as_millisecond().saturating_sub(published);
    Duration::from_millis(u64::try_from(waited).unwrap_or(0))
}

/// How long it is until then; `None` where that is over.
pub(super) fn until(then: i64) -> Option<Duration> {
    let left = then.saturating_sub(wall_clock::now().as_millisecond());
    u64::try_from(left).ok().filter(|&left| left > 0).map(Duration::from_millis)
}

/// A header that counts; 0 where there is none.
pub(super) fn count(properties: &BasicProperties, header: &str) -> u32 {
    number(properties, header).and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}

/// A header that is a whole number, of whatever size.
pub(super) fn number(properties: &BasicProperties, header: &str) -> Option<i64> {
    match properties.headers().as_ref()?.inner().get(header)? {
        AMQPValue::LongLongInt(n) => Some(*n),
        AMQPValue::LongInt(n) => Some(i64::from(*n)),
        AMQPValue::LongUInt(n) => Some(i64::from(*n)),
        AMQPValue::ShortInt(n) => Some(i64::from(*n)),
        AMQPValue::ShortUInt(n) => Some(i64::from(*n)),
        AMQPValue::ShortShortInt(n) => Some(i64::from(*n)),
        AMQPValue::ShortShortUInt(n) => Some(i64::from(*n)),
        _ => None,
    }
}
