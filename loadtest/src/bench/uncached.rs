//! Pictures that nobody has seen before: download, decode, infer, record.

use tokio::task::block_in_place;

use super::limits::tagging::BareTagging;
use super::pictures::Pictures;
use super::results::{Mark, Row};
use super::{Bench, progress};

/// One worker process against decoding and inference alone, on the same cores and pictures.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let mut speed = Row::new(1, "uncached", "images/s").mark(Mark::RatioAtLeast(0.75));
    let mut cost = Row::new(2, "worker's CPU for an uncached image", "s/image").mark(Mark::RatioAtMost(1.15));
    let mut pictures = block_in_place(|| Pictures::draw(bench.runs * bench.images))?;
    let mut bare = block_in_place(BareTagging::load)?;
    let mut fleet = bench.fleet().await?;
    let worker = fleet.start_worker().await?;

    for run in 1..=bench.runs {
        let album = pictures.take(bench.images);
        let kib = album.mean_kib();
        let cpu = worker.cpu_seconds()?;
        let scrape = fleet.publish(album.listed).await?;
        fleet.until_tagged(&scrape, "inferred").await?;
        let pace = fleet.pace(&scrape).await?;
        let cpu = (worker.cpu_seconds()? - cpu) / bench.images as f64;

        let limit = block_in_place(|| bare.run(&album.files))?;
        progress(&format!(
            "uncached {run}/{}: {pace:.0} images/s of {kib} KiB, the bare loop {:.0}",
            bench.runs, limit.per_second
        ));
        speed.measured(pace, limit.per_second);
        cost.measured(cpu, limit.cpu_seconds);
    }
    fleet.stop_worker(worker).await?;
    bench.peaks.extend(fleet.end().await?);
    Ok(vec![speed, cost])
}
