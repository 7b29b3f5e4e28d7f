//! The console's pages, in a real browser on a real fleet. `skipped: …` where there is no Chromium and
//! `scripts/setup.sh` has not promised one.
//!
//! What they look like is kept in `target/screenshots`, for a person to look at.

#![allow(clippy::unwrap_used)]

mod correcting;
mod everywhere;
mod failures;
mod filter;
mod keys;
mod leaving;
mod letters;
mod login;
mod looks;
mod many;
mod outages;
mod scrapes;
mod story;

use tagfleet_shared::events::ScrapeFinished;
use tagfleet_tests::{listed, scrape};

/// A scrape of these URLs.
fn inventory(advertiser: &str, urls: &[String]) -> ScrapeFinished {
    scrape(advertiser, urls.iter().map(listed).collect())
}
