//! Lists of durations in configuration: `["5s", "30s"]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
struct Item(#[serde(with = "humantime_serde")] Duration);

/// For `#[serde(with = …)]`.
///
/// # Errors
///
/// If one of them is not written like `5s` or `2m 30s`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Duration>, D::Error> {
    Ok(Vec::<Item>::deserialize(deserializer)?.into_iter().map(|item| item.0).collect())
}
