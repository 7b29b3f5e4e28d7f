//! Taking jobs, looking them up and writing outcomes alone: what broker and database can do at best.

use std::sync::atomic::{AtomicUsize, Ordering};

use deadpool_postgres::Object;
use tagfleet_shared::broker::{Consumer, Received};
use tagfleet_shared::db::DbError;
use tagfleet_shared::jobs::{Job, TagImage};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::bench::fleet::{Fleet, LANE};

/// Rows in one statement at most.
const BATCH: usize = 512;

/// Loops at the same time: one writes while the other one gathers.
const LOOPS: usize = 2;

/// Unsettled jobs of a loop.
const PREFETCH: u16 = 4 * BATCH as u16;

/// What is asked of the database before the outcomes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// What is known of the images of a batch, in one SELECT.
    ForTags,
    /// Nothing.
    Nothing,
}

/// Takes the next `jobs` jobs out of the lane and writes the same outcome into all of their rows: a
/// batch is one SELECT, if any is asked for, and one UPDATE, then it is acknowledged. Nothing is
/// merged or counted.
///
/// Consumes as a worker does: the consumer of `shared::broker` acknowledges many with one frame.
pub async fn record(fleet: &Fleet, jobs: usize, ask: Ask) -> anyhow::Result<()> {
    let (left, done) = (AtomicUsize::new(jobs), CancellationToken::new());
    let loops = (0..LOOPS).map(|_| async {
        let mut consumer = fleet.broker.consume(fleet.broker.topology().lane_queue(LANE), PREFETCH);
        while let Some(batch) = done.run_until_cancelled(gather(&mut consumer)).await {
            work(fleet, &batch, ask).await?;
            if left.fetch_sub(batch.len(), Ordering::Relaxed) == batch.len() {
                done.cancel();
            }
            batch.into_iter().for_each(Received::ack);
        }
        consumer.close().finished().await;
        anyhow::Ok(())
    });
    futures::future::try_join_all(loops).await?;
    Ok(())
}

/// Waits for a job, and takes what is there with it.
async fn gather(consumer: &mut Consumer) -> Vec<Received> {
    let mut batch = vec![consumer.next().await];
    while batch.len() < BATCH
        && let Some(received) = consumer.try_next()
    {
        batch.push(received);
    }
    batch
}

async fn work(fleet: &Fleet, batch: &[Received], ask: Ask) -> anyhow::Result<()> {
    let (mut days, mut scrapes, mut seqs, mut images) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for received in batch {
        let Job::TagImageV1(TagImage { day, scrape, seq, image, .. }) =
            serde_json::from_slice(&received.body)?;
        days.push(day);
        scrapes.push(scrape);
        seqs.push(seq);
        images.push(image.0);
    }
    let client = fleet.pool.get().await?;
    if ask == Ask::ForTags {
        look_up(&client, &images).await?;
    }
    const SQL: &str = r#"
        UPDATE scrape_images s
           SET outcome = 'cached', recorded_at = now(), model_set = 1,
               tags = '{"color": "red", "image_type": "Dealer"}'
          FROM unnest($1::date[], $2::int8[], $3::int4[]) AS e (day, scrape, seq)
         WHERE s.day = e.day AND s.scrape = e.scrape AND s.seq = e.seq"#;
    let statement = client.prepare_cached(SQL).await?;
    client.execute(&statement, &[&days, &scrapes, &seqs]).await.map_err(DbError::from)?;
    Ok(())
}

/// All of the images must be known.
async fn look_up(client: &Object, images: &[Uuid]) -> anyhow::Result<()> {
    const SQL: &str =
        "SELECT image_id, tags, scores FROM image_tags WHERE image_id = ANY ($1) AND model_set = 1";
    let statement = client.prepare_cached(SQL).await?;
    let known = client.query(&statement, &[&images]).await.map_err(DbError::from)?;
    anyhow::ensure!(known.len() == images.len(), "{} of {} images are known", known.len(), images.len());
    Ok(())
}
