//! Who is logged in, and who is about to be?

use std::time::Duration;

use deadpool_postgres::Pool;
use tagfleet_shared::db::DbError;

/// Somebody who is logged in.
#[derive(Clone, Debug)]
pub struct Session {
    /// What the provider calls them: never another person's.
    pub subject: String,
    /// What they are called.
    pub name: String,
    /// The word of their role.
    pub role: String,
    /// What their pages send with every write.
    pub csrf: String,
}

/// Begins a session of somebody who comes from `address`, notes it in the audit, and forgets those that are over.
///
/// # Errors
///
/// If the database is away.
pub async fn begin(
    pool: &Pool,
    hash: &[u8],
    session: &Session,
    lasts: Duration,
    address: Option<&str>,
) -> Result<(), DbError> {
    const SQL: &str = "
        WITH over AS (DELETE FROM sessions WHERE expires_at < now()),
             noted AS (INSERT INTO audit (kind, who, via, address, method, path, status, detail, ended_at)
                       VALUES ('login', $3, 'session', $7, 'GET', '/login/callback', 303, $4, now()))
        INSERT INTO sessions (hash, subject, name, role, csrf, expires_at)
        VALUES ($1, $2, $3, $4, $5, now() + $6::float8 * interval '1 second')";
    let Session { subject, name, role, csrf } = session;
    let client = pool.get().await?;
    client.execute(SQL, &[&hash, subject, name, role, csrf, &lasts.as_secs_f64(), &address]).await?;
    Ok(())
}

/// The session whose cookie has this hash.
///
/// # Errors
///
/// If the database is away.
pub async fn find(pool: &Pool, hash: &[u8]) -> Result<Option<Session>, DbError> {
    const SQL: &str = "SELECT subject, name, role, csrf FROM sessions WHERE hash = $1 AND expires_at > now()";
    let client = pool.get().await?;
    let statement = client.prepare_cached(SQL).await?;
    let row = client.query_opt(&statement, &[&hash]).await?;
    Ok(row.map(|row| Session { subject: row.get(0), name: row.get(1), role: row.get(2), csrf: row.get(3) }))
}

/// Ends a session.
///
/// # Errors
///
/// If the database is away.
pub async fn end(pool: &Pool, hash: &[u8]) -> Result<(), DbError> {
    pool.get().await?.execute("DELETE FROM sessions WHERE hash = $1", &[&hash]).await?;
    Ok(())
}

/// A login that has gone to the provider.
#[derive(Clone, Debug)]
pub struct Login {
    /// What the provider's answer has to hold.
    pub nonce: String,
    /// What proves to the provider that we are the one who asked (PKCE).
    pub verifier: String,
    /// Where the person wanted to go.
    pub next: String,
}

/// Remembers a login for ten minutes.
///
/// # Errors
///
/// If the database is away.
pub async fn await_login(pool: &Pool, hash: &[u8], login: &Login) -> Result<(), DbError> {
    const SQL: &str = "
        WITH over AS (DELETE FROM logins WHERE expires_at < now())
        INSERT INTO logins (hash, nonce, verifier, next, expires_at)
        VALUES ($1, $2, $3, $4, now() + interval '10 minutes')";
    pool.get().await?.execute(SQL, &[&hash, &login.nonce, &login.verifier, &login.next]).await?;
    Ok(())
}

/// Takes the login with this hash: it comes back once.
///
/// # Errors
///
/// If the database is away.
pub async fn take_login(pool: &Pool, hash: &[u8]) -> Result<Option<Login>, DbError> {
    const SQL: &str =
        "DELETE FROM logins WHERE hash = $1 AND expires_at > now() RETURNING nonce, verifier, next";
    let row = pool.get().await?.query_opt(SQL, &[&hash]).await?;
    Ok(row.map(|row| Login { nonce: row.get(0), verifier: row.get(1), next: row.get(2) }))
}
