//! A small scrape behind a large one: how long it takes, and what it costs the fleet.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use tagfleet_shared::broker::{Consumer, SCRAPE_TAGGED};
use tagfleet_shared::events::{ListedImage, ScrapeTagged};
use tokio::sync::mpsc;
use tokio::task::block_in_place;

use super::fleet::{Fleet, Scrape};
use super::pictures::Pictures;
use super::results::{Mark, Row, percentile_95};
use super::{Bench, progress};

/// How many times as many images the large scrape has as an uncached run.
const LARGE: usize = 50;

/// Images of a small scrape.
const SMALL: usize = 50;

/// The large scrape in so many parts: quiet ones, and ones with small scrapes, by turns.
const PARTS: usize = 12;

/// Small scrapes in each part that has any.
const IN_A_PART: usize = 4;

/// Small scrapes on the idle fleet, and as many behind the large one.
const SCRAPES: usize = PARTS / 2 * IN_A_PART;

/// The longest that a small scrape may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Small scrapes of pictures that nobody has seen before, one after the other on the idle fleet,
/// and then while it works on a large one. Each is timed from its event's being published to the
/// arrival of `scrape.tagged`.
///
/// The cost is what the fleet as a whole loses: images per second of all scrapes together in the
/// parts of the large one with small ones, against the parts without.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let mut wait =
        Row::new(6, "50 images behind 50,000, p95 to scrape.tagged", "s").mark(Mark::RatioAtMost(2.0));
    let mut cost =
        Row::new(6, "all images/s with small scrapes between", "images/s").mark(Mark::RatioAtLeast(0.97));
    let mut fleet = bench.fleet().await?;
    let worker = fleet.start_worker().await?;
    let mut tagged = Arrivals::listen(&fleet).await?;

    for run in 1..=bench.runs {
        let count = LARGE * bench.images + 2 * SCRAPES * SMALL;
        let mut pictures = block_in_place(|| Pictures::draw_others(run as u64, count))?;
        let mut idle = Vec::new();
        for _ in 0..SCRAPES {
            let (sent, small) = publish(&mut fleet, pictures.list(SMALL)).await?;
            idle.push(tagged.seconds_since(sent, &small).await?);
        }
        let large = fleet.publish(pictures.list(LARGE * bench.images)).await?;
        let Squeezed { busy, with, without } =
            squeeze(&mut fleet, &mut tagged, &mut pictures, &large, LARGE * bench.images).await?;
        fleet.until_tagged(&large, "inferred").await?;

        let percentiles = percentile_95(&busy).zip(percentile_95(&idle));
        let (busy, idle) = percentiles.context("no small scrape was measured")?;
        progress(&format!(
            "express {run}/{}: p95 {busy:.2} s, idle {idle:.2} s; {with:.0} images/s with small scrapes, {without:.0} without",
            bench.runs
        ));
        wait.measured(busy, idle);
        cost.measured(with, without);
    }
    fleet.stop_worker(worker).await?;
    Ok(vec![wait, cost])
}

/// What came of small scrapes behind a large one.
struct Squeezed {
    /// Seconds of each small scrape.
    busy: Vec<f64>,
    /// Images per second in the parts with small scrapes.
    with: f64,
    /// Images per second in the parts without.
    without: f64,
}

/// Publishes small scrapes at the places of the large one that are theirs.
async fn squeeze(
    fleet: &mut Fleet,
    tagged: &mut Arrivals,
    pictures: &mut Pictures,
    large: &Scrape,
    images: usize,
) -> anyhow::Result<Squeezed> {
    // Half a part at the start and at the end is neither: the fleet warms up, and runs dry.
    let part = images / (PARTS + 1);
    let begin = |number: usize| part / 2 + number * part;
    let (mut sent, mut paces) = (Vec::new(), [Vec::new(), Vec::new()]);
    let mut since = until_recorded(fleet, large, begin(0)).await?;
    for number in 0..PARTS {
        let with_small = number % 2;
        for place in 0..IN_A_PART * with_small {
            until_recorded(fleet, large, begin(number) + place * part / IN_A_PART).await?;
            sent.push(publish(fleet, pictures.list(SMALL)).await?);
        }
        let end = until_recorded(fleet, large, begin(number + 1)).await?;
        paces[with_small].push(fleet.pace_between(since, end).await?);
        since = end;
    }
    let mut busy = Vec::new();
    for (at, small) in sent {
        busy.push(tagged.seconds_since(at, &small).await?);
    }
    let [without, with] = paces.map(|paces| paces.iter().sum::<f64>() / paces.len() as f64);
    Ok(Squeezed { busy, with, without })
}

/// Publishes a small scrape. Returns when, and which.
async fn publish(fleet: &mut Fleet, images: Vec<ListedImage>) -> anyhow::Result<(Instant, Scrape)> {
    ensure!(images.len() == SMALL, "too few pictures were drawn");
    let sent = Instant::now();
    Ok((sent, fleet.publish_by_size(images).await?))
}

/// Waits until so many images of a scrape have their outcome. Returns the time by the clock of the
/// database.
async fn until_recorded(fleet: &Fleet, scrape: &Scrape, images: usize) -> anyhow::Result<Timestamp> {
    let end = Instant::now() + PATIENCE;
    while fleet.recorded(scrape).await? < images {
        ensure!(Instant::now() < end, "fewer than {images} images of the large scrape in {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    fleet.now().await
}

/// When each `scrape.tagged` arrived.
struct Arrivals {
    arriving: mpsc::UnboundedReceiver<(String, Instant)>,
    arrived: HashMap<String, Instant>,
}

impl Arrivals {
    /// Listens from now on.
    async fn listen(fleet: &Fleet) -> anyhow::Result<Self> {
        let (send, arriving) = mpsc::unbounded_channel();
        let mut events: Consumer = fleet.broker.listen(SCRAPE_TAGGED).await?;
        tokio::spawn(async move {
            while !send.is_closed() {
                let event = events.next().await;
                let at = Instant::now();
                if let Ok(tagged) = serde_json::from_slice::<ScrapeTagged>(&event.body) {
                    // Err: nobody wants to know any more.
                    let _ = send.send((tagged.scrape_id.0, at));
                }
                event.ack();
            }
        });
        Ok(Self { arriving, arrived: HashMap::new() })
    }

    /// Waits for the announcement of `scrape`. Returns the seconds from `sent` to its arrival.
    async fn seconds_since(&mut self, sent: Instant, scrape: &Scrape) -> anyhow::Result<f64> {
        loop {
            if let Some(at) = self.arrived.get(&scrape.id) {
                return Ok((*at - sent).as_secs_f64());
            }
            let arrival = tokio::time::timeout(PATIENCE, self.arriving.recv()).await;
            let (id, at) = arrival.context("a small scrape was not tagged")?.context("the listener ended")?;
            self.arrived.insert(id, at);
        }
    }
}
