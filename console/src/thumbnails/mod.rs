//! Small pictures for the pages: a browser never calls the servers of strangers.
//!
//! The picture is fetched by the same downloader as the workers', so under the same policy: forbidden
//! addresses are refused on every hop, and the peer is checked. It is decoded by decoders in Rust alone,
//! within limits, and encoded anew: nothing of a stranger's file reaches a browser. `draw.rs` does that;
//! `blank.rs` draws what stands where there is no picture.
//!
//! They are kept in memory (`thumbnails.max_bytes`): 256 MiB are some 20,000 of a grid, and what is lost with
//! a process is fetched again. A disk would have to be given to a container that has none to write to.

mod blank;
mod draw;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use moka::Expiry;
use moka::future::Cache;
use serde::Deserialize;
use tagfleet_download::{DownloadConfig, DownloadError, Downloaded, Downloader, DownloaderError};
use tagfleet_shared::lane::{Lane, LaneWeights};
use tokio::sync::Semaphore;
use url::Url;
use uuid::Uuid;

pub use self::draw::Limits;

/// A host that asks for patience is left alone for so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Beside the bytes themselves, an entry takes about so much.
const ENTRY_BYTES: usize = 200;

/// How they are made and kept; the manual is `config.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThumbnailsConfig {
    /// Memory for those that are kept.
    pub max_bytes: u64,
    /// How long one is kept.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
    /// How long it is remembered that a picture cannot be had.
    #[serde(with = "humantime_serde")]
    pub keep_blank: Duration,
    /// Pictures that are decoded at the same time.
    pub decoders: usize,
    /// Width times height of the largest picture that is decoded.
    pub max_pixels: u64,
    /// Memory for one picture while it is decoded.
    pub max_memory_bytes: u64,
}

impl ThumbnailsConfig {
    /// Adds what cannot work.
    pub fn check(&self, problems: &mut Vec<String>) {
        if self.decoders == 0 || self.max_pixels == 0 || self.max_memory_bytes == 0 {
            problems.push("thumbnails.decoders, max_pixels and max_memory_bytes must be at least 1".into());
        }
        if self.keep.is_zero() || self.keep_blank.is_zero() {
            problems.push("thumbnails.keep and keep_blank must be longer than nothing".into());
        }
    }
}

/// How large: its longer side, in pixels. There are few, so that nobody fills the cache with sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Size {
    /// In a grid.
    Small,
    /// On a page of its own.
    Large,
}

impl Size {
    /// The one with this name.
    pub fn named(pixels: u32) -> Option<Self> {
        [Self::Small, Self::Large].into_iter().find(|size| size.pixels() == pixels)
    }

    /// Its longer side.
    pub fn pixels(self) -> u32 {
        match self {
            Self::Small => 320,
            Self::Large => 1280,
        }
    }
}

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// Of this image,
    pub image: Uuid,
    /// as it was when its bytes had a hash that begins so; 0 where nobody has seen them. Other bytes are another
    /// picture: what is kept of the one before does not stand for it.
    pub bytes: u32,
    /// How large.
    pub size: Size,
}

/// A small picture, or what stands in its place.
#[derive(Clone, Debug)]
pub struct Thumbnail {
    /// The file.
    pub bytes: Bytes,
    /// Its media type.
    pub kind: &'static str,
    /// Another one for another file.
    pub etag: String,
    /// How long a browser may keep it.
    pub keep: Duration,
    /// Why there is no picture.
    pub missing: Option<&'static str>,
}

/// Makes and keeps them. Cheap to clone.
#[derive(Clone)]
pub struct Thumbnails {
    downloader: Downloader,
    kept: Cache<Wanted, Thumbnail>,
    decoders: Arc<Semaphore>,
    limits: Limits,
    config: ThumbnailsConfig,
}

/// Each for as long as it says.
struct AsLongAsItSays;

impl Expiry<Wanted, Thumbnail> for AsLongAsItSays {
    fn expire_after_create(&self, _: &Wanted, made: &Thumbnail, _: Instant) -> Option<Duration> {
        Some(made.keep)
    }
}

impl Thumbnails {
    /// Keeps none yet.
    ///
    /// # Errors
    ///
    /// If there can be no downloader.
    pub fn new(config: &ThumbnailsConfig, download: &DownloadConfig) -> Result<Self, DownloaderError> {
        // People wait for all of them alike.
        let lanes = LaneWeights { express: 1, standard: 1, bulk: 1 };
        let kept = Cache::builder()
            .max_capacity(config.max_bytes)
            .weigher(|_, made: &Thumbnail| u32::try_from(made.bytes.len() + ENTRY_BYTES).unwrap_or(u32::MAX))
            .expire_after(AsLongAsItSays)
            .build();
        Ok(Self {
            downloader: Downloader::new(download.clone(), lanes, vec![PATIENCE])?,
            kept,
            decoders: Arc::new(Semaphore::new(config.decoders)),
            limits: Limits { max_pixels: config.max_pixels, max_memory_bytes: config.max_memory_bytes },
            config: config.clone(),
        })
    }

    /// The one that is `wanted`, from the URL that `find` gives with the bytes that the image has now: of others there is
    /// none to be had, and none is kept. Those who want the same at the same time wait for one.
    ///
    /// # Errors
    ///
    /// Whatever kept `find` from its answer; a picture that cannot be had is none.
    pub async fn of<E>(
        &self,
        wanted: Wanted,
        find: impl Future<Output = Result<Option<(String, u32)>, E>>,
    ) -> Result<Thumbnail, E> {
        if let Some(kept) = self.kept.get(&wanted).await {
            return Ok(kept);
        }
        let Some((url, bytes)) = find.await? else { return Ok(self.blank("not_listed")) };
        let there = Wanted { bytes, ..wanted };
        let made = self.kept.get_with(there, self.make(&url, there.size)).await;
        let keep = if there == wanted { made.keep } else { Duration::ZERO };
        Ok(Thumbnail { keep, ..made })
    }

    async fn make(&self, url: &str, size: Size) -> Thumbnail {
        let Ok(url) = Url::parse(url) else { return self.blank("bad_url") };
        let file = match self.fetch(&url).await {
            Ok(file) => file,
            Err(error) => return self.blank(error.reason()),
        };
        let Ok(turn) = self.decoders.clone().acquire_owned().await else { return self.blank("stopped") };
        let limits = self.limits;
        let drawing = tokio::task::spawn_blocking(move || {
            // Until it is drawn, whoever hangs up meanwhile.
            let (_turn, Downloaded { bytes, room: _room, .. }) = (turn, file);
            draw::draw(&bytes, size.pixels(), limits)
        });
        // A decoder that panics has met one bad picture.
        match drawing.await {
            Ok(Ok(bytes)) => Thumbnail {
                etag: etag(&bytes),
                bytes: bytes.into(),
                kind: "image/jpeg",
                keep: self.config.keep,
                missing: None,
            },
            Ok(Err(draw::TooLarge)) => self.blank("too_large"),
            Ok(Err(draw::Unreadable)) | Err(_) => self.blank("unreadable"),
        }
    }

    async fn fetch(&self, url: &Url) -> Result<Downloaded, DownloadError> {
        let turn = self.downloader.turn(url, Lane::Standard).await?;
        self.downloader.fetch(url, turn).await
    }

    fn blank(&self, reason: &'static str) -> Thumbnail {
        let svg = blank::blank(reason);
        Thumbnail {
            etag: etag(svg.as_bytes()),
            bytes: svg.into(),
            kind: "image/svg+xml",
            keep: self.config.keep_blank,
            missing: Some(reason),
        }
    }
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", &blake3::hash(bytes).to_hex()[..20])
}
