//! From a URL to lines of text.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context;
use async_compression::tokio::bufread::GzipDecoder;
use futures::TryStreamExt;
use reqwest::{Client, StatusCode, redirect};
use tagfleet_shared::tls;
use tokio::io::{AsyncBufRead, AsyncReadExt, BufReader};
use tokio_util::io::StreamReader;

use super::Manifest;
use super::lines::Lines;
use crate::config::FanOutConfig;

/// The first bytes of every gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A manifest's text, unpacked.
pub type Text = Pin<Box<dyn AsyncBufRead + Send>>;

/// Why a manifest cannot be read, now.
#[derive(Debug)]
pub(super) enum Failure {
    /// It may be there a little later.
    Transient(String),
    /// It will not.
    Final(String),
}

impl Failure {
    pub(super) fn broken_off(error: io::Error) -> Self {
        // The outermost error says the least: "error decoding response body".
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Self::Transient(format!("broke off: {cause}"))
    }

    pub(super) fn not_ndjson() -> Self {
        Self::Final("is not NDJSON: the first line is not a JSON object".to_owned())
    }

    fn connection(error: reqwest::Error) -> Self {
        let error = anyhow::Error::from(error.without_url());
        Self::Transient(format!("no connection: {error:#}"))
    }

    fn status(status: StatusCode) -> Self {
        let problem = format!("server answered {status}");
        let later = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
        if status.is_server_error() || later.contains(&status) {
            Self::Transient(problem)
        } else {
            Self::Final(problem)
        }
    }
}

/// Where manifests come from.
#[derive(Clone)]
pub struct Manifests {
    client: Client,
    patience: Duration,
    max_images: i32,
}

impl Manifests {
    /// A client with the limits of `config`.
    ///
    /// # Errors
    ///
    /// If the system's certificates cannot be loaded.
    pub fn new(config: &FanOutConfig) -> anyhow::Result<Self> {
        tls::install();
        let client = Client::builder()
            .user_agent(concat!("tagfleet-scheduler/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(config.manifest_connect_timeout)
            .read_timeout(config.manifest_idle_timeout)
            .timeout(config.manifest_timeout)
            .redirect(redirect::Policy::limited(5))
            .build()
            .context("no HTTP client for manifests")?;
        Ok(Self { client, patience: config.manifest_patience, max_images: config.manifest_max_images })
    }

    /// The manifest at `url`, from its `listed`-th image on.
    pub fn manifest(&self, url: &str, listed: i32) -> Manifest {
        Manifest::new(self.clone(), url.to_owned(), listed)
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    pub(super) fn max_images(&self) -> i32 {
        self.max_images
    }

    /// Opens the manifest at its beginning.
    pub(super) async fn open(&self, url: &str) -> Result<Lines<Text>, Failure> {
        let response = self.client.get(url).send().await.map_err(Failure::connection)?;
        if !response.status().is_success() {
            return Err(Failure::status(response.status()));
        }
        let body = StreamReader::new(Box::pin(response.bytes_stream().map_err(io::Error::other)));
        Ok(Lines::new(unpacked(body).await.map_err(Failure::broken_off)?))
    }
}

/// The text itself. Its first bytes tell whether it is gzip: servers disagree
/// about the headers of a `.gz`.
///
/// # Errors
///
/// If reading fails.
pub async fn unpacked(mut body: impl AsyncBufRead + Unpin + Send + 'static) -> io::Result<Text> {
    let mut first = Vec::with_capacity(GZIP.len());
    (&mut body).take(GZIP.len() as u64).read_to_end(&mut first).await?;
    let gzip = first == GZIP;
    let whole = io::Cursor::new(first).chain(body);
    if !gzip {
        return Ok(Box::pin(whole));
    }
    let mut text = GzipDecoder::new(whole);
    // Parts that were packed one by one and put together are one file.
    text.multiple_members(true);
    Ok(Box::pin(BufReader::with_capacity(64 * 1024, text)))
}
