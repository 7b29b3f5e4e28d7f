//! What a Python team would run: see `loadtest/peers/celery`.

use tagfleet_shared::events::ListedImage;
use tokio::task::block_in_place;

use super::cached::{remember, rescrape};
use super::limits::celery::Celery;
use super::pictures::{Pictures, unseen};
use super::results::{Mark, Row};
use super::{Bench, progress};

/// How many times as many images are known as there are pictures in an uncached run.
const KNOWN: usize = 5;

/// Fleet and peer by turns, on the same pictures, servers and cores, with the same models. Jobs and
/// tasks are queued before they begin; only the work on them counts.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let mut uncached =
        Row::new(11, "uncached, against Celery and Pillow", "images/s").mark(Mark::RatioAtLeast(3.0));
    let mut cached =
        Row::new(11, "cached, against Celery and psycopg", "jobs/s").mark(Mark::RatioAtLeast(20.0));
    let mut pictures = block_in_place(|| Pictures::draw(bench.runs * bench.images))?;
    let known: Vec<ListedImage> = unseen("peer", KNOWN * bench.images);
    let many_known: Vec<ListedImage> = unseen("fleet", super::cached::IMAGES * bench.images);
    let mut fleet = bench.fleet().await?;
    let celery = Celery::prepare(bench.servers()?, &bench.logs).await?;

    for run in 1..=bench.runs {
        let listed = pictures.list(bench.images);
        let worker = fleet.start_worker().await?;
        if run == 1 {
            remember(&fleet, &many_known).await?;
            celery.remember(&known).await?;
        }
        let scrape = fleet.publish(listed.clone()).await?;
        fleet.until_tagged(&scrape, "inferred").await?;
        let ours = fleet.pace(&scrape).await?;
        let ours_cached = rescrape(&mut fleet, &[&worker], &many_known).await?;
        fleet.stop_worker(worker).await?;

        let theirs = celery.pace(&format!("uncached-{run}"), &listed, "inferred").await?;
        let theirs_cached = celery.pace(&format!("cached-{run}"), &known, "cached").await?;
        progress(&format!(
            "peer {run}/{}: uncached {ours:.0} images/s, the peer {theirs:.0}; cached {ours_cached:.0} jobs/s, the peer {theirs_cached:.0}",
            bench.runs
        ));
        uncached.measured(ours, theirs);
        cached.measured(ours_cached, theirs_cached);
    }
    fleet.end().await?;
    Ok(vec![uncached, cached])
}
