//! Whose turn is it to look at the dead letters?

use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use tagfleet_shared::db::DbError;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

/// How long somebody waits for their turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often they ask.
const EVERY: Duration = Duration::from_millis(100);

/// Turns in the whole fleet: to look at dead letters is to take them and give them back, and a second look, through
/// whichever console, would find the queue empty.
pub struct Turns {
    pool: Pool,
    /// Those who wait in this console wait here, and cost the pool one connection together.
    here: Mutex<()>,
}

impl Turns {
    /// Those that hang on the database of `pool`.
    pub fn new(pool: Pool) -> Self {
        Self { pool, here: Mutex::default() }
    }

    /// Waits for a turn, which ends with the value; none if others take too long.
    ///
    /// # Errors
    ///
    /// If the database is away.
    pub async fn take(&self) -> Result<Option<Turn<'_>>, DbError> {
        // Asks and comes back instead of waiting inside the database, where `statement_timeout` would end the wait.
        const SQL: &str = "SELECT pg_try_advisory_lock(hashtextextended('tagfleet dead letters', 0))";
        let until = Instant::now() + PATIENCE;
        let Ok(here) = tokio::time::timeout_at(until, self.here.lock()).await else { return Ok(None) };
        // From here on the connection is closed or unlocked, whatever happens.
        let turn = Turn { connection: Some(self.pool.get().await?), _here: here };
        loop {
            let Some(connection) = &turn.connection else { return Ok(None) };
            let statement = connection.prepare_cached(SQL).await?;
            if connection.query_one(&statement, &[]).await?.get(0) {
                return Ok(Some(turn));
            }
            if Instant::now() > until {
                return Ok(None);
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// A turn, and the connection that it hangs on: it ends with either.
pub struct Turn<'a> {
    connection: Option<Object>,
    _here: MutexGuard<'a, ()>,
}

impl Drop for Turn<'_> {
    /// Also for whoever leaves in the middle: the lock must not live on in the pool.
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        tokio::spawn(async move {
            if connection.batch_execute("SELECT pg_advisory_unlock_all()").await.is_err() {
                drop(Object::take(connection));
            }
        });
    }
}
