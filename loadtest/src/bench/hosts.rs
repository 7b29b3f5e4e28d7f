//! Pictures of a good host, alone and beside those of a bad one.

use std::time::Duration;

use tagfleet_shared::events::ListedImage;
use tokio::task::block_in_place;
use tokio::time::Instant;

use super::fleet::LANE;
use super::pictures::Pictures;
use super::results::{Mark, Row};
use super::{Bench, progress};
use crate::origin::{Content, Origin, Response};

/// How many times as many pictures the bad host has: more than a worker holds.
const BAD: usize = 10;

/// The longest that it may take until the bad host's jobs are taken.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is wrong with a host.
#[derive(Clone, Copy)]
enum Fault {
    /// It answers after five seconds, without a picture: decoding one would cost the others time
    /// that is no host's fault.
    Slow,
    /// It takes requests and never answers.
    Down,
}

/// Images per second of a good host, from their event's being published to the last outcome: of a
/// worker with nothing else to do, and of the same one when it has taken more jobs of a bad host
/// than it can hold.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let mark = Mark::RatioAtLeast(0.95);
    let mut slow = Row::new(14, "a good host beside a slow one, against alone", "images/s").mark(mark);
    let mut down = Row::new(14, "a good host beside one that is down", "images/s").mark(mark);
    let mut pictures = block_in_place(|| Pictures::draw(4 * bench.runs * bench.images))?;
    for run in 1..=bench.runs {
        for (fault, row) in [(Fault::Slow, &mut slow), (Fault::Down, &mut down)] {
            let (beside, alone, asked) = pace(bench, fault, &mut pictures).await?;
            progress(&format!(
                "hosts {run}/{}: {beside:.0} images/s beside {fault}, {alone:.0} alone; it was asked {asked} times",
                bench.runs
            ));
            row.measured(beside, alone);
        }
    }
    Ok(vec![slow, down])
}

/// Images per second beside the bad host, and alone; and how often it was asked.
async fn pace(bench: &mut Bench, fault: Fault, pictures: &mut Pictures) -> anyhow::Result<(f64, f64, u64)> {
    let images = bench.images;
    let bad = Origin::start(Content::Nothing)?;
    let mut fleet = bench.fleet().await?;
    let worker = fleet.start_worker().await?;
    let alone = fleet.publish(pictures.list(images)).await?;
    fleet.until_tagged(&alone, "inferred").await?;
    let alone = fleet.pace_since(&alone, alone.since()).await?;

    let obstacle = fleet.publish(fault.list(&bad, BAD * images)).await?;
    fleet.until_fanned_out(&obstacle).await?;
    let end = Instant::now() + PATIENCE;
    let lane = fleet.broker.topology().lane_queue(LANE);
    while bad.total_requests() == 0 || fleet.broker.depth(&lane).await?.0 > 0 {
        anyhow::ensure!(Instant::now() < end, "the bad host's jobs keep the worker from all others");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let beside = fleet.publish(pictures.list(images)).await?;
    fleet.until_tagged(&beside, "inferred").await?;
    let beside = fleet.pace_since(&beside, beside.since()).await?;
    // The jobs of the bad host are left behind, with the queues.
    drop(worker);
    fleet.end().await?;
    Ok((beside, alone, bad.total_requests()))
}

impl Fault {
    /// So many pictures of a host that has it.
    fn list(self, host: &Origin, count: usize) -> Vec<ListedImage> {
        let response = match self {
            Self::Slow => Response::After(Duration::from_secs(5), Box::new(Response::Status(404))),
            Self::Down => Response::Stall,
        };
        let picture = |number| {
            let path = format!("/{number}.jpg");
            host.put(&path, response.clone());
            ListedImage { url: host.url(&path), ..ListedImage::default() }
        };
        (0..count).map(picture).collect()
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Slow => "a slow host",
            Self::Down => "one that is down",
        })
    }
}
