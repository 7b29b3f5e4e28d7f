//! An image whose job was parked gets its chance again.

use tagfleet_shared::db::DbError;
use tagfleet_shared::jobs::TagImage;
use tagfleet_shared::outcome::PARKED;

use super::Client;

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
pub async fn reopen(client: &mut Client, jobs: &[TagImage]) -> Result<u64, DbError> {
    loop {
        match try_reopen(client, jobs).await {
            // A pass over a fixed image holds the same rows.
            Err(error) if error.is_conflict() => {}
            done => return done,
        }
    }
}

async fn try_reopen(client: &mut Client, jobs: &[TagImage]) -> Result<u64, DbError> {
    // Whoever ends or announces a scrape holds its row: what is read below is what they left.
    const CLAIM: &str = "
        SELECT key FROM scrapes
         WHERE key = ANY($1) AND superseded_by IS NULL AND state IN ('fanning_out', 'tagging', 'tagged')
         ORDER BY key FOR NO KEY UPDATE";
    const OPEN: &str = "
        WITH opened AS (
            UPDATE scrape_images i
               SET outcome = NULL, reason = NULL, tags = NULL, base = NULL, model_set = NULL, recorded_at = NULL,
                   trials = 0
              FROM unnest($1::date[], $2::int8[], $3::int4[]) AS j (day, scrape, seq)
             WHERE i.day = j.day AND i.scrape = j.scrape AND i.seq = j.seq
               AND i.scrape = ANY($4) AND i.outcome = 'defaulted' AND i.reason = ANY($5)
         RETURNING i.scrape)
        SELECT scrape, count(*)::int FROM opened GROUP BY scrape";
    const COUNT: &str = "
        INSERT INTO scrape_progress (scrape, outcome, images)
        SELECT scrape, 'defaulted', -images FROM unnest($1::int8[], $2::int4[]) AS o (scrape, images)
        UNION ALL
        SELECT s.key, o.key, o.value::int FROM scrapes s CROSS JOIN jsonb_each_text(s.outcomes) o
         WHERE s.key = ANY($1) AND s.state = 'tagged'";
    const BEGIN_AGAIN: &str = "
        UPDATE scrapes SET state = 'tagging', outcomes = NULL, tagged_at = NULL, announced_at = NULL
         WHERE key = ANY($1) AND state = 'tagged'";

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
    transaction.execute(COUNT, &[&scrapes, &images]).await?;
    transaction.execute(BEGIN_AGAIN, &[&scrapes]).await?;
    transaction.commit().await?;
    Ok(images.into_iter().map(|images| u64::try_from(images).unwrap_or_default()).sum())
}
