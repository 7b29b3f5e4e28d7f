//! The life of a picture that changes between two scrapes, top to bottom.
//!
//! `image.changed` → noted ([`intake`]) → gathered with what else changed of its advertiser within a moment →
//! jobs → outcomes → `image.tagged` (`tell`).
//!
//! What is gathered is a *micro-scrape*: a row of `scrapes` and rows of `scrape_images` like any other, so
//! that workers do with it what they do with a scrape. It is no inventory: it supersedes no scrape, and is
//! superseded by none (`store/supersede.rs`), and its states are its own.
//!
//! Nobody delivers a change again once it is noted, so each step is found in the tables by whichever
//! scheduler looks next: a change without a micro-scrape, a micro-scrape without `published_at`, an image with
//! an outcome and without `announced_at`. Whoever dies behind a step has done it or not at all; jobs and
//! announcements that are published twice are harmless, the latter because they have the same id.
//!
//! Announced is image by image, as soon as each has its outcome: whoever told of one picture waits for
//! that one, and not for its neighbours, which may wait for a slow host.

pub mod intake;
mod tell;

use std::time::Duration;

use deadpool_postgres::Pool;
use tagfleet_shared::broker::Publisher;
use tagfleet_shared::failpoint::{self, Point};
use tagfleet_shared::outage::Outage;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::metrics::Metrics;
use crate::periodic;
use crate::store::{self, Gathered};

/// Micro-scrapes that are written before anybody looks at those that are there.
const GATHERED_AT_ONCE: usize = 100;

/// Works on pictures that changed, together with other schedulers.
pub struct Changes {
    /// Where they are noted.
    pub pool: Pool,
    /// Where jobs and announcements go.
    pub publisher: Publisher,
    /// For how long changes of one advertiser are gathered.
    pub coalesce: Duration,
    /// How often to look for changes that were gathered for long enough, and for images with an outcome.
    pub every: Duration,
    /// How soon after its event an image should have its outcome.
    pub in_time: Duration,
    /// Images of a micro-scrape, and of a publication, at most.
    pub most: usize,
    /// Counts what happens.
    pub metrics: Metrics,
}

impl Changes {
    /// Works until `stop`. Loops of their own, so that pictures that come to their outcomes all the time keep
    /// nobody from gathering what has changed since.
    pub async fn run(self, stop: CancellationToken) {
        let (every, metrics) = (self.every, &self.metrics);
        tokio::join!(
            periodic::every(every, "pictures that changed", metrics, &stop, || self.gather_and_publish()),
            periodic::every(every, "announcing pictures", metrics, &stop, || self.tell_all(&stop)),
        );
    }

    async fn tell_all(&self, stop: &CancellationToken) -> Result<(), Outage> {
        let mut client = self.pool.get().await?;
        // Fewer are no backlog, but what has come meanwhile.
        while self.tell(&mut client).await? && !stop.is_cancelled() {}
        Ok(())
    }

    async fn gather_and_publish(&self) -> Result<(), Outage> {
        let mut client = self.pool.get().await?;
        for _ in 0..GATHERED_AT_ONCE {
            match store::gather(&mut client, self.coalesce, self.most).await? {
                Gathered::Scrape(scrape) => {
                    failpoint::here(Point::ChangesListed);
                    self.metrics.micro_scrape(scrape.listed as usize);
                    info!(scrape.id = %scrape.scrape_id, images = scrape.listed, "gathered what changed");
                }
                Gathered::Taken => {}
                Gathered::Nothing => break,
            }
        }
        while self.publish(&mut client).await? > 0 {}
        Ok(())
    }

    /// Publishes the jobs of a few micro-scrapes, and then notes it. Returns how many those were.
    async fn publish(&self, client: &mut store::Client) -> Result<usize, Outage> {
        let transaction = client.transaction().await?;
        let scrapes = store::unpublished(&transaction, self.most).await?;
        if scrapes.is_empty() {
            return Ok(0);
        }
        let mut jobs = Vec::new();
        for scrape in &scrapes {
            let open = store::open_images(&*transaction, (scrape.key, scrape.day), 0, scrape.listed as usize)
                .await?;
            jobs.extend(open.iter().map(|image| scrape.open_job(self.publisher.topology(), None, image)));
        }
        if !jobs.is_empty() {
            self.publisher.publish(&jobs).await?;
            failpoint::here(Point::ChangesPublished);
            self.metrics.jobs_published(jobs.len());
        }
        let keys: Vec<_> = scrapes.iter().map(|scrape| scrape.key).collect();
        store::mark_published(&transaction, &keys).await?;
        transaction.commit().await?;
        Ok(scrapes.len())
    }
}
