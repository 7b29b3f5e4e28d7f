//! `soak --brief`: what a fleet at rest holds after its second round of work is what it held after the first.
//!
//! Under load descriptors, threads and channels come and go by more than a leak of a minute adds. At rest they are
//! the same every time, so rest is held against rest. Memory and times are not judged: in minutes the caches fill.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::bail;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::report::Report;
use super::rest::{LEAST_IMAGES, Rest};
use crate::bench::process::setting;
use crate::chaos::arena::Arena;
use crate::chaos::load::{self, Load, Most};
use crate::chaos::proxy::Mode;
use crate::chaos::watch;
use crate::origin::Content;

/// Images of the inventory, and such as are open at any time: few, for the fleet is to come to rest soon.
const INVENTORY: usize = 20_000;
const OPEN: i64 = 300;
/// How long a round publishes.
const ROUND: Duration = Duration::from_secs(35);
/// A machine that is slow gets longer.
const ROUND_AT_MOST: Duration = Duration::from_secs(105);
/// The longest that the fleet may take until nothing is left to do.
const RESTS_WITHIN: Duration = Duration::from_secs(180);
/// The runtime ends a thread for blocking calls that was idle for ten seconds.
const IDLE: Duration = Duration::from_secs(12);
/// Of each figure the least of so many looks counts: a process at rest still reports, sweeps and says how it is.
const LOOKS: usize = 3;
/// More open images than any load publishes to.
const HELD: i64 = i64::MAX / 2;

/// Work, rest, work, rest.
pub async fn soak(folder: &Path) -> anyhow::Result<Report> {
    let inventory = Arc::new(tokio::task::spawn_blocking(|| load::inventory(1, INVENTORY)).await?);
    // A process that had no time for a heartbeat would open its connections again while it is looked at.
    let patient = |_: &str| vec![setting("broker.heartbeat", "20s")];
    let arena = Arc::new(Arena::with(Content::Inventory(inventory.clone()), folder, &patient).await?);
    let (open, done) = (Arc::new(AtomicI64::new(HELD)), CancellationToken::new());
    // One for both rounds: another would begin with the ids of the first.
    let most = Most { images: usize::MAX, open: OPEN };
    let load = tokio::spawn(Load::new(arena.clone(), inventory, 1, most).run(open.clone(), done.clone()));

    let mut backlog = Backlog::new(open);
    backlog.work(&arena).await?;
    let first = backlog.rest(&arena).await?;
    backlog.work(&arena).await?;
    let second = backlog.rest(&arena).await?;
    done.cancel();
    load.await??;
    arena.fleet.stop().await?;
    Ok(Report::of_rest(&first, &second))
}

/// The images that are open, as a load counts them: [`HELD`] more where it is to publish nothing.
struct Backlog {
    open: Arc<AtomicI64>,
    ended: i64,
}

impl Backlog {
    /// Of a load that is held, and adds to `open` what it publishes.
    fn new(open: Arc<AtomicI64>) -> Self {
        Self { open, ended: 0 }
    }

    /// Lets the load publish for a round, and no longer.
    async fn work(&mut self, arena: &Arena) -> anyhow::Result<()> {
        self.open.fetch_sub(HELD, Ordering::Relaxed);
        let (begun, before) = (Instant::now(), self.ended);
        loop {
            tokio::time::sleep(Duration::from_millis(250)).await;
            self.look(arena).await?;
            let few = self.ended - before < LEAST_IMAGES;
            if begun.elapsed() > if few { ROUND_AT_MOST } else { ROUND } {
                self.open.fetch_add(HELD, Ordering::Relaxed);
                return Ok(());
            }
        }
    }

    /// Waits until nothing is left to do, and looks at everybody.
    async fn rest(&mut self, arena: &Arena) -> anyhow::Result<Rest> {
        let end = Instant::now() + RESTS_WITHIN;
        loop {
            if let Some(busy) = self.busy(arena).await? {
                if Instant::now() > end {
                    bail!("the fleet does not come to rest: {busy}");
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
                continue;
            }
            // Ends the connections that are kept to the host of the pictures: how many is chance.
            arena.to_origin.set(Mode::Cut);
            tokio::time::sleep(IDLE).await;
            let rest = self.looks(arena).await?;
            // What was on its way when the load was held may have come meanwhile.
            let quiet = self.busy(arena).await?.is_none() && self.ended == rest.images;
            arena.to_origin.set(Mode::Pass);
            if quiet {
                return Ok(rest);
            }
        }
    }

    /// What is still to be done, in words.
    async fn busy(&mut self, arena: &Arena) -> anyhow::Result<Option<String>> {
        const UNANNOUNCED: &str = "SELECT count(*) FROM scrapes WHERE announced_at IS NULL";
        self.look(arena).await?;
        let open = self.open.load(Ordering::Relaxed) - HELD;
        let unannounced = arena.count(UNANNOUNCED).await?;
        if (open, unannounced) != (0, 0) {
            return Ok(Some(format!("{open} images are open, {unannounced} scrapes are not announced")));
        }
        for queue in arena.broker.topology().queues() {
            match arena.broker.depth(&queue).await {
                Ok((0, _)) => {}
                Ok((ready, _)) => return Ok(Some(format!("{ready} messages in {queue}"))),
                Err(error) => return Ok(Some(format!("{queue}: {error}"))),
            }
        }
        let consumers = watch::until_consumers_are_back(arena, Instant::now()).await;
        Ok(consumers.is_none().then(|| "a queue has not the consumers that it should have".to_owned()))
    }

    /// Takes what has ended since the last look from what is open.
    async fn look(&mut self, arena: &Arena) -> anyhow::Result<()> {
        let ended = arena.count("SELECT count(*) FROM scrape_images WHERE outcome IS NOT NULL").await?;
        self.open.fetch_sub(ended - self.ended, Ordering::Relaxed);
        self.ended = ended;
        Ok(())
    }

    async fn looks(&self, arena: &Arena) -> anyhow::Result<Rest> {
        let mut least = Rest::look(arena, self.ended).await?;
        for _ in 1..LOOKS {
            tokio::time::sleep(Duration::from_secs(1)).await;
            least = least.least(Rest::look(arena, self.ended).await?);
        }
        Ok(least)
    }
}
