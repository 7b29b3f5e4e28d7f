//! The life of one image, top to bottom.
//!
//! known? → download → known by its bytes? → decode → infer. Every step
//! awaits, and batching hides behind the await. The prefetch limits how many
//! images are at it at once, `pictures` how many of them have bytes in memory, and
//! `looks` of the set how many are decoded or looked at; the lanes share all of these.

#![warn(clippy::large_futures, reason = "every job is one of these, and it is moved when it is spawned")]

use std::sync::Arc;

use bytes::Bytes;
use tagfleet_shared::failpoint::{self, Point};
use tagfleet_shared::ids::{BytesHash, ImageId};
use tagfleet_shared::lane::Lane;
use url::Url;

use crate::download::{Downloaded, Downloader, Room};
use crate::lookup::ScrapeKey;
use crate::metrics::{Metrics, Stage};
use crate::outcome::{Known, Outcome, Stop, Unfinished};
use crate::places::{Place, Places};
use crate::sets::{SetAtWork, Sets};
use crate::source::Source;

/// One image that somebody wants tagged.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Who it is.
    pub id: ImageId,
    /// Where it is.
    pub source: Source,
    /// The lane that it came by.
    pub lane: Lane,
    /// The scrape that asks, so that its being superseded is noticed.
    pub scrape: ScrapeKey,
    /// Whether its worker may have died of it: then it may only be looked up among others, and
    /// everything else is done where it is alone.
    pub suspected: bool,
}

/// The stages of the work on an image.
pub struct Pipeline {
    /// The model set that answers, with its caches and its threads.
    pub sets: Arc<Sets>,
    /// A place for each picture that is in memory.
    pub pictures: Places,
    /// The way to the pictures.
    pub downloader: Downloader,
    /// What is counted and timed.
    pub metrics: Metrics,
}

impl Pipeline {
    /// Takes one image to its end, with one model set all the way. Nothing is
    /// recorded yet.
    ///
    /// # Errors
    ///
    /// [`Unfinished`] where it has no end yet: run it again, now or later.
    pub async fn run(&self, set: &SetAtWork, image: &Wanted) -> Result<Outcome, Unfinished> {
        match self.tag(set, image).await {
            Ok(outcome) | Err(Stop::End(outcome)) => Ok(outcome),
            Err(Stop::Later(transient)) => Err(Unfinished::Later(transient)),
            Err(Stop::Poison(poison)) => Err(Unfinished::Poison(poison)),
            Err(Stop::Suspected) => Err(Unfinished::Suspected),
            Err(Stop::Outage(outage)) => Err(Unfinished::Outage(outage)),
        }
    }

    /// The happy path, and nothing else: a stage that fails says so with `?`.
    async fn tag(&self, set: &SetAtWork, image: &Wanted) -> Result<Outcome, Stop> {
        let known = set.known.find(image).await?;
        failpoint::here(Point::LookedUp);
        if let Some(known) = known {
            return Ok(Outcome::Cached(known));
        }
        if image.suspected {
            return Err(Stop::Suspected);
        }
        // Boxed: nine jobs in ten are known, and need not be as large as this.
        Box::pin(self.find_out(set, image)).await
    }

    /// What nobody knows has to be looked at.
    async fn find_out(&self, set: &SetAtWork, image: &Wanted) -> Result<Outcome, Stop> {
        let work = async {
            // Sick models are not brought one picture after another.
            set.models.check().await?;
            let (bytes, held) = self.download(image).await?;
            let hash = BytesHash::of(&bytes);
            let look = async {
                failpoint::here(Point::Unmatched);
                let _place = set.looks.take(image.lane).await.expect("nobody cuts these lines");
                let pixels = set.decoder.decode(bytes).await?;
                drop(held);
                failpoint::here(Point::Decoded);
                let (width, height) = (pixels.width(), pixels.height());
                let answer = set.models.infer(pixels).await?;
                failpoint::here(Point::Inferred);
                Ok(Known { answer, bytes: hash, width, height })
            };
            set.known.same_bytes(hash, Box::pin(look)).await
        };
        set.known.once(image.id, Box::pin(work)).await
    }

    /// The bytes, and what has to be held for as long as they are in memory.
    ///
    /// First the turn and then the place: the pictures of a slow host wait for
    /// each other, and take no place from those of other hosts.
    async fn download(&self, image: &Wanted) -> Result<(Bytes, (Place, Room)), Stop> {
        let turn = image.source.turn(&self.downloader, image.lane).await?;
        failpoint::here(Point::TurnTaken);
        let place = self.pictures.take(image.lane).await.expect("nobody cuts these lines");
        let _timer = self.metrics.stage(Stage::Download, 1);
        let Downloaded { bytes, room } = image.source.fetch(&self.downloader, turn).await?;
        failpoint::here(Point::Downloaded);
        self.metrics.downloaded(bytes.len());
        Ok((bytes, (place, room)))
    }
}

/// Reads the URL of a job; one that does not parse is a dead link like any other.
pub fn source_of(url: &str) -> Source {
    Url::parse(url).map_or(Source::Unreadable, Source::Url)
}

#[cfg(test)]
mod tests;
