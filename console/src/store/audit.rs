//! Who did what, and who was refused?

use std::sync::{Mutex, PoisonError};

use deadpool_postgres::{GenericClient, Pool};
use jiff::Timestamp;
use serde::Serialize;
use tagfleet_shared::db::DbError;
use tokio_postgres::Row;
use utoipa::ToSchema;

use crate::web::Listing;

/// Longest path that is kept, in characters.
const MOST_PATH: usize = 500;
/// Longest detail of a write, in characters.
const MOST_DETAIL: usize = 2000;

/// Somebody's request, as it came.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Who; none if nobody said so.
    pub who: Option<String>,
    /// How they came in.
    pub via: String,
    /// From where.
    pub address: Option<String>,
    /// GET, POST, …
    pub method: String,
    /// Path and query.
    pub path: String,
}

/// One line of the audit.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Line {
    /// Of the line; later ones have higher ones.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// `write`, `refusal`, `login`, or `token`: an API token was made or revoked.
    pub kind: String,
    /// Who; null: nobody said so. Of a `token` the user of the operating system.
    pub who: Option<String>,
    /// How they came in: `session`, `token`, `insecure`, `nobody`; `program`: by the command line.
    pub via: String,
    /// From where.
    pub address: Option<String>,
    /// GET, POST, …; of a `token` `create` or `revoke`.
    pub method: String,
    /// Path and query; of a `token` its name.
    pub path: String,
    /// The status of the answer; null: the write goes on, or its console or the database died.
    pub status: Option<i32>,
    /// What was wrong, if something was; what a write did that its path does not tell, like how many letters were dropped;
    /// the role of a login, the rights of a token.
    pub detail: Option<String>,
}

/// A write, and its line once that is begun.
#[derive(Debug)]
pub struct Write {
    request: Request,
    line: Mutex<Option<i64>>,
}

impl Write {
    /// Of this request. Nothing is noted yet.
    pub fn new(request: Request) -> Self {
        Self { request, line: Mutex::default() }
    }

    /// Notes the write before it is done: by itself, or in the transaction that does it, which costs one
    /// wait for the disk less. Either way nothing is written without its line.
    ///
    /// # Errors
    ///
    /// If the database is away: then the write must not be done.
    pub async fn begin(&self, client: &impl GenericClient) -> Result<(), DbError> {
        const SQL: &str = "
            INSERT INTO audit (kind, who, via, address, method, path) VALUES ('write', $1, $2, $3, $4, $5)
         RETURNING id";
        let Request { who, via, address, method, path } = &self.request;
        let path = cut(path);
        let statement = client.prepare_cached(SQL).await?;
        let row = client.query_one(&statement, &[who, via, address, method, &path]).await?;
        *self.line.lock().unwrap_or_else(PoisonError::into_inner) = Some(row.get(0));
        Ok(())
    }

    /// Notes how the write ended. One whose line went with its transaction, or was never begun, gets a whole one:
    /// whoever was refused in the middle stands there as well.
    ///
    /// # Errors
    ///
    /// If the database is away.
    pub async fn end(&self, pool: &Pool, status: u16, detail: Option<&str>) -> Result<(), DbError> {
        // Nobody waits for the disk: a database that dies in this moment leaves a line without its end, as a console
        // does, or none of a write that was not done.
        const SQL: &str = "
            WITH ended AS (
                UPDATE audit SET status = $2, detail = $3, ended_at = now()
                 WHERE id = $1 AND status IS NULL AND set_config('synchronous_commit', 'off', true) = 'off'
             RETURNING id)
            INSERT INTO audit (kind, who, via, address, method, path, status, detail, ended_at)
            SELECT 'write', $4, $5, $6, $7, $8, $2, $3, now()
             WHERE set_config('synchronous_commit', 'off', true) = 'off' AND NOT EXISTS (SELECT FROM ended)";
        let line = *self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let Request { who, via, address, method, path } = &self.request;
        let (path, status) = (cut(path), i32::from(status));
        let detail = detail.map(|detail| cut_to(MOST_DETAIL, detail));
        let client = pool.get().await?;
        let statement = client.prepare_cached(SQL).await?;
        client.execute(&statement, &[&line, &status, &detail, who, via, address, method, &path]).await?;
        Ok(())
    }
}

/// Notes a refusal.
///
/// # Errors
///
/// If the database is away.
pub async fn refuse(pool: &Pool, request: &Request, status: u16, detail: &str) -> Result<(), DbError> {
    const SQL: &str = "
        INSERT INTO audit (kind, who, via, address, method, path, status, detail, ended_at)
        VALUES ('refusal', $1, $2, $3, $4, $5, $6, $7, now())";
    let Request { who, via, address, method, path } = request;
    let (path, status) = (cut(path), i32::from(status));
    pool.get().await?.execute(SQL, &[who, via, address, method, &path, &status, &detail]).await?;
    Ok(())
}

/// Notes so many refusals, of strangers or of others who were refused too often for a line each.
///
/// # Errors
///
/// If the database is away.
pub async fn refused_more(pool: &Pool, refusals: u64) -> Result<(), DbError> {
    let request = Request { via: "nobody".into(), ..Request::default() };
    let detail = format!("{refusals} more requests were refused, in lines of their own no more");
    refuse(pool, &request, 429, &detail).await
}

fn cut(path: &str) -> String {
    cut_to(MOST_PATH, path)
}

fn cut_to(most: usize, text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(most).collect()
}

/// A piece of the audit, the latest first, after the line `after`.
///
/// # Errors
///
/// If the database is away.
pub async fn list(
    pool: &Pool,
    who: Option<&str>,
    kind: Option<&str>,
    after: Option<i64>,
    limit: u32,
) -> Result<Listing<Line>, DbError> {
    const SQL: &str = "
        SELECT id, at, kind, who, via, address, method, path, status, detail FROM audit
         WHERE ($1::text IS NULL OR who = $1) AND ($2::text IS NULL OR kind = $2) AND ($3::int8 IS NULL OR id < $3)
         ORDER BY id DESC LIMIT $4";
    let one_more = i64::from(limit) + 1;
    let rows = pool.get().await?.query(SQL, &[&who, &kind, &after, &one_more]).await?;
    let read = |row: &Row| Line {
        id: row.get(0),
        at: row.get(1),
        kind: row.get(2),
        who: row.get(3),
        via: row.get(4),
        address: row.get(5),
        method: row.get(6),
        path: row.get(7),
        status: row.get(8),
        detail: row.get(9),
    };
    Ok(Listing::cut(rows.iter().map(read).collect(), limit, |line: &Line| line.id))
}
