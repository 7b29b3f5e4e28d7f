//! Images that get their chance again.

use deadpool_postgres::ClientWrapper;
use jiff::civil::Date;
use tokio_postgres::Row;

use crate::db::DbError;
use crate::ids::{ImageId, ScrapeId};
use crate::jobs::TagImage;
use crate::lane::Lane;
use crate::outcome::{PARKED, SUPERSEDED};

/// Takes the outcome away from the images of `jobs` that have it because their job was parked.
///
/// So the job can be worked on again. Returns how many those are; for all others nothing changes, and a job
/// that is worked on again changes nothing either.
///
/// The counts stay true: an image that is open again counts against the outcomes of its scrape. A scrape
/// that was tagged is in work again until the images have their outcome, and is then announced again, with
/// the same event id and the counts as they are then. All of it is one transaction, so whoever dies behind
/// it leaves a scrape with open images: the sweep makes up for their jobs, if nobody else does. A scrape
/// that a newer one has overtaken stays as it is.
///
/// # Errors
///
/// If the database is away: nothing has changed.
pub async fn parked(client: &mut ClientWrapper, jobs: &[TagImage]) -> Result<u64, DbError> {
    loop {
        match try_parked(client, jobs).await {
            // A pass over a fixed image holds the same rows.
            Err(error) if error.is_conflict() => {}
            done => return done,
        }
    }
}

/// What becomes of a scrape whose skipped images are to be had again.
#[derive(Clone, Debug, PartialEq)]
pub enum Reopened {
    /// These jobs are to be published in this lane.
    Jobs(Vec<TagImage>, Lane),
    /// It is not there, or its images are still being listed, or a newer one has overtaken it.
    NotNow,
}

/// Takes the outcome away from the skipped images of a scrape, and forgets that they could not be had: the same
/// as [`parked`] otherwise. Whoever calls it publishes the jobs.
///
/// # Errors
///
/// If the database is away: nothing has changed.
pub async fn skipped(client: &mut ClientWrapper, scrape: &ScrapeId) -> Result<Reopened, DbError> {
    loop {
        match try_skipped(client, scrape).await {
            Err(error) if error.is_conflict() => {}
            done => return done,
        }
    }
}

async fn try_skipped(client: &mut ClientWrapper, scrape: &ScrapeId) -> Result<Reopened, DbError> {
    const CLAIM: &str = "
        SELECT key, day, lane FROM scrapes
         WHERE scrape_id = $1 AND superseded_by IS NULL AND state IN ('tagging', 'tagged') FOR NO KEY UPDATE";
    // In the order in which workers take them.
    const OPEN: &str = "
        WITH open AS MATERIALIZED (
            SELECT day, scrape, seq FROM scrape_images
             WHERE day = $1 AND scrape = $2 AND outcome = 'skipped' AND reason <> $3 ORDER BY seq FOR UPDATE)
        UPDATE scrape_images i
           SET outcome = NULL, reason = NULL, tags = NULL, base = NULL, model_set = NULL, recorded_at = NULL,
               trials = 0
          FROM open WHERE i.day = open.day AND i.scrape = open.scrape AND i.seq = open.seq
     RETURNING i.seq, i.image_id, i.url";
    const FORGET: &str = "DELETE FROM image_failures WHERE image_id = ANY($1)";
    let transaction = client.transaction().await?;
    let Some(claimed) = transaction.query_opt(CLAIM, &[&scrape.0]).await? else {
        return Ok(Reopened::NotNow);
    };
    let (key, day): (i64, Date) = (claimed.get(0), claimed.get(1));
    let lane = Lane::of_word(claimed.get(2));
    let opened = transaction.query(OPEN, &[&day, &key, &SUPERSEDED]).await?;
    let job = |row: &Row| TagImage {
        day,
        scrape: key,
        seq: row.get(0),
        scrape_id: scrape.clone(),
        image: ImageId(row.get(1)),
        url: row.get(2),
    };
    let jobs: Vec<_> = opened.iter().map(job).collect();
    if !jobs.is_empty() {
        let images: Vec<_> = jobs.iter().map(|job| job.image.0).collect();
        transaction.execute(FORGET, &[&images]).await?;
        let count = i32::try_from(jobs.len()).unwrap_or(i32::MAX);
        transaction.execute(COUNT, &[&vec![key], &vec![count], &"skipped"]).await?;
        transaction.execute(BEGIN_AGAIN, &[&vec![key]]).await?;
    }
    transaction.commit().await?;
    Ok(Reopened::Jobs(jobs, lane))
}

/// Images that are open again count against the outcomes of their scrapes. What had its outcome before has
/// it since then, and not from now on: it is no part of the rate at which the scrape goes on.
const COUNT: &str = "
    INSERT INTO scrape_progress (scrape, outcome, images, recorded_at)
    SELECT scrape, $3, -images, now() FROM unnest($1::int8[], $2::int4[]) AS o (scrape, images)
    UNION ALL
    SELECT s.key, o.key, o.value::int, coalesce(s.tagged_at, s.received_at) FROM scrapes s CROSS JOIN jsonb_each_text(s.outcomes) o
     WHERE s.key = ANY($1) AND s.state IN ('tagged', 'changed')";
const BEGIN_AGAIN: &str = "
    UPDATE scrapes SET state = CASE state WHEN 'changed' THEN 'changing' ELSE 'tagging' END,
                       outcomes = NULL, tagged_at = NULL, announced_at = NULL, reopened_at = now()
     WHERE key = ANY($1) AND state IN ('tagged', 'changed')";

async fn try_parked(client: &mut ClientWrapper, jobs: &[TagImage]) -> Result<u64, DbError> {
    // Whoever ends or announces a scrape holds its row: what is read below is what they left.
    const CLAIM: &str = "
        SELECT key FROM scrapes
         WHERE key = ANY($1) AND superseded_by IS NULL
           AND state IN ('fanning_out', 'tagging', 'tagged', 'changing', 'changed')
         ORDER BY key FOR NO KEY UPDATE";
    const OPEN: &str = "
        WITH announced AS (
            SELECT i.scrape, count(DISTINCT i.seq)::int AS images FROM scrape_images i
              JOIN unnest($1::date[], $2::int8[], $3::int4[]) AS j (day, scrape, seq) USING (day, scrape, seq)
             WHERE i.scrape = ANY($4) AND i.outcome = 'defaulted' AND i.reason = ANY($5)
               AND i.announced_at IS NOT NULL GROUP BY i.scrape
        ), less AS (
            UPDATE scrapes s SET announced = s.announced - a.images FROM announced a WHERE s.key = a.scrape
        ), opened AS (
            UPDATE scrape_images i
               SET outcome = NULL, reason = NULL, tags = NULL, base = NULL, model_set = NULL, recorded_at = NULL,
                   announced_at = NULL,
                   trials = 0
              FROM unnest($1::date[], $2::int8[], $3::int4[]) AS j (day, scrape, seq)
             WHERE i.day = j.day AND i.scrape = j.scrape AND i.seq = j.seq
               AND i.scrape = ANY($4) AND i.outcome = 'defaulted' AND i.reason = ANY($5)
         RETURNING i.scrape)
        SELECT scrape, count(*)::int FROM opened GROUP BY scrape";

    let mut jobs: Vec<&TagImage> = jobs.iter().collect();
    // In the order in which workers take them.
    jobs.sort_unstable_by_key(|job| (job.scrape, job.seq));
    let days: Vec<_> = jobs.iter().map(|job| job.day).collect();
    let keys: Vec<_> = jobs.iter().map(|job| job.scrape).collect();
    let seqs: Vec<_> = jobs.iter().map(|job| job.seq).collect();

    let transaction = client.transaction().await?;
    let claimed = transaction.query(CLAIM, &[&keys]).await?;
    let claimed: Vec<i64> = claimed.iter().map(|row| row.get(0)).collect();
    let opened = transaction.query(OPEN, &[&days, &keys, &seqs, &claimed, &&PARKED[..]]).await?;
    let (scrapes, images): (Vec<i64>, Vec<i32>) =
        opened.iter().map(|row| (row.get::<_, i64>(0), row.get::<_, i32>(1))).unzip();
    transaction.execute(COUNT, &[&scrapes, &images, &"defaulted"]).await?;
    transaction.execute(BEGIN_AGAIN, &[&scrapes]).await?;
    transaction.commit().await?;
    Ok(images.into_iter().map(|images| u64::try_from(images).unwrap_or_default()).sum())
}
