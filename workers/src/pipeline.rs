//! The life of one image, top to bottom.
//!
//! known? → (due? → changed?) → download → known by its bytes? → decode → infer.
//! Every step awaits, and batching hides behind the await. The prefetch limits how many
//! images are at it at once, `pictures` how many of them have bytes in memory, and
//! `looks` of the set how many are decoded or looked at; the lanes share all of these.

#![warn(clippy::large_futures, reason = "every job is one of these, and it is moved when it is spawned")]

use std::sync::Arc;

use tagfleet_shared::failpoint::{self, Point};
use tagfleet_shared::ids::{BytesHash, ImageId};
use tagfleet_shared::lane::Lane;
use tagfleet_shared::traces::TARGET;
use tracing::{Instrument, info_span};
use url::Url;

use crate::download::{DownloadError, Downloaded, Downloader, Undownloadable};
use crate::freshness::Seen;
use crate::known::Found;
use crate::lookup::ScrapeKey;
use crate::metrics::{Look, Metrics, Stage};
use crate::outcome::{Known, Outage, Outcome, Stop, Unfinished};
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
        let found = set.known.find(image).instrument(info_span!(target: TARGET, "lookup")).await?;
        failpoint::here(Point::LookedUp);
        match found {
            Found::Known(known) => Ok(Outcome::Cached(known)),
            Found::Due(known) if image.suspected => Ok(Outcome::Cached(known)),
            Found::Nothing if image.suspected => Err(Stop::Suspected),
            // Boxed: nine jobs in ten are known, and need not be as large as this.
            Found::Due(known) => Box::pin(self.look_again(set, image, known)).await,
            Found::Nothing => {
                let look = Box::pin(self.look(set, image, None));
                Box::pin(set.known.once(image.id, look)).await
            }
        }
    }

    /// What is known is due: it is renewed, or told anew where there is another
    /// picture now; and it stays where that cannot be found out.
    async fn look_again(&self, set: &SetAtWork, image: &Wanted, known: Arc<Known>) -> Result<Outcome, Stop> {
        let look = async {
            match self.look(set, image, Some(&known)).await {
                Err(Stop::Outage(Outage::Database(away))) => Err(away.into()),
                Ok(outcome) if outcome.known().is_some() => Ok(outcome),
                _ => {
                    self.metrics.looked_again(Look::Failed);
                    Ok(Outcome::Cached(known.with(known.seen.clone().map(Seen::put_off))))
                }
            }
        };
        set.known.again(image.id, Box::pin(look)).await
    }

    /// Looks at a picture, unless it is the `known` one still.
    async fn look(
        &self,
        set: &SetAtWork,
        image: &Wanted,
        known: Option<&Arc<Known>>,
    ) -> Result<Outcome, Stop> {
        // Sick models are not brought one picture after another.
        set.models.check().await?;
        let (Downloaded { bytes, validators, room }, place) = self.download(image, known).await?;
        let seen = set.known.seen(image, validators);
        let hash = bytes.as_deref().map(BytesHash::of);
        if let Some(known) = known.filter(|known| hash.is_none_or(|hash| hash == known.bytes)) {
            self.metrics.looked_again(if hash.is_none() { Look::Unchanged } else { Look::SameBytes });
            return Ok(Outcome::Renewed(known.with(seen)));
        }
        let (Some(bytes), Some(hash)) = (bytes, hash) else {
            // Nobody has asked it whether there is another one.
            return Err(DownloadError::from(Undownloadable::BadStatus(304)).into());
        };
        let look = async {
            failpoint::here(Point::Unmatched);
            let _place = set.looks.take(image.lane).await.expect("nobody cuts these lines");
            let pixels = set.decoder.decode(bytes).instrument(info_span!(target: TARGET, "decode")).await?;
            drop((place, room));
            failpoint::here(Point::Decoded);
            let (width, height) = (pixels.width(), pixels.height());
            let answer = set.models.infer(pixels).instrument(info_span!(target: TARGET, "infer")).await?;
            failpoint::here(Point::Inferred);
            Ok(Known { answer, bytes: hash, width, height, seen: None })
        };
        let outcome = set.known.same_bytes(hash, Box::pin(look)).await?;
        let replaces = known.map(|known| known.bytes);
        if replaces.is_some() {
            self.metrics.looked_again(Look::Changed);
        }
        Ok(outcome.seen(seen.map(|seen| Seen { replaces, ..seen })))
    }

    /// The bytes, and what has to be held for as long as they are in memory.
    ///
    /// First the turn and then the place: the pictures of a slow host wait for
    /// each other, and take no place from those of other hosts.
    pub(crate) async fn download(
        &self,
        image: &Wanted,
        known: Option<&Arc<Known>>,
    ) -> Result<(Downloaded, Place), Stop> {
        let waiting = info_span!(target: TARGET, "turn");
        let turn = image.source.turn(&self.downloader, image.lane).await?;
        failpoint::here(Point::TurnTaken);
        let place = self.pictures.take(image.lane).await.expect("nobody cuts these lines");
        drop(waiting);
        let _timer = self.metrics.stage(Stage::Download, 1);
        let validators = known.and_then(|known| known.seen.as_ref()).map(|seen| &seen.validators);
        let downloaded = image
            .source
            .fetch(&self.downloader, turn, validators)
            .instrument(info_span!(target: TARGET, "download"))
            .await?;
        failpoint::here(Point::Downloaded);
        if let Some(bytes) = &downloaded.bytes {
            self.metrics.downloaded(bytes);
        }
        Ok((downloaded, place))
    }
}

/// Reads the URL of a job; one that does not parse is a dead link like any other.
pub fn source_of(url: &str) -> Source {
    Url::parse(url).map_or(Source::Unreadable, Source::Url)
}

#[cfg(test)]
mod tests;
