//! The steps of a fan-out that read the inventory and write the tables.

use tagfleet_shared::broker::Outgoing;
use tagfleet_shared::events::ScrapeFinished;
use tagfleet_shared::failpoint::{self, Point};
use tagfleet_shared::jobs::Trust;
use tagfleet_shared::lane::Lane;
use tracing::info;

use crate::earlier_scrape::EarlierScrape;
use crate::fan_out::FanOut;
use crate::halt::Halt;
use crate::hold::{Hold, Stopped};
use crate::inventory::{Inline, Inventory, Row};
use crate::sampling::JobTraces;
use crate::store::{self, Client, OpenImage, Scrape};

/// Images that one statement skips.
const SKIPPED_AT_ONCE: usize = 5000;

/// One scrape in the hands of a fan-out that has its lock.
pub struct LockedScrape<'a> {
    /// Its row, as this fan-out has left it.
    pub scrape: Scrape,
    fan_out: &'a FanOut,
    /// The images that are not listed yet.
    inventory: Inventory<'a>,
    /// The lane that the event asks for.
    lane: Option<Lane>,
    /// The trace of its jobs, if it has one.
    traces: Option<JobTraces>,
    /// The one that the lock hangs on.
    connection: &'a mut Client,
    hold: &'a mut Hold,
}

/// Images that are in the table, and their jobs.
pub struct Page {
    /// One for each image that needs one; none where the scrape is superseded.
    pub jobs: Vec<Outgoing>,
    /// [`Scrape::published`] once all of them are confirmed.
    pub up_to: i32,
}

impl<'a> LockedScrape<'a> {
    /// Begins at the first image that is not listed: where an earlier fan-out was cut off.
    pub fn new(
        fan_out: &'a FanOut,
        event: &'a ScrapeFinished,
        scrape: Scrape,
        connection: &'a mut Client,
        hold: &'a mut Hold,
    ) -> Self {
        let inventory = match (&event.manifest_url, &event.images_of) {
            (Some(url), _) => Inventory::Manifest(Box::new(fan_out.manifests.manifest(url, scrape.listed))),
            (None, Some(source)) => Inventory::EarlierScrape(EarlierScrape::new(source, &scrape)),
            (None, None) => {
                let images = event.images.as_deref().unwrap_or_default();
                Inventory::Inline(Inline::new(images, scrape.listed as usize))
            }
        };
        let traces = fan_out.sampling.jobs(&scrape.scrape_id);
        Self { scrape, fan_out, inventory, lane: event.lane, traces, connection, hold }
    }

    /// Records the next page, if there is one. A superseded scrape is listed to
    /// its end, but no image of it needs a job any more.
    ///
    /// # Errors
    ///
    /// If the inventory cannot be read further, the database is away, or a stop
    /// is asked for.
    pub async fn list_page(&mut self) -> Result<Option<Page>, Halt> {
        let FanOut { page_size, lanes, stop, metrics, .. } = self.fan_out;
        let page = self.inventory.page(self.connection, *page_size);
        let rows = stop.run_until_cancelled(page).await.ok_or(Stopped)??;
        if rows.is_empty() {
            return Ok(None);
        }
        let first = self.scrape.listed;
        let size = self.inventory.size(first as usize + rows.len());
        let lane = self.lane.unwrap_or_else(|| lanes.lane_of(size));
        let learned = store::list(self.connection, &mut self.scrape, &rows, lane).await?;
        failpoint::here(Point::PageListed);
        metrics.images_listed(rows.len());
        metrics.scrapes_superseded(learned.supersedes);
        self.hold.over();

        let up_to = self.scrape.listed;
        if self.scrape.superseded {
            return Ok(Some(Page { jobs: Vec::new(), up_to }));
        }
        let topology = self.fan_out.publisher.topology();
        let images = (first..).zip(&rows).filter(|(_, row)| !row.malformed);
        let job = |(seq, row): (i32, &Row)| {
            let replaced = learned.replaced.contains(&row.image);
            let trust = if replaced { Trust::Database } else { Trust::Memory };
            self.scrape.job(topology, self.traces.as_ref(), (seq, row.image, &row.url), trust)
        };
        Ok(Some(Page { jobs: images.map(job).collect(), up_to }))
    }

    /// The next of the images that are listed and whose jobs are not confirmed.
    ///
    /// # Errors
    ///
    /// If the database is away.
    pub async fn unconfirmed_page(&mut self) -> Result<Option<Page>, Halt> {
        let Scrape { key, day, listed, published, superseded, .. } = self.scrape;
        if published >= listed || superseded {
            return Ok(None);
        }
        let images =
            store::open_images(&**self.connection, (key, day), published, self.fan_out.page_size).await?;
        let topology = self.fan_out.publisher.topology();
        let job = |image: &OpenImage| self.scrape.open_job(topology, self.traces.as_ref(), image);
        let up_to = images.last().map_or(listed, |last| last.seq + 1);
        Ok(Some(Page { jobs: images.iter().map(job).collect(), up_to }))
    }

    /// Nothing of the scrape is left to do here. The images of one that was
    /// superseded are skipped, but for those that a worker is faster with.
    ///
    /// # Errors
    ///
    /// If the database is away.
    pub async fn fanned_out(&mut self) -> Result<(), Halt> {
        let scrape = &self.scrape;
        if scrape.superseded {
            for from in (0..scrape.listed).step_by(SKIPPED_AT_ONCE) {
                let places = from..from.saturating_add(SKIPPED_AT_ONCE as i32);
                store::skip_open_images(self.connection, scrape, places).await?;
            }
        }
        let superseded = store::mark_fanned_out(self.connection, scrape).await?;
        self.fan_out.metrics.scrapes_superseded(superseded);
        info!(images = scrape.listed, lane = %scrape.lane, "fanned out scrape {}", scrape.scrape_id);
        Ok(())
    }

    /// Nothing of the scrape is listed: it is as if its event had never come.
    ///
    /// # Errors
    ///
    /// If the database is away.
    pub async fn refuse(&mut self) -> Result<(), Halt> {
        Ok(store::refuse(self.connection, &self.scrape).await?)
    }
}
