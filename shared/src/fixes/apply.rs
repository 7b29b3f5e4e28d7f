//! The pass over the rows of fixed images.

use deadpool_postgres::{ClientWrapper, Pool};
use jiff::civil::Date;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::DbError;
use crate::ids::ImageId;

/// Images of one transaction: each takes a place in Postgres' table of locks, which is everybody's.
const IMAGES: usize = 100;
/// Rows of one transaction: workers wait for as long as it takes.
const ROWS: i32 = 5000;

/// Merges the fixes of `image` into every row of it that is kept, and returns
/// how many rows those are. Call it after the commit of a fix.
///
/// # Errors
///
/// As [`apply_all`].
pub async fn apply(pool: &Pool, image: ImageId) -> Result<u64, DbError> {
    apply_all(&*pool.get().await?, &[image]).await
}

/// The same for many images, a piece of their rows after the other, so that no picture is listed too often
/// to be passed over.
///
/// Another transaction that holds the same rows in another order is waited
/// for: the piece is tried again.
///
/// # Errors
///
/// If the database is away: the pass is then still due, and the scheduler's
/// sweep makes up for it.
pub async fn apply_all(client: &ClientWrapper, images: &[ImageId]) -> Result<u64, DbError> {
    let images: Vec<Uuid> = images.iter().map(|image| image.0).collect();
    let mut rows = 0;
    for some in images.chunks(IMAGES) {
        let mut from = Some(Reached::default());
        while let Some(reached) = from {
            match piece(client, some, &reached).await {
                Ok((passed, next)) => {
                    rows += passed;
                    from = next;
                }
                Err(error) if error.is_conflict() => from = Some(reached),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(rows)
}

/// How far a pass has come.
#[derive(Default)]
struct Reached {
    day: Option<Date>,
    scrape: Option<i64>,
    seq: Option<i32>,
    /// What was asked for when it began.
    requests: Option<Vec<String>>,
}

async fn piece(
    client: &ClientWrapper,
    images: &[Uuid],
    from: &Reached,
) -> Result<(u64, Option<Reached>), DbError> {
    // Nobody waits for the disk: with a database that dies in this moment the request in `pending_fixes` is there
    // again too, and the sweep makes up for the pass.
    const SQL: &str = "
        SELECT p.rows, p.to_day, p.to_scrape, p.to_seq, p.requests
          FROM set_config('synchronous_commit', 'off', true),
               apply_fixes_behind($1, $2, $3, $4, $5, $6) AS p";
    let statement = client.prepare_cached(SQL).await?;
    let Reached { day, scrape, seq, requests } = from;
    let row: Row = client.query_one(&statement, &[&images, &ROWS, day, scrape, seq, requests]).await?;
    let passed = u64::try_from(row.get::<_, i32>(0)).unwrap_or_default();
    let day: Option<Date> = row.get(1);
    let next =
        day.map(|day| Reached { day: Some(day), scrape: row.get(2), seq: row.get(3), requests: row.get(4) });
    Ok((passed, next))
}
