//! One fan-out per scrape, in the whole fleet.

use deadpool_postgres::{ClientWrapper, Object, Pool};
use tagfleet_shared::db::DbError;
use tagfleet_shared::ids::ScrapeId;

/// The right to fan out one scrape, and the connection that it hangs on.
///
/// Postgres keeps the lock for exactly as long as the connection lives, and
/// everything that a fan-out writes goes through this same connection. So a
/// fan-out that has lost its lock, unnoticed, because the network or the
/// database went away, has lost the means to write too: it can never work on
/// a scrape that another one has taken over.
pub struct ScrapeLock {
    connection: Option<Object>,
}

impl ScrapeLock {
    /// Takes the lock; `None` while another fan-out has it.
    ///
    /// Asks and comes back instead of waiting inside the database: there
    /// `statement_timeout` would end the wait, and it would cost a connection.
    ///
    /// # Errors
    ///
    /// If the database is away.
    pub async fn try_take(pool: &Pool, scrape_id: &ScrapeId) -> Result<Option<Self>, DbError> {
        const SQL: &str = "SELECT pg_try_advisory_lock(hashtextextended('scrape ' || $1, 0))";
        let connection = pool.get().await?;
        // From here on the connection is closed if anything goes wrong.
        let mut lock = Self { connection: Some(connection) };
        let statement = lock.connection().prepare_cached(SQL).await?;
        if lock.connection().query_one(&statement, &[&scrape_id.0]).await?.get(0) {
            Ok(Some(lock))
        } else {
            lock.connection = None;
            Ok(None)
        }
    }

    /// The connection that holds the lock.
    pub fn connection(&mut self) -> &mut ClientWrapper {
        self.connection.as_mut().expect("it is there until the lock is released")
    }

    /// Gives the lock up, and the connection back to the pool.
    ///
    /// # Errors
    ///
    /// If the database is away; then it has given up the lock itself.
    pub async fn release(mut self) -> Result<(), DbError> {
        self.connection().batch_execute("SELECT pg_advisory_unlock_all()").await?;
        self.connection = None;
        Ok(())
    }
}

impl Drop for ScrapeLock {
    /// Whatever ends a fan-out early, its lock must not live on in the pool:
    /// the connection is closed, and the lock and an open transaction end with it.
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(Object::take(connection));
        }
    }
}
