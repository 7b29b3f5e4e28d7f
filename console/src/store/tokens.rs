//! Which API tokens are there, and whose is this one?

use deadpool_postgres::Pool;
use jiff::Timestamp;
use tagfleet_shared::db::DbError;

/// One API token, as it is listed: nobody can see it again.
#[derive(Clone, Debug)]
pub struct Token {
    /// What stands in history and audit.
    pub name: String,
    /// The words of its rights.
    pub rights: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends to work.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// Keeps a new token, by its hash alone, and notes in the audit that `by` made it. False if a token of this name works
/// already.
///
/// # Errors
///
/// If the database is away.
pub async fn create(
    pool: &Pool,
    name: &str,
    hash: &[u8],
    rights: &[&str],
    expires_at: Option<Timestamp>,
    by: Option<&str>,
) -> Result<bool, DbError> {
    const SQL: &str = "
        WITH made AS (
            INSERT INTO api_tokens (name, hash, rights, expires_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING RETURNING name, rights, expires_at)
        INSERT INTO audit (kind, who, via, method, path, status, detail, ended_at)
        SELECT 'token', $5, 'program', 'create', 'token ' || name, 200,
               'rights: ' || array_to_string(rights, ', ') || coalesce('; ends ' || expires_at, ''), now() FROM made";
    Ok(pool.get().await?.execute(SQL, &[&name, &hash, &rights, &expires_at, &by]).await? == 1)
}

/// Every token, those that work first.
///
/// # Errors
///
/// If the database is away.
pub async fn list(pool: &Pool) -> Result<Vec<Token>, DbError> {
    const SQL: &str = "
        SELECT name, rights, created_at, expires_at, revoked_at, last_used_at FROM api_tokens
         ORDER BY revoked_at NULLS FIRST, name";
    let rows = pool.get().await?.query(SQL, &[]).await?;
    let read = |row: &tokio_postgres::Row| Token {
        name: row.get(0),
        rights: row.get(1),
        created_at: row.get(2),
        expires_at: row.get(3),
        revoked_at: row.get(4),
        last_used_at: row.get(5),
    };
    Ok(rows.iter().map(read).collect())
}

/// Ends a token at once, and notes in the audit that `by` did. False if none of this name works.
///
/// # Errors
///
/// If the database is away.
pub async fn revoke(pool: &Pool, name: &str, by: Option<&str>) -> Result<bool, DbError> {
    const SQL: &str = "
        WITH revoked AS (
            UPDATE api_tokens SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL RETURNING name)
        INSERT INTO audit (kind, who, via, method, path, status, ended_at)
        SELECT 'token', $2, 'program', 'revoke', 'token ' || name, 200, now() FROM revoked";
    Ok(pool.get().await?.execute(SQL, &[&name, &by]).await? == 1)
}

/// Name and rights of the token with this hash, if it works; notes that it is used.
///
/// # Errors
///
/// If the database is away.
pub async fn find(pool: &Pool, hash: &[u8]) -> Result<Option<(String, Vec<String>)>, DbError> {
    const SQL: &str = "
        SELECT id, name, rights, last_used_at IS NULL OR last_used_at < now() - interval '1 minute' FROM api_tokens
         WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())";
    // Not with every request: a program that asks a thousand times a second would write as often.
    const USED: &str = "
        UPDATE api_tokens SET last_used_at = now()
         WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')";
    let client = pool.get().await?;
    let statement = client.prepare_cached(SQL).await?;
    let Some(row) = client.query_opt(&statement, &[&hash]).await? else { return Ok(None) };
    if row.get(3) {
        client.execute(USED, &[&row.get::<_, i32>(0)]).await?;
    }
    Ok(Some((row.get(1), row.get(2))))
}
