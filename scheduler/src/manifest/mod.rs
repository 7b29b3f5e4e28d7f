//! Inventories too large for an event: NDJSON behind a URL, plain or gzip,
//! streamed. Memory stays flat, however long it is.

mod lines;
mod open;

use std::time::{Duration, Instant};

use tagfleet_shared::backoff::Backoff;
use tagfleet_shared::events::{ListedImage, Malformed};
use tracing::warn;

pub use self::lines::{Line, Lines, MAX_LINE_BYTES};
use self::open::Failure;
pub use self::open::{Manifests, Text, unpacked};
use crate::inventory::Row;

/// So many malformed lines of one manifest are told one by one.
const TOLD_ONE_BY_ONE: u64 = 10;

/// The manifest cannot be read, or no further, however often one tries.
#[derive(Debug, thiserror::Error)]
#[error("manifest_url: {0}")]
pub struct Unavailable(String);

/// One manifest, from where it was left off to its end.
pub struct Manifest {
    manifests: Manifests,
    url: String,
    text: Option<Lines<Text>>,
    /// Images that were returned, or listed before.
    read: i32,
    malformed: u64,
    told_unknown: bool,
    /// Since when nothing new has come.
    failing: Option<(Instant, Backoff)>,
    /// Why nothing new will ever come.
    failed: Option<String>,
}

impl Manifest {
    fn new(manifests: Manifests, url: String, listed: i32) -> Self {
        Self {
            manifests,
            url,
            text: None,
            read: listed,
            malformed: 0,
            told_unknown: false,
            failing: None,
            failed: None,
        }
    }

    /// The next `size` images. Fewer at the end, and then none.
    ///
    /// A manifest that breaks off is opened again and read on where it was.
    ///
    /// # Errors
    ///
    /// If it is not NDJSON, too long, not there, or away for too long; but not
    /// before every image that was read is returned.
    pub async fn page(&mut self, size: usize) -> Result<Vec<Row>, Unavailable> {
        let mut rows = Vec::with_capacity(size);
        while rows.len() < size && self.failed.is_none() {
            match self.row().await {
                Ok(Some(row)) => {
                    self.failing = None;
                    self.read += 1;
                    rows.push(row);
                }
                Ok(None) => break,
                Err(Failure::Final(problem)) => self.failed = Some(problem),
                Err(Failure::Transient(problem)) => self.hold(problem).await,
            }
        }
        if rows.is_empty()
            && let Some(problem) = self.failed.take()
        {
            return Err(Unavailable(problem));
        }
        if rows.len() < size && self.malformed > TOLD_ONE_BY_ONE {
            warn!(lines = self.malformed, "the manifest has {} malformed lines", self.malformed);
        }
        Ok(rows)
    }

    async fn row(&mut self) -> Result<Option<Row>, Failure> {
        let text = match &mut self.text {
            Some(text) => text,
            None => self.text.insert(open_at(&self.manifests, &self.url, self.read).await?),
        };
        let Some((number, line)) = text.next().await.map_err(Failure::broken_off)? else { return Ok(None) };
        if self.read >= self.manifests.max_images() {
            return Err(Failure::Final(format!("has more than {} images", self.read)));
        }
        let parsed = match line {
            Line::Whole(line) => ListedImage::parse(line),
            Line::TooLong => {
                let problem = format!("is longer than {MAX_LINE_BYTES} bytes");
                Err(Malformed { field: ".".into(), problem })
            }
        };
        match parsed {
            Ok(parsed) => {
                if !parsed.unknown_fields.is_empty() && !self.told_unknown {
                    self.told_unknown = true;
                    let fields = parsed.unknown_fields.join(", ");
                    warn!(line = number, %fields, "fields that nobody knows, they change nothing: {fields}");
                }
                Ok(Some(parsed.value.into()))
            }
            Err(error) => {
                // An error page, or a file of some other kind.
                if self.read == 0 && !line.is_object() {
                    return Err(Failure::not_ndjson());
                }
                self.malformed += 1;
                if self.malformed <= TOLD_ONE_BY_ONE {
                    warn!(line = number, %error, "malformed line in the manifest, skipping it");
                }
                Ok(Some(Row::malformed()))
            }
        }
    }

    /// Waits before the next try; gives up after too long without an image.
    async fn hold(&mut self, problem: String) {
        self.text = None;
        if self.failing.is_none() {
            warn!(%problem, image = self.read, "manifest not to be had, trying again");
        }
        let first = || Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
        let (since, backoff) = self.failing.get_or_insert_with(|| (Instant::now(), first()));
        if since.elapsed() > self.manifests.patience() {
            self.failed = Some(problem);
        } else {
            backoff.wait().await;
        }
    }
}

/// Opens a manifest and goes to its `skip`-th image.
async fn open_at(manifests: &Manifests, url: &str, skip: i32) -> Result<Lines<Text>, Failure> {
    let mut lines = manifests.open(url).await?;
    for read in 0..skip {
        match lines.next().await.map_err(Failure::broken_off)? {
            Some((_, line)) if read == 0 && !line.is_object() => return Err(Failure::not_ndjson()),
            Some(_) => {}
            None => {
                warn!("the manifest has shrunk from {skip} images to {read}");
                break;
            }
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests;
