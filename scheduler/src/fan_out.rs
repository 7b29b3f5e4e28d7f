//! The life of one `scrape.finished` event, top to bottom.
//!
//! It can be cut off anywhere: by a kill, by an outage, by a stop. The event is
//! then delivered again, to this scheduler or to another, and the fan-out goes
//! on at the first image whose job is not confirmed. No image is missed, and a
//! job that is published twice is harmless.
//!
//! ```text
//! inventory ──LockedScrape::list_page──▶ scrape_images ──publish──▶ broker
//!                       moves listed                     moves published
//! ```

use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use tagfleet_shared::broker::Received;
use tagfleet_shared::events::ScrapeFinished;
use tagfleet_shared::failpoint::{self, Point};
use tagfleet_shared::ids::ScrapeId;
use tagfleet_shared::traces::{self, TARGET};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, info, info_span, warn};

use crate::config::LaneSizes;
use crate::halt::{Halt, Refusal, unpanicked};
use crate::hold::{Hold, Stopped};
use crate::lock::ScrapeLock;
use crate::locked_scrape::{LockedScrape, Page};
use crate::manifest::Manifests;
use crate::metrics::Metrics;
use crate::patient_publisher::PatientPublisher;
use crate::sampling::Sampling;
use crate::store::{self, Accepted};

/// How often a fan-out asks for the lock of a scrape that another one holds.
const LOCK_EVERY: Duration = Duration::from_millis(200);

/// Everything that a fan-out needs.
pub struct FanOut {
    /// Where scrapes and images are recorded.
    pub pool: Pool,
    /// Where jobs go.
    pub publisher: PatientPublisher,
    /// Where inventories come from that are too large for an event.
    pub manifests: Manifests,
    /// Which scrape goes to which lane.
    pub lanes: LaneSizes,
    /// Images in one transaction, and jobs in one publication.
    pub page_size: usize,
    /// Which scrapes and jobs are traced.
    pub sampling: Sampling,
    /// Counts what happens.
    pub metrics: Metrics,
    /// Ends a fan-out at its next page.
    pub stop: CancellationToken,
}

/// What a pipeline asks for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    /// The message, as it goes to the dead-letter queue where it is refused.
    received: &'a Received,
    /// What it says.
    event: &'a ScrapeFinished,
    /// When it came.
    since: Instant,
}

/// How much of an inventory is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Whatever is not listed yet.
    All,
    /// Nothing: reading it met a mistake in the scheduler, and would again.
    NoMore,
}

impl FanOut {
    /// Takes one event to its end. Whatever happens, the broker may forget the
    /// event, or it goes back to the queue because this scheduler is stopping.
    pub async fn work(&self, received: Received) {
        failpoint::here(Point::EventReceived);
        let ended = match parse(&received.body) {
            Ok(event) => {
                let asked = Asked { received: &received, event: &event, since: Instant::now() };
                self.until_fanned_out(asked).instrument(self.span(asked)).await
            }
            Err(refusal) => self.publisher.dead_letter(&received, &refusal).await,
        };
        match ended {
            Ok(()) => received.ack(),
            Err(Stopped) => info!("stopping, the event goes back to the queue"),
        }
    }

    /// The span of this fan-out, in the trace of the scrape if that has one. The pipeline that sent the event
    /// may have another, and is linked to.
    fn span(&self, Asked { received, event, .. }: Asked<'_>) -> Span {
        let span = info_span!("fan_out", scrape.id = %event.scrape_id);
        if let Some(trace) = self.sampling.trace(&event.scrape_id) {
            trace.adopt(&span);
            traces::link(&span, received);
        }
        span
    }

    /// Tries until the scrape is fanned out, or refused and its event is in the
    /// dead-letter queue.
    ///
    /// An event is held, not requeued, while the fleet is unwell: it does not
    /// use up its delivery limit because Postgres was restarted. After a panic
    /// the scrape is only brought to its end: nothing more of it is read.
    async fn until_fanned_out(&self, asked: Asked<'_>) -> Result<(), Stopped> {
        let mut hold = Hold::new("the scrape", &self.metrics, &self.stop);
        let mut reading = Reading::All;
        let refusal = loop {
            match unpanicked(self.fan_out(asked, reading, &mut hold)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(Halt::Refused(refusal))) => break refusal,
                Ok(Err(Halt::Stopped)) => return Err(Stopped),
                Ok(Err(Halt::Outage(error))) => hold.wait(error.into()).await?,
                Err(_) if reading == Reading::All => reading = Reading::NoMore,
                Err(panicked) => break panicked,
            }
        };
        self.publisher.dead_letter(asked.received, &refusal).await
    }

    /// From the event to the last confirmed job. Any error drops the lock, and
    /// the connection with it.
    async fn fan_out(&self, asked: Asked<'_>, reading: Reading, hold: &mut Hold) -> Result<(), Halt> {
        let event = asked.event;
        let mut lock = self.lock(&event.scrape_id).await?;
        failpoint::here(Point::Locked);
        let accepted = store::accept(lock.connection(), event, self.lanes.first_lane(event)).await?;
        failpoint::here(Point::Accepted);
        self.metrics.scrape_accepted(&accepted);
        match accepted {
            Accepted::New(scrape) | Accepted::Resumed(scrape) => {
                let mut locked = LockedScrape::new(self, event, scrape, lock.connection(), hold);
                let read = match reading {
                    Reading::All => self.list_and_publish(&mut locked).await,
                    Reading::NoMore => Err(Refusal::panic().into()),
                };
                match read {
                    Ok(()) => {}
                    Err(Halt::Refused(refusal)) => self.keep_listed(&mut locked, asked, refusal).await?,
                    Err(halt) => return Err(halt),
                }
                self.end(&mut locked, asked).await?;
            }
            Accepted::Repeated => info!("scrape {} was fanned out before", event.scrape_id),
            Accepted::Taken(other) => return Err(Refusal::taken(&other).into()),
        }
        hold.over();
        Ok(lock.release().await?)
    }

    /// Waits for its turn: only one fan-out works on a scrape at any time.
    async fn lock(&self, scrape_id: &ScrapeId) -> Result<ScrapeLock, Halt> {
        loop {
            if let Some(lock) = ScrapeLock::try_take(&self.pool, scrape_id).await? {
                return Ok(lock);
            }
            self.stop.run_until_cancelled(tokio::time::sleep(LOCK_EVERY)).await.ok_or(Stopped)?;
        }
    }

    /// Page by page: while the jobs of one page are on their way to the broker,
    /// the next page goes into the table.
    async fn list_and_publish(&self, locked: &mut LockedScrape<'_>) -> Result<(), Halt> {
        self.publish_listed(locked).await?;
        let list = || info_span!(target: TARGET, "list");
        let mut next = locked.list_page().instrument(list()).await?;
        while let Some(page) = next {
            let listed = locked.list_page().instrument(list());
            let (published, after) = tokio::try_join!(self.publish(page), listed)?;
            (locked.scrape.published, next) = (published, after);
            if self.stop.is_cancelled() {
                return Err(Halt::Stopped);
            }
        }
        Ok(())
    }

    /// Where an earlier fan-out was cut off, up to two pages are in the table
    /// whose jobs are not confirmed.
    async fn publish_listed(&self, locked: &mut LockedScrape<'_>) -> Result<(), Halt> {
        while let Some(page) = locked.unconfirmed_page().await? {
            locked.scrape.published = self.publish(page).await?;
        }
        Ok(())
    }

    /// Publishes, and waits until the broker has confirmed every job. Returns
    /// the first place of the inventory whose job is not confirmed.
    async fn publish(&self, page: Page) -> Result<i32, Halt> {
        failpoint::here(Point::PagePublishing);
        self.publisher.publish(&page.jobs).instrument(info_span!(target: TARGET, "publish")).await?;
        failpoint::here(Point::PagePublished);
        self.metrics.jobs_published(page.jobs.len());
        Ok(page.up_to)
    }

    /// A scrape whose inventory cannot be read to its end is refused, but what
    /// is listed of it by then comes to its end like any other. Where nothing
    /// is listed its event can be sent once more when the manifest is there.
    ///
    /// What is fanned out is never read again: the dead letter, which is all
    /// that tells of the rest, is confirmed before that. Twice is harmless.
    async fn keep_listed(
        &self,
        locked: &mut LockedScrape<'_>,
        asked: Asked<'_>,
        refusal: Refusal,
    ) -> Result<(), Halt> {
        if locked.scrape.listed == 0 {
            locked.refuse().await?;
            return Err(refusal.into());
        }
        self.publish_listed(locked).await?;
        Ok(self.publisher.dead_letter(asked.received, &refusal).await?)
    }

    /// All that is listed has its jobs.
    async fn end(&self, locked: &mut LockedScrape<'_>, asked: Asked<'_>) -> Result<(), Halt> {
        failpoint::here(Point::AllPublished);
        locked.fanned_out().await?;
        failpoint::here(Point::FannedOut);
        self.metrics.scrape_fanned_out(asked.since.elapsed());
        Ok(())
    }
}

fn parse(body: &[u8]) -> Result<ScrapeFinished, Refusal> {
    let parsed = catch_unwind(|| ScrapeFinished::parse(body)).map_err(|_| Refusal::panic())?;
    let parsed = parsed.map_err(Refusal::malformed)?;
    if !parsed.unknown_fields.is_empty() {
        let (scrape, fields) = (&parsed.value.scrape_id, parsed.unknown_fields.join(", "));
        warn!(scrape.id = %scrape, %fields, "fields that nobody knows, they change nothing: {fields}");
    }
    Ok(parsed.value)
}
