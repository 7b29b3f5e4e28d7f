//! From the event to the last confirmed job.

use std::time::Instant;

use jiff::civil::Date;

use super::fleet::{Fleet, Scrape};
use super::limits::publishing::Jobs;
use super::pictures::unseen;
use super::results::{Mark, Row};
use super::{Bench, manifests, progress};
use crate::origin::{Content, Origin};

/// How many times as many images as in an uncached run.
const IMAGES: usize = 100;

/// A scheduler that is given an inventory in its event, and one as a gzip manifest, against
/// publishing the same jobs while the same rows are copied into the database. For comparison the
/// same speeds against publishing alone.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let mark = Mark::RatioAtLeast(0.7);
    let mut inline = Row::new(4, "fan-out, inline", "jobs/s").mark(mark);
    let mut gzip = Row::new(4, "fan-out, gzip manifest", "jobs/s").mark(mark);
    let mut inline_publishing = Row::new(4, "fan-out, inline, against publishing alone", "jobs/s");
    let mut gzip_publishing = Row::new(4, "fan-out, gzip, against publishing alone", "jobs/s");
    let images = unseen("fan-out", IMAGES * bench.images);
    let count = images.len();
    let host = Origin::start(Content::Nothing)?;
    host.put("/manifest.ndjson.gz", manifests::gzip(&images).await?);
    let mut fleet = bench.fleet().await?;

    for run in 1..=bench.runs {
        let scrape = fleet.publish(images.clone()).await?;
        let of_event = fan_out(&fleet, &scrape, count).await?;
        let scrape = fleet.publish_manifest(host.url("/manifest.ndjson.gz")).await?;
        let of_manifest = fan_out(&fleet, &scrape, count).await?;

        // No scrape has this key; the rows are like those of one all the same.
        let jobs = Jobs::of(&images, &fleet, today(&fleet).await?, 1_000_000 + run as i64)?;
        let begun = Instant::now();
        jobs.publish(&fleet).await?;
        let publishing = count as f64 / begun.elapsed().as_secs_f64();
        fleet.drain(count).await?;

        let begun = Instant::now();
        tokio::try_join!(jobs.publish(&fleet), jobs.copy(&fleet))?;
        let copying_too = count as f64 / begun.elapsed().as_secs_f64();
        fleet.drain(count).await?;

        progress(&format!(
            "fan_out {run}/{}: inline {of_event:.0} jobs/s, gzip {of_manifest:.0}, bare publishing {publishing:.0}, \
             with COPY {copying_too:.0}",
            bench.runs
        ));
        inline.measured(of_event, copying_too);
        gzip.measured(of_manifest, copying_too);
        inline_publishing.measured(of_event, publishing);
        gzip_publishing.measured(of_manifest, publishing);
    }
    bench.peaks.extend(fleet.end().await?);
    Ok(vec![inline, gzip, inline_publishing, gzip_publishing])
}

/// Jobs per second of a scrape, which are then taken out of the lane.
async fn fan_out(fleet: &Fleet, scrape: &Scrape, count: usize) -> anyhow::Result<f64> {
    let seconds = fleet.until_fanned_out(scrape).await?;
    fleet.drain(count).await?;
    Ok(count as f64 / seconds)
}

/// The partition of the last scrape.
async fn today(fleet: &Fleet) -> anyhow::Result<Date> {
    const SQL: &str = "SELECT day FROM scrapes ORDER BY key DESC LIMIT 1";
    Ok(fleet.pool.get().await?.query_one(SQL, &[]).await?.get(0))
}
