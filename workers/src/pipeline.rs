//! The life of one image, top to bottom.
//!
//! known? → (due or replaced? → changed?) → download → known by its bytes? → decode → infer.
//! Every step awaits, and batching hides behind the await. The prefetch limits how many
//! images are at it at once, `pictures` how many of them have bytes in memory or soon will, and
//! `looks` of the set how many are decoded or looked at; the lanes share all of these.

#![warn(clippy::large_futures, reason = "every job is one of these, and it is moved when it is spawned")]

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tagfleet_download::permits::{Permit, Permits};
use tagfleet_download::{DownloadError, Downloaded, Downloader, Revalidated, Room, Turn, Validators};
use tagfleet_shared::failpoint::{self, Point};
use tagfleet_shared::ids::{BytesHash, ImageId};
use tagfleet_shared::jobs::Trust;
use tagfleet_shared::lane::Lane;
use tagfleet_shared::traces::TARGET;
use tracing::{Instrument, error, info_span};
use url::Url;

use crate::freshness::LastLook;
use crate::known::Found;
use crate::lookup::ScrapeKey;
use crate::metrics::{Look, Metrics, Stage};
use crate::outcome::{Known, Outage, Outcome, Stop, Unfinished};
use crate::sets::{SetAtWork, Sets};
use crate::source::Source;

/// So long a picture keeps its permit while its host has not answered. Long: hosts that are slow to
/// answer hold up all others. Short: where the models are what is slow, many servers begin to send pictures for
/// which there is no permit, and some hang up before there is one.
const SOON: Duration = Duration::from_millis(500);

/// One image that somebody wants tagged.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What its tags are known by.
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
    /// How far what is known of it may be trusted.
    pub trust: Trust,
}

/// The stages of the work on an image.
pub struct Pipeline {
    /// The model set that answers, with its caches and its threads.
    pub sets: Arc<Sets>,
    /// A permit for each picture that is in memory, or will be soon.
    pub pictures: Permits,
    /// The way to the pictures.
    pub downloader: Downloader,
    /// What is counted and timed.
    pub metrics: Metrics,
}

impl Pipeline {
    /// Takes one image to its end, with one model set all the way, or says why it
    /// has none yet. Nothing is recorded yet.
    ///
    /// # Errors
    ///
    /// [`Outage`] where the fleet is unwell: hold the image, and run it again.
    pub async fn run(&self, set: &SetAtWork, image: &Wanted) -> Result<Result<Outcome, Unfinished>, Outage> {
        match self.tag(set, image).await {
            Ok(outcome) | Err(Stop::End(outcome)) => Ok(Ok(outcome)),
            Err(Stop::Not(unfinished)) => Ok(Err(unfinished)),
            Err(Stop::Outage(outage)) => Err(outage),
        }
    }

    /// The happy path, and nothing else: a stage that fails says so with `?`.
    async fn tag(&self, set: &SetAtWork, image: &Wanted) -> Result<Outcome, Stop> {
        let found = set.known.find(image).instrument(info_span!(target: TARGET, "lookup")).await?;
        failpoint::here(Point::LookedUp);
        match found {
            found if image.trust == Trust::Nothing => Box::pin(self.tag_replaced(set, image, found)).await,
            Found::Known(known) => Ok(Outcome::Cached(known)),
            Found::Due(known) if image.suspected => Ok(Outcome::Cached(known)),
            Found::Nothing if image.suspected => Err(Stop::Not(Unfinished::Suspected)),
            // Boxed: nine jobs in ten are known, and need not be as large as this.
            Found::Due(known) => Box::pin(self.revalidate(set, image, known)).await,
            Found::Nothing => {
                let look = Box::pin(self.tag_unknown(set, image));
                Box::pin(set.known.once(image, look)).await
            }
        }
    }

    /// What is known is due: it is renewed, or told anew where there is another
    /// picture now; and it stays where that cannot be found out.
    async fn revalidate(&self, set: &SetAtWork, image: &Wanted, known: Arc<Known>) -> Result<Outcome, Stop> {
        let look = async {
            let stop = match self.tag_if_changed(set, image, &known).await {
                Ok(outcome) => return Ok(outcome),
                Err(stop) => stop,
            };
            self.keep_what_is_known(set, image, &known, stop)
        };
        set.known.again(image, Box::pin(look)).await
    }

    /// The picture was replaced: what is known is told of this one only if it has the same bytes still. Where
    /// it cannot be had it ends like a picture that nobody knows, for the one before is not shown any more.
    async fn tag_replaced(&self, set: &SetAtWork, image: &Wanted, found: Found) -> Result<Outcome, Stop> {
        if image.suspected {
            return Err(Stop::Not(Unfinished::Suspected));
        }
        let look = async {
            let outcome = match found {
                Found::Known(known) | Found::Due(known) => self.tag_if_changed(set, image, &known).await?,
                Found::Nothing => self.tag_unknown(set, image).await?,
            };
            set.known.replace(image.id, &outcome).await;
            Ok(outcome)
        };
        set.known.anew(image, Box::pin(look)).await
    }

    /// What becomes of an image that is known and due, where `stop` kept it from being looked at: nothing
    /// gets worse, its tags stay.
    fn keep_what_is_known(
        &self,
        set: &SetAtWork,
        image: &Wanted,
        known: &Known,
        stop: Stop,
    ) -> Result<Outcome, Stop> {
        match stop {
            // The fleet is unwell, and nobody knows of the picture: its job is held like any other.
            Stop::Outage(_) => return Err(stop),
            // It would cost every worker its decoders once an hour: in the database it is renewed.
            Stop::Not(Unfinished::Poison(poison)) => {
                error!(reason = poison.reason(), "the picture of a known image is poison now, its tags stay");
                self.metrics.looked_again(Look::Failed);
                let validators = known.last_look.as_ref().map(|last_look| last_look.validators.clone());
                return Ok(Outcome::Renewed(known.with(set.known.note_look(
                    image,
                    validators.unwrap_or_default(),
                    Instant::now(),
                ))));
            }
            // It is not there now, or cannot be read.
            Stop::End(_) | Stop::Not(Unfinished::Later(_) | Unfinished::Suspected) => {}
        }
        self.metrics.looked_again(Look::Failed);
        Ok(Outcome::Cached(known.with(known.last_look.clone().map(LastLook::put_off))))
    }

    /// Looks at a picture of which nothing is known.
    async fn tag_unknown(&self, set: &SetAtWork, image: &Wanted) -> Result<Outcome, Stop> {
        // Sick models are not brought one picture after another.
        set.models.check().await?;
        let began = Instant::now();
        let (Downloaded { bytes, validators, room }, permit) = self.download(image).await?;
        let last_look = set.known.note_look(image, validators, began);
        let hash = BytesHash::of(&bytes);
        let outcome = match_or_look(set, image.lane, hash, bytes, (permit, room)).await?;
        Ok(outcome.with_last_look(last_look))
    }

    /// Looks at a picture, unless it is the `known` one still.
    async fn tag_if_changed(&self, set: &SetAtWork, image: &Wanted, known: &Known) -> Result<Outcome, Stop> {
        set.models.check().await?;
        let began = Instant::now();
        let (revalidated, permit) = self.download_again(image, known).await?;
        let Downloaded { bytes, validators, room } = match revalidated {
            Revalidated::Sent(downloaded) => downloaded,
            Revalidated::NotModified(validators) => {
                self.metrics.looked_again(Look::Unchanged);
                return Ok(Outcome::Renewed(known.with(set.known.note_look(image, validators, began))));
            }
        };
        let last_look = set.known.note_look(image, validators, began);
        let hash = BytesHash::of(&bytes);
        if hash == known.bytes {
            self.metrics.looked_again(Look::SameBytes);
            return Ok(Outcome::Renewed(known.with(last_look)));
        }
        let outcome = match_or_look(set, image.lane, hash, bytes, (permit, room)).await?;
        self.metrics.looked_again(Look::Changed);
        Ok(outcome
            .with_last_look(last_look.map(|last_look| LastLook { replaces: Some(known.bytes), ..last_look })))
    }

    /// The bytes, and what has to be held for as long as they are in memory.
    pub(crate) async fn download(&self, image: &Wanted) -> Result<(Downloaded, Permit), Stop> {
        let (turn, permit) = self.turn_and_permit(image).await?;
        let _timer = self.metrics.stage(Stage::Download, 1);
        let download = async {
            let ask = Box::pin(image.source.ask(&self.downloader, turn));
            let (answer, permit) = self.answered(image.lane, permit, ask).await?;
            Ok::<_, DownloadError>((answer.collect(&self.downloader).await?, permit))
        };
        let download = Box::pin(download.instrument(info_span!(target: TARGET, "download")));
        let (downloaded, permit) = download.await?;
        failpoint::here(Point::Downloaded);
        self.metrics.downloaded(&downloaded.bytes);
        Ok((downloaded, permit))
    }

    /// The same for an image that is known, and need not be sent again.
    async fn download_again(
        &self,
        image: &Wanted,
        known: &Known,
    ) -> Result<(Revalidated<Downloaded>, Permit), Stop> {
        let (turn, permit) = self.turn_and_permit(image).await?;
        let _timer = self.metrics.stage(Stage::Download, 1);
        let nothing = Validators::default();
        let validators = known.last_look.as_ref().map_or(&nothing, |last_look| &last_look.validators);
        let download = async {
            let ask = Box::pin(image.source.ask_again(&self.downloader, turn, validators));
            let (revalidated, permit) = self.answered(image.lane, permit, ask).await?;
            let revalidated = match revalidated {
                Revalidated::Sent(answer) => Revalidated::Sent(answer.collect(&self.downloader).await?),
                Revalidated::NotModified(validators) => Revalidated::NotModified(validators),
            };
            Ok::<_, DownloadError>((revalidated, permit))
        };
        let download = Box::pin(download.instrument(info_span!(target: TARGET, "download")));
        let (revalidated, permit) = download.await?;
        failpoint::here(Point::Downloaded);
        if let Revalidated::Sent(downloaded) = &revalidated {
            self.metrics.downloaded(&downloaded.bytes);
        }
        Ok((revalidated, permit))
    }

    /// First the turn and then the permit: the pictures of a slow host wait for
    /// each other, and take no permit from those of other hosts.
    async fn turn_and_permit(&self, image: &Wanted) -> Result<(Option<Turn>, Permit), Stop> {
        let _waiting = info_span!(target: TARGET, "turn");
        let turn = image.source.turn(&self.downloader, image.lane).await?;
        failpoint::here(Point::TurnTaken);
        Ok((turn, self.pictures.take(image.lane).await.expect("nobody cuts these lines")))
    }

    /// Waits for the answer that `ask` brings, with the permit if it comes soon. Who waits for longer has
    /// no permit meanwhile, or a few slow hosts would have them all; and gets the next one with the answer.
    async fn answered<T>(
        &self,
        lane: Lane,
        permit: Permit,
        mut ask: Pin<Box<impl Future<Output = Result<T, DownloadError>>>>,
    ) -> Result<(T, Permit), DownloadError> {
        if let Ok(answer) = tokio::time::timeout(SOON, &mut ask).await {
            return Ok((answer?, permit));
        }
        drop(permit);
        let answer = ask.await?;
        Ok((answer, self.pictures.take_first(lane).await.expect("nobody cuts these lines")))
    }
}

/// Looks at the picture with these `bytes`, unless they are known under another key. What is `held` for
/// them is given back when there are pixels.
async fn match_or_look(
    set: &SetAtWork,
    lane: Lane,
    hash: BytesHash,
    bytes: Bytes,
    held: (Permit, Room),
) -> Result<Outcome, Stop> {
    let look = async {
        failpoint::here(Point::Unmatched);
        set.look(lane, hash, bytes, held).await
    };
    set.known.same_bytes(hash, Box::pin(look)).await
}

/// Reads the URL of a job; one that does not parse is a dead link like any other.
pub fn source_of(url: &str) -> Source {
    Url::parse(url).map_or(Source::Unreadable, Source::Url)
}

#[cfg(test)]
mod tests;
