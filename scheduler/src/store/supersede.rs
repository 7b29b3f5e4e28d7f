//! A newer scrape of an advertiser supersedes the older ones that are in work.
//!
//! Not before something of it is there: its first page, or the word that its
//! inventory is empty. A scrape that is refused has superseded nobody, so the
//! inventory that the advertiser had is still tagged.
//!
//! A micro-scrape of pictures that changed takes no part in this. It is no inventory, so it supersedes none. And
//! none supersedes it: the inventory would take the pictures that were replaced for those that are known, and
//! whoever told of a change waits for its outcome. What would be saved is little, since it holds what changed
//! within a moment.

use std::ops::Range;

use tagfleet_shared::db::DbError;
use tagfleet_shared::ids::AdvertiserId;
use tagfleet_shared::outcome::SUPERSEDED;
use tokio_postgres::Transaction;

use super::{Client, Scrape};

/// Until the end of the transaction no other scrape of the advertiser is
/// accepted or begins to supersede: of two that do so together each would miss
/// the other.
pub(super) async fn take_turns(
    transaction: &Transaction<'_>,
    advertiser: &AdvertiserId,
) -> Result<(), DbError> {
    const SQL: &str = "SELECT pg_advisory_xact_lock(hashtextextended('advertiser ' || $1, 0))";
    transaction.execute(SQL, &[&advertiser.0]).await?;
    Ok(())
}

/// The first of a scrape is there: it supersedes those of its advertiser that
/// are in work and ended before it; of two that ended at the same time, the one
/// that arrived first. Returns how many they are.
pub(super) async fn supersede_older(transaction: &Transaction<'_>, scrape: &Scrape) -> Result<u64, DbError> {
    const SQL: &str = "
        UPDATE scrapes older SET superseded_by = newer.key
          FROM scrapes newer
         WHERE newer.key = $1
           AND older.advertiser_id = newer.advertiser_id
           AND older.state IN ('fanning_out', 'tagging')
           AND older.superseded_by IS NULL
           AND (older.finished_at, older.key) < (newer.finished_at, newer.key)";
    take_turns(transaction, &scrape.advertiser_id).await?;
    Ok(transaction.execute(SQL, &[&scrape.key]).await?)
}

/// A scrape that arrives late is superseded from the start, by the newest of
/// which something is there.
pub(super) async fn supersede_by_newer(transaction: &Transaction<'_>, key: i64) -> Result<(), DbError> {
    const SQL: &str = "
        UPDATE scrapes late SET superseded_by = newest.key
          FROM (SELECT o.key FROM scrapes o JOIN scrapes l ON l.key = $1
                 WHERE o.advertiser_id = l.advertiser_id
                   AND (o.state = 'fanning_out' AND o.listed > 0 OR o.state IN ('tagging', 'tagged'))
                   AND (o.finished_at, o.key) > (l.finished_at, l.key)
                 ORDER BY o.finished_at DESC, o.key DESC
                 LIMIT 1) newest
         WHERE late.key = $1";
    transaction.execute(SQL, &[&key]).await?;
    Ok(())
}

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
                               THEN coalesce(i.configured, '{}') END,
                   fix = coalesce(i.fix, nullif(fixes_for(i.image_id, $6), '{}'))
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
