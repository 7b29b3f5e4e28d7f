//! A scrape leaves the fan-out.

use std::ops::Range;

use tagfleet_shared::db::DbError;
use tagfleet_shared::outcome::SUPERSEDED;

use super::{Client, Scrape};

/// Skips the images of a superseded scrape that have no outcome yet, of those
/// at `places`, and counts them, in one statement. Returns how many they were.
///
/// The tags are merged as a worker does it. Where a pass of `apply_fixes` gets
/// in between, this update is evaluated again on the row as the pass left it,
/// with `fix` set.
///
/// # Errors
///
/// If the database is away.
pub async fn skip_open_images(client: &Client, scrape: &Scrape, places: Range<i32>) -> Result<i64, DbError> {
    const SQL: &str = "
        WITH skipped AS (
            UPDATE scrape_images i
               SET outcome = 'skipped', reason = $5, recorded_at = now(),
                   tags = coalesce(i.configured, '{}') || coalesce(i.fix, fixes_for(i.image_id, $6)),
                   base = CASE WHEN coalesce(i.fix, fixes_for(i.image_id, $6)) <> '{}'
                               THEN coalesce(i.configured, '{}') END
             WHERE i.scrape = $1 AND i.day = $2 AND i.seq >= $3 AND i.seq < $4 AND i.outcome IS NULL
            RETURNING 1
        ), counted AS (
            INSERT INTO scrape_progress (scrape, outcome, images)
            SELECT $1, 'skipped', count(*) FROM skipped HAVING count(*) > 0
        )
        SELECT count(*) FROM skipped";
    let statement = client.prepare_cached(SQL).await?;
    let Scrape { key, day, advertiser_id, .. } = scrape;
    let row = client
        .query_one(&statement, &[key, day, &places.start, &places.end, &SUPERSEDED, &advertiser_id.0])
        .await?;
    Ok(row.get(0))
}

/// All images are listed, and each has its outcome or a job that is confirmed.
///
/// # Errors
///
/// If the database is away.
pub async fn finish(client: &Client, scrape: &Scrape) -> Result<(), DbError> {
    const SQL: &str = "
        UPDATE scrapes SET state = 'tagging', published_at = now(), listed = $2, published = $3
         WHERE key = $1 AND state = 'fanning_out'";
    let statement = client.prepare_cached(SQL).await?;
    client.execute(&statement, &[&scrape.key, &scrape.listed, &scrape.published]).await?;
    Ok(())
}

/// Nothing of the scrape is listed, and nothing will be unless its event comes
/// again: it keeps nobody waiting, neither a person nor the retention.
///
/// # Errors
///
/// If the database is away.
pub async fn refuse(client: &Client, scrape: &Scrape) -> Result<(), DbError> {
    const SQL: &str = "UPDATE scrapes SET state = 'refused' WHERE key = $1 AND state = 'fanning_out'";
    client.execute(SQL, &[&scrape.key]).await?;
    Ok(())
}
