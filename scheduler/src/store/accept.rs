//! A scrape enters `scrapes`, once.

use jiff::civil::Date;
use tagfleet_shared::db::DbError;
use tagfleet_shared::events::ScrapeFinished;
use tagfleet_shared::ids::AdvertiserId;
use tagfleet_shared::lane::Lane;
use tokio_postgres::Transaction;

use super::{Client, SCRAPE, Scrape};

/// What an event turned out to be.
#[derive(Debug)]
pub enum Accepted {
    /// A scrape that was not known.
    New {
        /// The scrape.
        scrape: Scrape,
        /// Scrapes that are superseded because of it: older ones of the
        /// advertiser, or itself.
        superseded: u64,
    },
    /// A scrape whose fan-out was cut off.
    Resumed(Scrape),
    /// A scrape that was fanned out before.
    Repeated,
    /// An id that belongs to a scrape of this other advertiser.
    Taken(AdvertiserId),
}

/// Records the scrape of `event`, or finds it where an earlier delivery left it.
///
/// # Errors
///
/// If the database is away.
pub async fn accept(client: &mut Client, event: &ScrapeFinished, lane: Lane) -> Result<Accepted, DbError> {
    // Before the transaction: a new partition needs a lock on the whole table,
    // which must not be waited for while rows of other scrapes are locked.
    let day = ensure_today(client).await?;

    let transaction = client.transaction().await?;
    take_turns(&transaction, &event.advertiser_id).await?;
    let new = insert(&transaction, event, lane, day).await?;
    let reopened = reopen(&transaction, event, day).await?;
    let superseded = match new.or(reopened) {
        Some(key) => {
            supersede_older(&transaction, key).await? + supersede_by_newer(&transaction, key).await?
        }
        None => 0,
    };
    let sql = format!("SELECT state, {SCRAPE} FROM scrapes WHERE scrape_id = $1");
    let row = transaction.query_one(&sql, &[&event.scrape_id.0]).await?;
    transaction.commit().await?;

    let (state, scrape): (&str, _) = (row.get("state"), Scrape::from_row(&row));
    Ok(if scrape.advertiser_id != event.advertiser_id {
        Accepted::Taken(scrape.advertiser_id)
    } else if new.is_some() {
        Accepted::New { scrape, superseded }
    } else if state == "fanning_out" {
        Accepted::Resumed(scrape)
    } else {
        Accepted::Repeated
    })
}

/// The UTC date of now, with a partition for it.
async fn ensure_today(client: &Client) -> Result<Date, DbError> {
    const SQL: &str = "
        SELECT today.day, ensure_partition(today.day)
          FROM (SELECT (now() AT TIME ZONE 'UTC')::date AS day) today";
    let statement = client.prepare_cached(SQL).await?;
    Ok(client.query_one(&statement, &[]).await?.get(0))
}

/// Until the end of the transaction no other scrape of the advertiser is
/// accepted: of two that arrive together each would miss the other.
async fn take_turns(transaction: &Transaction<'_>, advertiser: &AdvertiserId) -> Result<(), DbError> {
    const SQL: &str = "SELECT pg_advisory_xact_lock(hashtextextended('advertiser ' || $1, 0))";
    transaction.execute(SQL, &[&advertiser.0]).await?;
    Ok(())
}

/// The same event twice is one scrape: `None` the second time.
async fn insert(
    transaction: &Transaction<'_>,
    event: &ScrapeFinished,
    lane: Lane,
    day: Date,
) -> Result<Option<i64>, DbError> {
    const SQL: &str = "
        INSERT INTO scrapes (scrape_id, advertiser_id, finished_at, lane, day)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (scrape_id) DO NOTHING
        RETURNING key";
    let ScrapeFinished { scrape_id, advertiser_id, finished_at, .. } = event;
    let row = transaction
        .query_opt(SQL, &[&scrape_id.0, &advertiser_id.0, finished_at, &lane.as_str(), &day])
        .await?;
    Ok(row.map(|row| row.get(0)))
}

/// A scrape that was refused is open again, as if it had never come before.
async fn reopen(
    transaction: &Transaction<'_>,
    event: &ScrapeFinished,
    day: Date,
) -> Result<Option<i64>, DbError> {
    const SQL: &str = "
        UPDATE scrapes SET state = 'fanning_out', day = $3
         WHERE scrape_id = $1 AND advertiser_id = $2 AND state = 'refused'
     RETURNING key";
    let row = transaction.query_opt(SQL, &[&event.scrape_id.0, &event.advertiser_id.0, &day]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// A scrape overtakes the unfinished ones of its advertiser that ended before
/// it; of two that ended at the same time, the one that arrived first.
async fn supersede_older(transaction: &Transaction<'_>, key: i64) -> Result<u64, DbError> {
    const SQL: &str = "
        UPDATE scrapes older SET superseded_by = newer.key
          FROM scrapes newer
         WHERE newer.key = $1
           AND older.advertiser_id = newer.advertiser_id
           AND older.state IN ('fanning_out', 'tagging')
           AND older.superseded_by IS NULL
           AND (older.finished_at, older.key) < (newer.finished_at, newer.key)";
    Ok(transaction.execute(SQL, &[&key]).await?)
}

/// A scrape that arrives late is born superseded by the newest there is.
async fn supersede_by_newer(transaction: &Transaction<'_>, key: i64) -> Result<u64, DbError> {
    const SQL: &str = "
        UPDATE scrapes late SET superseded_by = newest.key
          FROM (SELECT o.key FROM scrapes o JOIN scrapes l ON l.key = $1
                 WHERE o.advertiser_id = l.advertiser_id
                   AND (o.finished_at, o.key) > (l.finished_at, l.key)
                 ORDER BY o.finished_at DESC, o.key DESC
                 LIMIT 1) newest
         WHERE late.key = $1";
    Ok(transaction.execute(SQL, &[&key]).await?)
}
