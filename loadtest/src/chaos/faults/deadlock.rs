//! Somebody who locks rows in another order than the fleet does.

use std::time::Duration;

use deadpool_postgres::Pool;
use futures::FutureExt;
use futures::future::BoxFuture;
use tagfleet_shared::db::DbError;
use tokio::task::JoinHandle;

use super::{Arena, Fault, Site};

/// Deadlocks with whoever records outcomes. They are the ones whose statement fails: the other side waits longer
/// before it looks.
#[derive(Default)]
pub struct Deadlocks {
    locking: Option<JoinHandle<()>>,
    /// As the server counts them: before, and since then.
    met: (i64, i64),
}

/// The longest that the first deadlock is waited for. The server looks for one after a second, and counts those of a
/// connection when that is used again a second later.
const MET_WITHIN: Duration = Duration::from_secs(10);

impl Deadlocks {
    /// Counts until there is one, but not for ever. The database may be unwell from something else.
    async fn until_met(&self, arena: &Arena) {
        let met = async {
            while !matches!(arena.count(MET).await, Ok(met) if met > self.met.0) {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let _ = tokio::time::timeout(MET_WITHIN, met).await;
    }
}

impl Fault for Deadlocks {
    fn name(&self) -> String {
        "deadlocks".to_owned()
    }

    fn sites(&self) -> Vec<Site> {
        vec![Site::Database]
    }

    fn begin<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async {
            self.met.0 = arena.count(MET).await?;
            let pool = arena.database.clone();
            self.locking = Some(tokio::spawn(async move {
                loop {
                    // Where it fails, the rows were locked by somebody else for too long: again.
                    let _ = lock_backwards(&pool).await;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }));
            Ok(())
        }
        .boxed()
    }

    fn end<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async {
            if self.locking.is_some() {
                self.until_met(arena).await;
            }
            // Its transaction goes with its connection.
            self.locking.take().inspect(JoinHandle::abort);
            self.met.1 = arena.count(MET).await? - self.met.0;
            Ok(())
        }
        .boxed()
    }

    /// The server looks for deadlocks after a second.
    fn least(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn nothing(&self) -> Option<&'static str> {
        (self.met.1 == 0).then_some("which nobody met")
    }
}

const MET: &str = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";

/// Locks some of the open rows, lets whoever records outcomes wait for them with other rows in hand, and then
/// wants those.
async fn lock_backwards(pool: &Pool) -> Result<(), DbError> {
    const SOME: &str =
        "SELECT 1 FROM scrape_images WHERE outcome IS NULL AND seq % 7 = 0 FOR UPDATE SKIP LOCKED";
    const ALL: &str = "SELECT 1 FROM scrape_images WHERE outcome IS NULL FOR UPDATE";
    let client = deadpool_postgres::Object::take(pool.get().await?);
    client.batch_execute("BEGIN; SET LOCAL deadlock_timeout = '20s'; SET LOCAL lock_timeout = '4s'").await?;
    client.query(SOME, &[]).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    client.query(ALL, &[]).await?;
    client.batch_execute("ROLLBACK").await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlocks_that_nobody_met_did_nothing() {
        let ended = |met| Deadlocks { met: (7, met), ..Deadlocks::default() };

        assert_eq!(ended(0).nothing(), Some("which nobody met"));
        assert_eq!(ended(1).nothing(), None);
    }
}
