//! The scrapes of a chaos run: mostly pictures that were seen before, as in production.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use rand::{RngExt, SeedableRng};
use tagfleet_shared::broker::{Outgoing, Publisher, SCRAPE_FINISHED};
use tagfleet_shared::events::{ListedImage, ScrapeFinished};
use tagfleet_shared::ids::{AdvertiserId, ScrapeId};
use tokio_util::sync::CancellationToken;

use super::arena::Arena;
use super::ledger::{Entry, Kind, Listed, What};
use crate::draw::{Entry as Drawn, EntryKind, Inventory, Options, Rng, Size};
use crate::origin::Response;

/// The `count` pictures of a run: the same for the same seed. Few are new to the fleet at any time.
pub fn inventory(seed: u64, count: usize) -> Inventory {
    let options = Options { size: Some(Size::new(320, 240)), originals: 60, ..Options::default() };
    Inventory::draw(seed, count, &options)
}

/// Publishes scrapes.
pub struct Load {
    arena: Arc<Arena>,
    inventory: Arc<Inventory>,
    publisher: Publisher,
    rng: Rng,
    /// The first image that no scrape has listed.
    frontier: usize,
    scrapes: usize,
    published: usize,
    most: Most,
}

/// What is published at most.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// Images of the whole run.
    pub images: usize,
    /// Images that are open: enough that no worker is ever idle, few enough that a run ends.
    pub open: i64,
}

impl Load {
    /// One that publishes `most` at most.
    pub fn new(arena: Arc<Arena>, inventory: Arc<Inventory>, seed: u64, most: Most) -> Self {
        let publisher = arena.broker.publisher();
        let rng = Rng::seed_from_u64(seed);
        let entries = inventory.entries().iter().enumerate();
        for (_, entry) in entries.filter(|(index, entry)| is_late(*index, entry)) {
            let body = entry.file().map(|(_, body)| body).unwrap_or_default();
            let response = Response::StatusThenBytes { status: 503, times: 1, headers: Vec::new(), body };
            arena.origin.put(&entry.path, response);
        }
        Self { arena, inventory, publisher, rng, frontier: 0, scrapes: 0, published: 0, most }
    }

    /// Publishes until `stop`: whenever few images are open, another scrape.
    pub async fn run(mut self, open: Arc<AtomicI64>, stop: CancellationToken) -> anyhow::Result<()> {
        while !stop.is_cancelled() && self.published < self.most.images {
            if open.load(Ordering::Relaxed) < self.most.open {
                let images = self.publish().await?;
                open.fetch_add(i64::try_from(images)?, Ordering::Relaxed);
            } else {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// Publishes a scrape until the broker has confirmed it. Returns how many images it has.
    async fn publish(&mut self) -> anyhow::Result<usize> {
        self.scrapes += 1;
        let id = format!("chaos-{:05}", self.scrapes);
        let entries = self.images();
        let url = |path: &str| format!("http://{}{path}", self.arena.to_origin.address);
        let images = entries.iter().map(|&index| ListedImage {
            url: url(&self.inventory.entries()[index].path),
            ..ListedImage::default()
        });
        let mut event = ScrapeFinished {
            scrape_id: ScrapeId(id.clone()),
            advertiser_id: AdvertiserId(id.clone()),
            finished_at: Timestamp::now(),
            lane: None,
            images: Some(images.collect()),
            manifest_url: None,
            images_of: None,
        };
        if self.scrapes.is_multiple_of(4) {
            let path = format!("/manifests/{id}.ndjson");
            let mut lines = String::new();
            for image in event.images.take().unwrap_or_default() {
                writeln!(lines, "{}", serde_json::to_string(&image)?)?;
            }
            let content_type = "application/x-ndjson";
            self.arena.origin.put(&path, Response::Bytes { content_type, body: lines.into() });
            event.manifest_url = Some(url(&path));
        }
        let body = serde_json::to_vec(&event)?;
        let outgoing = Outgoing::event(self.arena.broker.topology(), SCRAPE_FINISHED, id.clone(), body);
        let at = Timestamp::now();
        // A neighbour of the fleet is as patient as the fleet.
        while self.publisher.publish(std::slice::from_ref(&outgoing)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let listed = entries.iter().map(|&index| listed(&self.inventory, index)).collect();
        self.arena
            .ledger
            .note_all(vec![Entry { at, what: What::Published { scrape: id, images: listed } }])?;
        self.published += entries.len();
        Ok(entries.len())
    }

    /// One in twelve is new, as long as there are new ones.
    fn images(&mut self) -> Vec<usize> {
        let wanted = match self.rng.random_range(0..10) {
            0..6 => self.rng.random_range(20..150),
            6..9 => self.rng.random_range(150..700),
            _ => self.rng.random_range(700..1500),
        };
        let last = self.inventory.entries().len();
        let image = |_| {
            let new = self.frontier < last && (self.frontier < 20 || self.rng.random_range(0..12) == 0);
            if new {
                self.frontier += 1;
                self.frontier - 1
            } else {
                self.rng.random_range(0..self.frontier)
            }
        };
        (0..wanted).map(image).collect()
    }
}

/// Some of the pictures are had at the second attempt only.
fn is_late(index: usize, entry: &Drawn) -> bool {
    index.is_multiple_of(97) && entry.kind == EntryKind::Picture && entry.path.ends_with(".jpg")
}

fn listed(inventory: &Inventory, index: usize) -> Listed {
    let entry = &inventory.entries()[index];
    let kind = match entry.kind {
        _ if is_late(index, entry) => Kind::Late,
        EntryKind::Picture | EntryKind::Repeat(_) => Kind::Picture,
        EntryKind::Truncated | EntryKind::Garbage => Kind::Broken,
        EntryKind::Dead | EntryKind::Page => Kind::Dead,
    };
    Listed { path: entry.path.clone(), kind }
}
