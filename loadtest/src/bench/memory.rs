//! Peak memory of worker and scheduler.

use std::time::Duration;

use tagfleet_shared::events::ListedImage;
use tokio::task::block_in_place;

use super::fleet::Fleet;
use super::pictures::{Pictures, unseen};
use super::results::{Mark, Row};
use super::{Bench, manifests, progress};
use crate::origin::{Content, Origin};

/// How many times as many jobs are queued as there are pictures in an uncached run.
const QUEUED: usize = 1000;

/// How many times as many in the inventory that the large one is held against.
const FEW: usize = 20;

/// A scheduler that reads a manifest of a million images, and a worker with their jobs before it, at
/// work on pictures that nobody has seen before. What was measured earlier by the same command in
/// `uncached`, `cached` and `fan_out` counts as well: a peak is the highest of all.
///
/// Flat is a peak that is the same with a hundredth of the jobs.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let tagged = 2 * bench.images;
    let few = backlog(bench.fleet().await?, 2, tagged, FEW * bench.images).await?;
    let many = backlog(bench.fleet().await?, 3, tagged, QUEUED * bench.images).await?;

    let mut of_worker = Row::peak(5, "worker's peak memory", "MB").mark(Mark::AtMost(300.0));
    let mut of_scheduler = Row::peak(5, "scheduler's peak memory", "MB").mark(Mark::AtMost(100.0));
    let mut flat_worker = Row::new(5, "worker's peak, a million queued against few", "MB");
    let mut flat_scheduler = Row::new(5, "scheduler's peak, a million listed against few", "MB");
    flat_worker.measured(many.worker, few.worker);
    flat_scheduler.measured(many.scheduler, few.scheduler);
    bench.peaks.workers.iter().chain([&few.worker, &many.worker]).for_each(|&peak| of_worker.reached(peak));
    bench
        .peaks
        .schedulers
        .iter()
        .chain([&few.scheduler, &many.scheduler])
        .for_each(|&peak| of_scheduler.reached(peak));
    Ok(vec![of_worker, of_scheduler, flat_worker, flat_scheduler])
}

/// Peaks in MB.
struct Peak {
    worker: f64,
    scheduler: f64,
}

/// Fans out `queued` images and lets a worker tag the first `tagged` of them.
async fn backlog(mut fleet: Fleet, seed: u64, tagged: usize, queued: usize) -> anyhow::Result<Peak> {
    // Some are on their way when it is stopped.
    let real = tagged + 1000;
    let mut pictures = block_in_place(|| Pictures::draw_others(seed, real))?;
    let mut images: Vec<ListedImage> = pictures.list(real);
    // The worker is stopped before it comes to these.
    images.extend(unseen(&format!("memory-{seed}"), queued));
    let total = images.len();
    let host = Origin::start(Content::Nothing)?;
    host.put("/manifest.ndjson", manifests::plain(&images)?);
    drop(images);

    progress(&format!("memory: a manifest of {total} images"));
    let scrape = fleet.publish_manifest(host.url("/manifest.ndjson")).await?;
    fleet.until_fanned_out(&scrape).await?;

    progress(&format!("memory: a worker with {total} jobs in its queue"));
    let worker = fleet.start_worker().await?;
    while fleet.recorded(&scrape).await? < tagged {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let of_worker = worker.peak_memory()?;
    worker.stop().await?;
    let of_schedulers = fleet.end().await?.schedulers;
    let peak = Peak { worker: of_worker, scheduler: of_schedulers.into_iter().fold(0.0, f64::max) };
    progress(&format!("memory: worker {:.0} MB, scheduler {:.0} MB", peak.worker, peak.scheduler));
    Ok(peak)
}
