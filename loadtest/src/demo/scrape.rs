//! One scrape of the demo, published as a pipeline would, and watched.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use tagfleet_shared::broker::{Broker, Consumer, Outgoing, SCRAPE_FINISHED, SCRAPE_TAGGED};
use tagfleet_shared::events::{ListedImage, ScrapeFinished, ScrapeTagged};
use tagfleet_shared::ids::{AdvertiserId, ScrapeId};
use tokio_postgres::Client;
use uuid::Uuid;

use super::processes::{Servers, neighbour};
use super::{connect, say};
use crate::origin::Origin;

/// The longest that nothing may happen.
const PATIENCE: Duration = Duration::from_secs(180);

/// The demo's view of the fleet: that of a neighbour.
pub struct Demo {
    broker: Broker,
    /// The database.
    pub client: Client,
    images: Vec<ListedImage>,
    /// The host of pictures; stops with the demo.
    base_url: String,
}

/// A scrape that was tagged.
pub struct Tagged {
    /// What the fleet said of it.
    pub event: ScrapeTagged,
    /// From the publishing of one event to the arrival of the other.
    pub took: Duration,
}

impl Demo {
    /// Connects to the servers.
    pub async fn open(servers: &Servers, origin: &Origin, paths: Vec<String>) -> anyhow::Result<Self> {
        let images = paths.iter().enumerate().map(|(n, path)| ListedImage {
            url: origin.url(path),
            listing_id: Some(format!("listing-{}", n / 8)),
            position: i32::try_from(n % 8).ok(),
            ..ListedImage::default()
        });
        Ok(Self {
            broker: neighbour(servers)?,
            client: connect(&servers.database).await?,
            images: images.collect(),
            base_url: origin.base_url(),
        })
    }

    /// Images of the inventory.
    pub fn images(&self) -> usize {
        self.images.len()
    }

    /// A picture's path on the host.
    pub fn path<'a>(&self, url: &'a str) -> &'a str {
        url.strip_prefix(self.base_url.as_str()).unwrap_or(url)
    }

    /// Publishes the inventory, and watches until it is announced as tagged.
    pub async fn scrape(&self, name: &str) -> anyhow::Result<Tagged> {
        self.publish(name, "demo-dealer", self.images.clone()).await
    }

    /// Another advertiser lists every third of the pictures.
    pub async fn neighbour(&self, name: &str) -> anyhow::Result<Tagged> {
        self.publish(name, "demo-neighbour", self.images.iter().step_by(3).cloned().collect()).await
    }

    /// Publishes what is no event: it ends among the dead letters.
    pub async fn publish_nonsense(&self) -> anyhow::Result<()> {
        let body = br#"{"scrape_id": "demo-half-an-event", "images": 3}"#.to_vec();
        let event =
            Outgoing::event(self.broker.topology(), SCRAPE_FINISHED, Uuid::new_v4().to_string(), body);
        Ok(self.broker.publisher().publish(&[event]).await?)
    }

    async fn publish(
        &self,
        name: &str,
        advertiser: &str,
        images: Vec<ListedImage>,
    ) -> anyhow::Result<Tagged> {
        let total = images.len() as u64;
        let mut announcements = self.broker.listen(SCRAPE_TAGGED).await?;
        let event = ScrapeFinished {
            scrape_id: ScrapeId(format!("{name}-{}", Uuid::new_v4().simple())),
            advertiser_id: AdvertiserId(advertiser.into()),
            finished_at: Timestamp::now(),
            lane: None,
            images: Some(images),
            manifest_url: None,
            images_of: None,
        };
        let body = serde_json::to_vec(&event)?;
        let id = event.scrape_id.0.clone();
        let outgoing = Outgoing::event(self.broker.topology(), SCRAPE_FINISHED, id, body);
        let since = Instant::now();
        self.broker.publisher().publish(&[outgoing]).await?;

        let watched = self.watch(&event.scrape_id, total);
        let event = tokio::select! {
            event = announced(&mut announcements, &event.scrape_id) => event?,
            stuck = watched => bail!("{}", stuck.context("the fleet does not move: see the logs")?),
        };
        let took = since.elapsed();
        announcements.close().finished().await;
        Ok(Tagged { event, took })
    }

    /// Shows how far it is: a bar on a terminal, lines elsewhere. Returns when
    /// nothing has happened for long.
    async fn watch(&self, scrape: &ScrapeId, total: u64) -> anyhow::Result<String> {
        const SQL: &str = "SELECT ended::int8 FROM scrape_overview WHERE scrape_id = $1";
        let bar = bar(total);
        let mut moved = (Instant::now(), 0);
        let mut told = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let row = self.client.query_opt(SQL, &[&scrape.0]).await?;
            let ended = row.map_or(0, |row| row.get::<_, i64>(0)).unsigned_abs();
            bar.set_position(ended);
            if bar.is_hidden() && told.elapsed() >= Duration::from_secs(1) {
                say(&format!("  {ended} of {total}"));
                told = Instant::now();
            }
            if ended > moved.1 {
                moved = (Instant::now(), ended);
            }
            if moved.0.elapsed() > PATIENCE {
                return Ok(format!("{ended} of {total} images ended, and no more for {PATIENCE:?}"));
            }
        }
    }
}

async fn announced(announcements: &mut Consumer, scrape: &ScrapeId) -> anyhow::Result<ScrapeTagged> {
    loop {
        let received = announcements.next().await;
        let event: ScrapeTagged = serde_json::from_slice(&received.body)?;
        received.ack();
        if event.scrape_id == *scrape {
            return Ok(event);
        }
    }
}

fn bar(total: u64) -> ProgressBar {
    if !std::io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("  {bar:40} {pos}/{len}  {per_sec}  {elapsed}");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
