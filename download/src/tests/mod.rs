//! The downloader against real connections.

mod addresses;
mod answers;
mod everywhere;
mod inside;
mod limits;
mod names;
mod politeness;
mod redirects;
pub mod server;

use std::time::Duration;

use bytes::Bytes;
use tagfleet_shared::lane::{Lane, LaneWeights};
use url::Url;

use super::{DownloadConfig, DownloadError, Downloader};

const LANES: LaneWeights = LaneWeights { express: 6, standard: 3, bulk: 1 };

/// Limits that no test meets by accident: each test lowers the one it is about.
fn config() -> DownloadConfig {
    let patient = Duration::from_secs(20);
    DownloadConfig {
        connect_timeout: patient,
        header_timeout: patient,
        idle_timeout: patient,
        total_timeout: patient,
        max_bytes: 100_000,
        max_memory_bytes: 10_000_000,
        max_redirects: 3,
        per_host: 8,
        per_host_rate: 0.0,
        longest_pause: Duration::from_secs(3600),
        min_bytes_per_second: 0,
        user_agent: "tagfleet/{version}".into(),
        allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
        allow_hosts: Vec::new(),
    }
}

fn downloader(config: DownloadConfig) -> Downloader {
    // Another test may have installed it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Downloader::new(config, LANES, vec![Duration::from_secs(120)]).unwrap()
}

async fn fetch(config: DownloadConfig, url: &Url) -> Result<Bytes, DownloadError> {
    get(&downloader(config), url).await
}

async fn get(downloader: &Downloader, url: &Url) -> Result<Bytes, DownloadError> {
    let turn = downloader.turn(url, Lane::Standard).await?;
    Ok(downloader.fetch(url, turn).await?.bytes)
}

/// The word for a download that must fail.
async fn reason(config: DownloadConfig, url: &Url) -> &'static str {
    fetch(config, url).await.unwrap_err().reason()
}

/// Something that passes for an image.
fn image(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (byte, signature) in bytes.iter_mut().zip(*b"\xff\xd8\xff\xe0") {
        *byte = signature;
    }
    bytes
}
