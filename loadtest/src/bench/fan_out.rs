//! From the event to the last confirmed job.

use std::time::Instant;

use jiff::civil::Date;

use super::limits::publishing::Jobs;
use super::pictures::unseen;
use super::table::{Mark, Row};
use super::{Bench, progress};

/// How many times as many images as in an uncached run.
const IMAGES: usize = 100;

/// A scheduler against publishing the same jobs alone, and against publishing them while the same
/// rows are copied into the database.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let mut bare = Row::new(4, "fan-out, against publishing", "jobs/s").mark(Mark::RatioAtLeast(0.5));
    let mut full = Row::new(4, "fan-out, against publishing and COPY", "jobs/s");
    let images = unseen("fan-out", IMAGES * bench.images);
    let (fleet, count) = (&mut bench.fleet, images.len());

    for run in 1..=bench.runs {
        let scrape = fleet.publish(images.clone()).await?;
        let pace = count as f64 / fleet.until_fanned_out(&scrape).await?;
        fleet.drain(count).await?;

        const SQL: &str = "SELECT day FROM scrapes ORDER BY key DESC LIMIT 1";
        let day: Date = fleet.pool.get().await?.query_one(SQL, &[]).await?.get(0);
        // No scrape has this key; the rows are like those of one all the same.
        let jobs = Jobs::of(&images, fleet, day, 1_000_000 + run as i64)?;
        let begun = Instant::now();
        jobs.publish(fleet).await?;
        let publishing = count as f64 / begun.elapsed().as_secs_f64();
        fleet.drain(count).await?;

        let begun = Instant::now();
        tokio::try_join!(jobs.publish(fleet), jobs.copy(fleet))?;
        let copying_too = count as f64 / begun.elapsed().as_secs_f64();
        fleet.drain(count).await?;

        progress(&format!(
            "fan_out {run}/{}: {pace:.0} jobs/s, bare publishing {publishing:.0}, with COPY {copying_too:.0}",
            bench.runs
        ));
        bare.measured(pace, publishing);
        full.measured(pace, copying_too);
    }
    Ok(vec![bare, full])
}
