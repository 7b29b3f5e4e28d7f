//! The life of one `scrape.finished` event, top to bottom.
//!
//! It can be cut off anywhere: by a kill, by an outage, by a stop. The event is
//! then delivered again, to this scheduler or to another, and the fan-out goes
//! on at the first image whose job is not confirmed. No image is missed, and a
//! job that is published twice is harmless.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use futures::FutureExt;
use tagfleet_shared::backoff::Backoff;
use tagfleet_shared::broker::{Outgoing, Received};
use tagfleet_shared::events::ScrapeFinished;
use tagfleet_shared::ids::ScrapeId;
use tagfleet_shared::lane::Lane;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::LaneSizes;
use crate::halt::{Halt, Refusal};
use crate::inventory::Inventory;
use crate::lock::ScrapeLock;
use crate::manifest::Manifests;
use crate::metrics::Metrics;
use crate::publishing::{PatientPublisher, Stopped};
use crate::store::{self, Accepted, Scrape};

/// How often a fan-out asks for the lock of a scrape that another one holds.
const LOCK_EVERY: Duration = Duration::from_millis(200);

/// Images that one statement skips.
const SKIPPED_AT_ONCE: usize = 5000;

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
    /// What happened.
    pub metrics: Metrics,
    /// Ends a fan-out at its next page.
    pub stop: CancellationToken,
}

/// Jobs that are on their way to the broker together.
struct Batch {
    jobs: Vec<Outgoing>,
    /// `Scrape::published` once they are confirmed.
    up_to: i32,
}

impl FanOut {
    /// Takes one event to its end. Whatever happens, the event is settled, or
    /// it goes back to the queue because this scheduler is stopping.
    pub async fn work(&self, received: Received) {
        match self.settle(&received).await {
            Ok(()) => received.ack(),
            Err(Stopped) => info!("stopping, the event goes back to the queue"),
        }
    }

    /// `Ok` when the broker may forget the event.
    async fn settle(&self, received: &Received) -> Result<(), Stopped> {
        let carried_out = AssertUnwindSafe(self.carry_out(&received.body)).catch_unwind().await;
        match carried_out.unwrap_or_else(|_| Ok(Some(Refusal::panic())))? {
            Some(refusal) => self.dead_letter(received, refusal).await,
            None => Ok(()),
        }
    }

    /// Tries until the scrape is fanned out, or refused for a reason.
    ///
    /// An event is held, not requeued, while the fleet is unwell: it does not
    /// use up its delivery limit because Postgres was restarted.
    async fn carry_out(&self, body: &[u8]) -> Result<Option<Refusal>, Stopped> {
        let event = match parse(body) {
            Ok(event) => event,
            Err(refusal) => return Ok(Some(refusal)),
        };
        let mut outage: Option<Backoff> = None;
        loop {
            let error = match self.fan_out(&event).await {
                Ok(()) => return Ok(None),
                Err(Halt::Refused(refusal)) => return Ok(Some(refusal)),
                Err(Halt::Stopped) => return Err(Stopped),
                Err(Halt::Outage(error)) => error,
            };
            let backoff = outage.get_or_insert_with(|| {
                warn!(scrape.id = %event.scrape_id, %error, "outage, holding the scrape");
                self.metrics.outage("database");
                Backoff::for_outage()
            });
            self.or_stop(backoff.wait()).await?;
        }
    }

    /// From the event to the last confirmed job. Any error drops the lock, and
    /// the connection with it.
    #[tracing::instrument(skip_all, fields(scrape.id = %event.scrape_id))]
    async fn fan_out(&self, event: &ScrapeFinished) -> Result<(), Halt> {
        let started = Instant::now();
        let mut lock = self.lock(&event.scrape_id).await?;
        let accepted = store::accept(lock.connection(), event, self.first_lane(event)).await?;
        self.metrics.scrape_accepted(&accepted);
        match accepted {
            Accepted::New { mut scrape, .. } | Accepted::Resumed(mut scrape) => {
                self.list_and_finish(&mut lock, &mut scrape, event).await?;
                self.metrics.scrape_finished(started.elapsed());
                info!(images = scrape.listed, lane = %scrape.lane, "fanned out scrape {}", scrape.scrape_id);
            }
            Accepted::Repeated => info!("scrape {} was fanned out before", event.scrape_id),
            Accepted::Taken(other) => return Err(Refusal::taken(&other).into()),
        }
        Ok(lock.release().await?)
    }

    /// Waits for its turn: only one fan-out works on a scrape at any time.
    async fn lock(&self, scrape_id: &ScrapeId) -> Result<ScrapeLock, Halt> {
        loop {
            if let Some(lock) = ScrapeLock::try_take(&self.pool, scrape_id).await? {
                return Ok(lock);
            }
            self.or_stop(tokio::time::sleep(LOCK_EVERY)).await?;
        }
    }

    /// A scrape whose inventory cannot be read to its end is refused, but what
    /// is listed of it by then comes to its end like any other. Where nothing
    /// is listed its event can be sent once more when the manifest is there.
    async fn list_and_finish(
        &self,
        lock: &mut ScrapeLock,
        scrape: &mut Scrape,
        event: &ScrapeFinished,
    ) -> Result<(), Halt> {
        let listed = self.list_and_publish(lock, scrape, event).await;
        match &listed {
            Ok(()) => self.finish(lock, scrape).await?,
            Err(Halt::Refused(_)) if scrape.listed > 0 => {
                self.publish_listed(lock, scrape).await?;
                self.finish(lock, scrape).await?;
            }
            Err(Halt::Refused(_)) => store::refuse(lock.connection(), scrape).await?,
            Err(_) => {}
        }
        listed
    }

    /// Page by page: while the jobs of one page are on their way to the broker,
    /// the next page goes into the table.
    async fn list_and_publish(
        &self,
        lock: &mut ScrapeLock,
        scrape: &mut Scrape,
        event: &ScrapeFinished,
    ) -> Result<(), Halt> {
        self.publish_listed(lock, scrape).await?;
        let mut inventory = self.inventory(event, scrape);
        let mut batch = Batch { jobs: Vec::new(), up_to: scrape.published };
        loop {
            let listing = self.list_page(lock, scrape, &mut inventory, event.lane);
            let (published, next) = tokio::try_join!(self.publish(batch), listing)?;
            scrape.published = scrape.published.max(published);
            match next {
                Some(jobs) => batch = jobs,
                None => return Ok(()),
            }
            if self.stop.is_cancelled() {
                return Err(Halt::Stopped);
            }
        }
    }

    /// Where an earlier fan-out was cut off, up to two pages are in the table
    /// whose jobs are not confirmed.
    async fn publish_listed(&self, lock: &mut ScrapeLock, scrape: &mut Scrape) -> Result<(), Halt> {
        while scrape.published < scrape.listed && !scrape.superseded {
            let (name, from) = ((scrape.key, scrape.day), scrape.published);
            let images = store::open_images(lock.connection(), name, from, self.page_size).await?;
            let up_to = images.last().map_or(scrape.listed, |last| last.seq + 1);
            let job = |image: store::OpenImage| {
                scrape.job(self.publisher.topology(), image.seq, image.image, &image.url)
            };
            let jobs = images.into_iter().map(job).collect();
            scrape.published = self.publish(Batch { jobs, up_to }).await?;
        }
        Ok(())
    }

    fn inventory<'event>(&self, event: &'event ScrapeFinished, scrape: &Scrape) -> Inventory<'event> {
        match &event.manifest_url {
            Some(url) => Inventory::Manifest(Box::new(self.manifests.manifest(url, scrape.listed))),
            None => {
                let images = event.images.as_deref().unwrap_or_default();
                Inventory::inline(images, scrape.listed as usize)
            }
        }
    }

    /// Publishes and waits until the broker has confirmed every job.
    async fn publish(&self, batch: Batch) -> Result<i32, Halt> {
        self.publisher.publish(&batch.jobs).await?;
        self.metrics.jobs_published(batch.jobs.len());
        Ok(batch.up_to)
    }

    /// Records the next page, if there is one, and returns its jobs. A superseded
    /// scrape is listed to its end, but nothing more of it is published.
    async fn list_page(
        &self,
        lock: &mut ScrapeLock,
        scrape: &mut Scrape,
        inventory: &mut Inventory<'_>,
        lane: Option<Lane>,
    ) -> Result<Option<Batch>, Halt> {
        let page = self.or_stop(inventory.page(self.page_size)).await??;
        if page.is_empty() {
            return Ok(None);
        }
        let first = scrape.listed;
        let size = inventory.size(first as usize + page.len());
        let lane = lane.unwrap_or_else(|| self.lanes.lane_of(size));
        store::list(lock.connection(), scrape, &page, lane).await?;
        self.metrics.images_listed(page.len());
        if scrape.superseded {
            return Ok(Some(Batch { jobs: Vec::new(), up_to: scrape.published }));
        }
        let topology = self.publisher.topology();
        let images = (first..).zip(&page).filter(|(_, row)| !row.malformed);
        let jobs = images.map(|(seq, row)| scrape.job(topology, seq, row.image, &row.url)).collect();
        Ok(Some(Batch { jobs, up_to: scrape.listed }))
    }

    /// Nothing of the scrape is left to do here. The images of one that was
    /// superseded are skipped, but for those that a worker is faster with.
    async fn finish(&self, lock: &mut ScrapeLock, scrape: &Scrape) -> Result<(), Halt> {
        if scrape.superseded {
            for from in (0..scrape.listed).step_by(SKIPPED_AT_ONCE) {
                let places = from..from.saturating_add(SKIPPED_AT_ONCE as i32);
                store::skip_open_images(lock.connection(), scrape, places).await?;
            }
        }
        Ok(store::finish(lock.connection(), scrape).await?)
    }

    async fn dead_letter(&self, received: &Received, refusal: Refusal) -> Result<(), Stopped> {
        let Refusal { reason, problem } = &refusal;
        error!(reason, %problem, "dead-lettering the event: {problem}");
        self.metrics.dead_lettered(reason);
        let letter = Outgoing::dead_letter(self.publisher.topology(), received, reason, problem);
        self.publisher.publish(&[letter]).await
    }

    /// Before anything is recorded the lane is a guess, made good page by page.
    fn first_lane(&self, event: &ScrapeFinished) -> Lane {
        let size = event.images.as_ref().map_or(usize::MAX, Vec::len);
        event.lane.unwrap_or_else(|| self.lanes.lane_of(size))
    }

    /// Waits for `wait`, but not beyond a stop.
    async fn or_stop<T>(&self, wait: impl Future<Output = T>) -> Result<T, Stopped> {
        self.stop.run_until_cancelled(wait).await.ok_or(Stopped)
    }
}

fn parse(body: &[u8]) -> Result<ScrapeFinished, Refusal> {
    let parsed = ScrapeFinished::parse(body).map_err(Refusal::malformed)?;
    if !parsed.unknown_fields.is_empty() {
        let (scrape, fields) = (&parsed.value.scrape_id, parsed.unknown_fields.join(", "));
        warn!(scrape.id = %scrape, %fields, "fields that nobody knows, they change nothing: {fields}");
    }
    Ok(parsed.value)
}
