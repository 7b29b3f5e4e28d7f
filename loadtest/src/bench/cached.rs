//! A scrape of which everything is known: look up, record, acknowledge.

use tagfleet_shared::events::ListedImage;
use tagfleet_shared::ids::ImageId;
use uuid::Uuid;

use super::fleet::Fleet;
use super::limits::recording::{self, Ask};
use super::pictures::unseen;
use super::process::Process;
use super::results::{Mark, Row};
use super::{Bench, progress};

/// How many times as many images as in an uncached run.
pub const IMAGES: usize = 30;

/// A worker that finds everything in Postgres, and the same worker again, which finds it in its
/// own memory, against taking the jobs and writing the rows alone; the first with one plain look-up
/// for each batch.
///
/// Only the worker is measured: its jobs are all queued before it begins.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let mark = Mark::RatioAtLeast(0.6);
    let mut database = Row::new(3, "cached, in the database", "jobs/s").mark(mark);
    let mut memory = Row::new(3, "cached, in the worker's memory", "jobs/s").mark(mark);
    let images = unseen("cached", IMAGES * bench.images);
    let mut fleet = bench.fleet().await?;

    for run in 1..=bench.runs {
        let worker = fleet.start_worker().await?;
        if run == 1 {
            remember(&fleet, &images).await?;
        }
        let from_database = rescrape(&mut fleet, &[&worker], &images).await?;
        let from_memory = rescrape(&mut fleet, &[&worker], &images).await?;
        fleet.stop_worker(worker).await?;

        let with_look_up = bare(&mut fleet, &images, Ask::ForTags).await?;
        let without = bare(&mut fleet, &images, Ask::Nothing).await?;
        progress(&format!(
            "cached {run}/{}: {from_database:.0} jobs/s from the database, the bare loop {with_look_up:.0}; \
             {from_memory:.0} from memory, the bare loop {without:.0}",
            bench.runs
        ));
        database.measured(from_database, with_look_up);
        memory.measured(from_memory, without);
    }
    bench.peaks.extend(fleet.end().await?);
    Ok(vec![database, memory])
}

/// Jobs per second of the bare loop.
async fn bare(fleet: &mut Fleet, images: &[ListedImage], ask: Ask) -> anyhow::Result<f64> {
    let scrape = fleet.publish(images.to_vec()).await?;
    fleet.until_fanned_out(&scrape).await?;
    let begun = fleet.now().await?;
    recording::record(fleet, images.len(), ask).await?;
    fleet.pace_since(&scrape, begun).await
}

/// Jobs per second of workers that find all of them waiting.
pub async fn rescrape(
    fleet: &mut Fleet,
    workers: &[&Process],
    images: &[ListedImage],
) -> anyhow::Result<f64> {
    for worker in workers {
        worker.pause().await?;
    }
    let scrape = fleet.publish(images.to_vec()).await?;
    let fanned_out = fleet.until_fanned_out(&scrape).await;
    let begun = fleet.now().await;
    for worker in workers {
        worker.resume().await?;
    }
    fanned_out?;
    fleet.until_tagged(&scrape, "cached").await?;
    fleet.pace_since(&scrape, begun?).await
}

/// Makes the images known to the model set of the worker that is running, as if it had tagged them.
pub async fn remember(fleet: &Fleet, images: &[ListedImage]) -> anyhow::Result<()> {
    const SQL: &str = r#"
        INSERT INTO image_tags (image_id, model_set, tags, scores, bytes_hash, width, height)
        SELECT image_id, (SELECT max(id) FROM model_sets), '{"color": "red", "image_type": "Dealer"}',
               '{"color": 0.8765432, "image_type": 0.9876543}', gen_random_uuid(), 1024, 768
          FROM unnest($1::uuid[]) AS known (image_id)"#;
    let ids: Vec<Uuid> = images.iter().map(|image| ImageId::of(None, &image.url).0).collect();
    let client = fleet.pool.get().await?;
    client.execute(SQL, &[&ids]).await?;
    client.batch_execute("ANALYZE image_tags").await?;
    Ok(())
}
