//! A scrape enters `scrapes`, once.

use jiff::civil::Date;
use tagfleet_shared::db::DbError;
use tagfleet_shared::events::ScrapeFinished;
use tagfleet_shared::ids::AdvertiserId;
use tagfleet_shared::lane::Lane;
use tokio_postgres::Transaction;

use super::supersede::{supersede_by_newer, take_turns};
use super::{Client, SCRAPE, Scrape};

/// What an event turned out to be.
#[derive(Debug)]
pub enum Accepted {
    /// A scrape that was not known, or was refused.
    New(Scrape),
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
    let inserted = insert(&transaction, event, lane, day).await?;
    let new = match inserted {
        Some(key) => Some(key),
        None => reopen(&transaction, event, lane, day).await?,
    };
    if let Some(key) = new {
        supersede_by_newer(&transaction, key).await?;
    }
    let sql = format!("SELECT state, {SCRAPE} FROM scrapes WHERE scrape_id = $1");
    let row = transaction.query_one(&sql, &[&event.scrape_id.0]).await?;
    transaction.commit().await?;

    let (state, scrape): (&str, _) = (row.get("state"), Scrape::from_row(&row));
    Ok(if scrape.advertiser_id != event.advertiser_id {
        Accepted::Taken(scrape.advertiser_id)
    } else if new.is_some() {
        Accepted::New(scrape)
    } else if state == "fanning_out" {
        Accepted::Resumed(scrape)
    } else {
        Accepted::Repeated
    })
}

/// The UTC date of now, with a partition for it.
pub(super) async fn ensure_today(client: &Client) -> Result<Date, DbError> {
    const SQL: &str = "
        SELECT today.day, ensure_partition(today.day)
          FROM (SELECT (now() AT TIME ZONE 'UTC')::date AS day) today";
    let statement = client.prepare_cached(SQL).await?;
    Ok(client.query_one(&statement, &[]).await?.get(0))
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
    enter(transaction, SQL, event, lane, day).await
}

/// A scrape that was refused is open again, as if it had never come before.
async fn reopen(
    transaction: &Transaction<'_>,
    event: &ScrapeFinished,
    lane: Lane,
    day: Date,
) -> Result<Option<i64>, DbError> {
    const SQL: &str = "
        UPDATE scrapes
           SET state = 'fanning_out', finished_at = $3, lane = $4, day = $5, received_at = now(),
               superseded_by = NULL, swept_at = NULL
         WHERE scrape_id = $1 AND advertiser_id = $2 AND state = 'refused'
     RETURNING key";
    enter(transaction, SQL, event, lane, day).await
}

async fn enter(
    transaction: &Transaction<'_>,
    sql: &str,
    event: &ScrapeFinished,
    lane: Lane,
    day: Date,
) -> Result<Option<i64>, DbError> {
    let ScrapeFinished { scrape_id, advertiser_id, finished_at, .. } = event;
    let row = transaction
        .query_opt(sql, &[&scrape_id.0, &advertiser_id.0, finished_at, &lane.as_str(), &day])
        .await?;
    Ok(row.map(|row| row.get(0)))
}
