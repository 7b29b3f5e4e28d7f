//! Peak memory of worker and scheduler.

use std::io::Write;
use std::time::Duration;

use tagfleet_shared::events::ListedImage;
use tokio::task::block_in_place;

use super::pictures::{Pictures, unseen};
use super::table::{Mark, Row};
use super::{Bench, progress};
use crate::origin::{Content, Origin, Response};

/// How many times as many jobs are queued as there are pictures in an uncached run.
const QUEUED: usize = 1000;

/// A scheduler that reads a manifest of a million images, and a worker with their jobs before it, at
/// work on pictures that nobody has seen before. What was measured earlier by the same command
/// counts as well: a peak is the highest of all.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let (queued, tagged) = (QUEUED * bench.images, 2 * bench.images);
    let mut pictures = block_in_place(|| Pictures::draw(tagged + 1000))?;
    let mut images = pictures.take(tagged + 1000).listed;
    // The worker is stopped before it comes to these.
    images.extend(unseen("memory", queued));
    let total = images.len();
    let host = Origin::start(Content::Nothing)?;
    host.put("/manifest.ndjson", manifest(images)?);

    progress(&format!("memory: a manifest of {total} images"));
    let fleet = &mut bench.fleet;
    let scrape = fleet.publish_manifest(host.url("/manifest.ndjson")).await?;
    fleet.until_fanned_out(&scrape).await?;

    progress(&format!("memory: a worker with {total} jobs in its queue"));
    let worker = fleet.start_worker().await?;
    while fleet.recorded(&scrape).await? < tagged {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    fleet.stop_worker(worker).await?;

    let mut of_worker = Row::peak(5, "worker's peak memory", "MB").mark(Mark::Below(400.0));
    let mut of_scheduler = Row::peak(5, "scheduler's peak memory", "MB");
    fleet.worker_peaks().iter().for_each(|&peak| of_worker.reached(peak));
    of_scheduler.reached(fleet.scheduler_peak()?);
    Ok(vec![of_worker, of_scheduler])
}

fn manifest(images: Vec<ListedImage>) -> anyhow::Result<Response> {
    let mut lines = Vec::new();
    for image in images {
        serde_json::to_writer(&mut lines, &image)?;
        lines.write_all(b"\n")?;
    }
    Ok(Response::Bytes { content_type: "application/x-ndjson", body: lines.into() })
}
