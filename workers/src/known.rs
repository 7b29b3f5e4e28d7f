//! What is known already: moka in front of Postgres, by image and by bytes.

#![warn(clippy::large_futures, reason = "every job is one of these, and it is moved when it is spawned")]

mod memory;
mod single_flight;

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::future::Cache;
use serde::Deserialize;
use tagfleet_download::Validators;
use tagfleet_shared::ids::{BytesHash, ImageId};
use tagfleet_shared::jobs::Trust;
use tagfleet_shared::traces::TARGET;
use tracing::{Instrument, info_span};

use self::memory::{Tier1, tier1};
use self::single_flight::once;
use crate::freshness::{Freshness, LastLook};
use crate::lookup::{Lookup, Remembered, ScrapeKey};
use crate::metrics::{Metrics, Tier};
use crate::outcome::{Known, Outcome, Stop};
use crate::pipeline::Wanted;
use crate::source::Source;

/// How much is kept in memory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheConfig {
    /// Bytes of the first tier, both indexes together.
    pub max_bytes: u64,
    /// An image that was looked at so long ago is looked at again when a scrape
    /// lists it; zero: never.
    #[serde(with = "humantime_serde")]
    pub revalidate_after: Duration,
}

/// Pictures that were replaced, of which it is remembered what was found; and for how long: the jobs of one
/// micro-scrape are worked on together.
const ANEW: u64 = 1000;
const ANEW_LASTS: Duration = Duration::from_secs(300);

/// The two-tier cache, and the rule that one image is worked on once at a time.
pub struct KnownImages {
    by_image: Tier1<ImageId>,
    by_bytes: Tier1<BytesHash>,
    /// What was found of pictures that were replaced, for others of the same micro-scrape.
    anew: Cache<(ImageId, ScrapeKey), Arc<Known>>,
    /// The second tier; none for `tagfleet-worker tag`.
    lookup: Option<Lookup>,
    freshness: Option<Freshness>,
    metrics: Metrics,
}

/// What is known of an image.
#[derive(Debug)]
pub enum Found {
    /// Nothing: it has to be looked at.
    Nothing,
    /// This, for granted.
    Known(Arc<Known>),
    /// This, but it is time to look at it again.
    Due(Arc<Known>),
}

impl KnownImages {
    /// An empty first tier over `lookup`.
    pub fn new(config: &CacheConfig, lookup: Option<Lookup>, metrics: Metrics) -> Self {
        let half = config.max_bytes / 2;
        let freshness = Freshness::after(config.revalidate_after);
        let anew = Cache::builder().time_to_live(ANEW_LASTS).max_capacity(ANEW).build();
        Self { by_image: tier1(half), by_bytes: tier1(half), anew, lookup, freshness, metrics }
    }

    /// Images in the first tier.
    pub fn images(&self) -> u64 {
        self.by_image.entry_count()
    }

    /// What is known of the image without a download.
    ///
    /// # Errors
    ///
    /// [`Stop::End`] where the scrape is superseded or the image failed a short
    /// while ago, [`Stop::Outage`] where the second tier is away.
    pub async fn find(&self, image: &Wanted) -> Result<Found, Stop> {
        if image.trust == Trust::Memory
            && let Some(known) = self.by_image.get(&image.id).await
        {
            self.metrics.found(Tier::Memory);
            return Ok(Found::of(known));
        }
        let Some(lookup) = &self.lookup else { return Ok(Found::Nothing) };
        match lookup.by_image(image).await? {
            Remembered::Nothing => {
                self.metrics.found(Tier::Nowhere);
                // It is forgotten: whoever looks must not find what this worker remembers of it.
                if image.trust != Trust::Memory {
                    self.by_image.invalidate(&image.id).await;
                }
                Ok(Found::Nothing)
            }
            Remembered::Known(known) => {
                self.metrics.found(Tier::Database);
                let known = Arc::new(known);
                self.by_image.insert(image.id, known.clone()).await;
                Ok(Found::of(known))
            }
            // It failed before it was replaced.
            Remembered::Failed(..) if image.trust == Trust::Nothing => Ok(Found::Nothing),
            Remembered::Failed(kind, reason) => Err(Stop::End(Outcome::remembered(kind, reason))),
            Remembered::Superseded => Err(Stop::End(Outcome::superseded())),
        }
    }

    /// Runs `work` unless somebody else is at work on this image: then waits
    /// and shares what they find. The outcome is that of `work`, or `cached` for
    /// those who waited.
    ///
    /// What is known of an image is known wherever it is; what stopped them says
    /// nothing of another URL of it, so whoever waited with another one runs its own `work`.
    ///
    /// # Errors
    ///
    /// Whatever stopped `work`, or the work of somebody else at the same URL.
    pub async fn once(
        &self,
        image: &Wanted,
        work: impl Future<Output = Result<Outcome, Stop>>,
    ) -> Result<Outcome, Stop> {
        once(&self.by_image, image.id, &image.source, work).await
    }

    /// As [`Self::once`], for an image that is known and due.
    ///
    /// # Errors
    ///
    /// As those of [`Self::once`].
    pub async fn again(
        &self,
        image: &Wanted,
        work: impl Future<Output = Result<Outcome, Stop>>,
    ) -> Result<Outcome, Stop> {
        // Not if somebody else has looked meanwhile.
        if let Some(known) = self.by_image.get(&image.id).await
            && known.is_due()
        {
            self.by_image.invalidate(&image.id).await;
        }
        self.once(image, work).await
    }

    /// As [`Self::once`], for an image whose picture was replaced: unless somebody looks, or has looked a short
    /// while ago, for another listing of the same micro-scrape. All that is in one was told of before it was
    /// written, so one look is late enough for all. Nobody else is waited for: they may have begun before.
    ///
    /// # Errors
    ///
    /// As those of [`Self::once`].
    pub async fn anew(
        &self,
        image: &Wanted,
        look: impl Future<Output = Result<Outcome, Stop>>,
    ) -> Result<Outcome, Stop> {
        once(&self.anew, (image.id, image.scrape), &image.source, look).await
    }

    /// What was found of an image whose picture was replaced takes the place of what was known. Others may be
    /// looking at it as well, and not shared: they may have begun before it was replaced.
    pub async fn replace(&self, image: ImageId, outcome: &Outcome) {
        if let Some(known) = outcome.known() {
            self.by_image.insert(image, known.clone()).await;
        }
    }

    /// What is remembered of a picture at which a look `began` just now; nothing
    /// where nobody will look again and nothing is to be replaced.
    pub fn note_look(&self, image: &Wanted, validators: Validators, began: Instant) -> Option<LastLook> {
        let anew = image.trust == Trust::Nothing;
        if !matches!(image.source, Source::Url(_)) || self.freshness.is_none() && !anew {
            return None;
        }
        let due = self.freshness.map(|freshness| freshness.due(image.id, Duration::ZERO));
        Some(LastLook { validators, due, began, anew, replaces: None })
    }

    /// Runs `look` unless these bytes are known under whatever key, or somebody
    /// else is looking at them: the outcome is `inferred`, or else `matched`.
    ///
    /// # Errors
    ///
    /// Whatever stopped `look`, and [`Stop::Outage`].
    pub async fn same_bytes(
        &self,
        bytes: BytesHash,
        look: impl Future<Output = Result<Known, Stop>>,
    ) -> Result<Outcome, Stop> {
        let mut looked = false;
        let find_or_look = async {
            if let Some(lookup) = &self.lookup
                && let Some(known) =
                    lookup.by_bytes(bytes).instrument(info_span!(target: TARGET, "match")).await?
            {
                return Ok(Arc::new(known));
            }
            looked = true;
            look.await.map(Arc::new)
        };
        let known = self.by_bytes.try_get_with(bytes, find_or_look).await.map_err(Arc::unwrap_or_clone)?;
        Ok(if looked { Outcome::Inferred(known) } else { Outcome::Matched(known) })
    }
}

impl Found {
    fn of(known: Arc<Known>) -> Self {
        if known.is_due() { Self::Due(known) } else { Self::Known(known) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Answer;
    use prometheus::Registry;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tagfleet_shared::lane::Lane;
    use tagfleet_shared::outcome::OutcomeKind;
    use tokio::sync::oneshot;
    use uuid::Uuid;

    fn known() -> Arc<Known> {
        let (answer, bytes) = (Answer::default(), BytesHash(Uuid::nil()));
        Arc::new(Known { answer, bytes, width: 1, height: 1, last_look: None })
    }

    fn nothing_known() -> KnownImages {
        let config = CacheConfig { max_bytes: 1 << 20, revalidate_after: Duration::ZERO };
        KnownImages::new(&config, None, Metrics::register(&Registry::new()).unwrap())
    }

    /// One image, whatever the URL.
    fn at(url: &str) -> Wanted {
        let source = Source::Url(url.parse().unwrap());
        let id = ImageId(Uuid::nil());
        Wanted { id, source, lane: Lane::Express, scrape: None, suspected: false, trust: Trust::Memory }
    }

    fn gone() -> Result<Outcome, Stop> {
        Err(Stop::End(Outcome::remembered(OutcomeKind::Skipped, "gone".into())))
    }

    /// What stops the work at one URL says nothing of another URL of the same image.
    #[tokio::test]
    async fn who_waits_with_another_url_is_not_stopped_by_a_dead_one() {
        let (images, dead, good) = (nothing_known(), at("http://a/expired.jpg"), at("http://a/renewed.jpg"));
        let (open, gate) = oneshot::channel();
        let dead = images.once(&dead, async {
            gate.await.unwrap();
            gone()
        });
        let good = images.once(&good, async { Ok(Outcome::Inferred(known())) });
        // `join!` polls in this order: the good one waits before the dead one has its end.
        let opener = async { open.send(()).unwrap() };
        let (dead, good, ()) = tokio::join!(biased; dead, good, opener);

        assert!(matches!(dead, Err(Stop::End(Outcome::Skipped(_)))), "{dead:?}");
        assert!(matches!(good, Ok(Outcome::Inferred(_))), "{good:?}");
    }

    /// Its listings are many, its host is asked once; and again for the next replacement.
    #[tokio::test]
    async fn a_replaced_picture_is_looked_at_once_for_each_micro_scrape() {
        let (images, looks) = (nothing_known(), AtomicUsize::new(0));
        for scrape in [1, 1, 2, 1] {
            let image = Wanted { scrape: Some(scrape), trust: Trust::Nothing, ..at("http://a/1.jpg") };
            let look = async {
                looks.fetch_add(1, Ordering::Relaxed);
                Ok(Outcome::Inferred(known()))
            };
            images.anew(&image, look).await.unwrap();
        }
        assert_eq!(looks.into_inner(), 2);
    }

    /// Those who wait with the same URL share a failure as they share an answer: nobody asks twice.
    #[tokio::test]
    async fn who_waits_with_the_same_url_shares_what_is_found_good_or_bad() {
        let (images, image) = (nothing_known(), at("http://a/1.jpg"));
        for end in [gone as fn() -> _, || Ok(Outcome::Inferred(known()))] {
            let (open, gate) = oneshot::channel();
            let first = images.once(&image, async {
                gate.await.unwrap();
                end()
            });
            let second = images.once(&image, async { panic!("it is asked for twice") });
            let opener = async { open.send(()).unwrap() };
            let (first, second, ()) = tokio::join!(biased; first, second, opener);
            assert_eq!((first.is_ok(), second.is_ok()), (end().is_ok(), end().is_ok()));
        }
    }
}
