//! How much the fleet is given to do: never more than it can end within seconds, however busy this machine is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use anyhow::bail;
use tagfleet_shared::events::ListedImage;
use tagfleet_shared::lane::Lane;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::pictures;
use super::watch::PATIENCE;
use crate::chaos::arena::Arena;
use crate::chaos::load::{Load, Most};
use crate::draw::Inventory;

/// Images that are open at most: small scrapes have to be quick.
const OPEN: i64 = 150;
/// More than there is ever room for.
const FULL: i64 = i64::MAX / 2;
/// How often the open images are counted.
const COUNT: Duration = Duration::from_millis(250);

/// The load, which can be held back.
pub struct Gate {
    arena: Arc<Arena>,
    open: Arc<AtomicI64>,
    paused: Arc<AtomicBool>,
    stop: CancellationToken,
}

impl Gate {
    /// Puts load on the fleet, from now on.
    pub fn open(arena: Arc<Arena>, inventory: Arc<Inventory>) -> Self {
        let (open, paused) = (Arc::<AtomicI64>::default(), Arc::<AtomicBool>::default());
        let stop = CancellationToken::new();
        let load = Load::new(arena.clone(), inventory, 10, Most { images: usize::MAX, open: OPEN });
        tokio::spawn(load.run(open.clone(), stop.clone()));
        tokio::spawn(count(arena.clone(), open.clone(), paused.clone(), stop.clone()));
        Self { arena, open, paused, stop }
    }

    /// No more scrapes of the load, or again. Needed where scrapes are published and not listed: what is not
    /// listed is not counted, and the load would pile up without end.
    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
        if paused {
            self.open.store(FULL, Ordering::Relaxed);
        }
    }

    /// Publishes scrapes of one kind, the next one when the one before it has ended, until it is dropped.
    pub async fn keep_publishing(
        &self,
        name: &str,
        images: impl Fn(&str) -> anyhow::Result<Vec<ListedImage>>,
    ) -> anyhow::Result<()> {
        for number in 0_u64.. {
            let id = format!("{name}-{number}");
            pictures::publish(&self.arena, &id, Lane::Express, images(&id)?).await?;
            self.until_ended(&id).await?;
        }
        Ok(())
    }

    /// Waits until whatever a fault has left is done, and then lets the load go on: on a busy machine both
    /// together would be too much for a fleet that has to come to itself.
    pub async fn reopen(&self) -> anyhow::Result<()> {
        const SQL: &str = "
            SELECT (count(*) = 0)::int::int8 FROM scrapes WHERE state IN ('fanning_out', 'tagging')";
        self.until(SQL).await?;
        self.pause(false);
        Ok(())
    }

    /// Waits until a scrape is tagged.
    pub async fn until_ended(&self, id: &str) -> anyhow::Result<()> {
        let sql = format!("SELECT count(*) FROM scrapes WHERE scrape_id = '{id}' AND state = 'tagged'");
        self.until(&sql).await
    }

    /// Waits until a query gives something else than 0.
    pub async fn until(&self, sql: &str) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.arena.count(sql).await? == 0 {
            if begun.elapsed() > PATIENCE {
                bail!("not within {} s: {sql}", PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// No more load at all.
    pub fn close(&self) {
        self.stop.cancel();
    }
}

/// Tells the load how many images are open; while it is paused, that there is no room.
async fn count(arena: Arc<Arena>, open: Arc<AtomicI64>, paused: Arc<AtomicBool>, stop: CancellationToken) {
    const SQL: &str = "
        SELECT coalesce(sum(s.listed - p.images), 0)::int8 + count(*)
          FROM scrapes s CROSS JOIN LATERAL (SELECT coalesce(sum(images), 0) AS images FROM scrape_progress
                                              WHERE scrape = s.key) p WHERE s.state IN ('fanning_out', 'tagging')";
    while !stop.is_cancelled() {
        let images = arena.count(SQL).await.unwrap_or(FULL);
        open.store(if paused.load(Ordering::Relaxed) { FULL } else { images }, Ordering::Relaxed);
        tokio::time::sleep(COUNT).await;
    }
}
