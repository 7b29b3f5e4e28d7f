//! Who waits for a lock in the database.

use std::time::Duration;

use deadpool_postgres::Pool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(20);

/// Looks at `pg_stat_activity` again and again.
pub struct Watch {
    stop: CancellationToken,
    watching: JoinHandle<anyhow::Result<Seen>>,
}

/// Sessions that were seen, summed over all looks.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    active: i64,
    waiting: i64,
}

impl Watch {
    /// Looks at the database of `pool` from now on.
    pub fn start(pool: Pool) -> Self {
        let stop = CancellationToken::new();
        let watching = tokio::spawn(watch(pool, stop.clone()));
        Self { stop, watching }
    }

    /// The share of the sessions at work that waited for a lock, in percent.
    pub async fn end(self) -> anyhow::Result<f64> {
        self.stop.cancel();
        let Seen { active, waiting } = self.watching.await??;
        anyhow::ensure!(active > 0, "no session was seen at work");
        Ok(100.0 * waiting as f64 / active as f64)
    }
}

async fn watch(pool: Pool, stop: CancellationToken) -> anyhow::Result<Seen> {
    const SQL: &str = "
        SELECT count(*), count(*) FILTER (WHERE wait_event_type = 'Lock')
          FROM pg_stat_activity
         WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()";
    let client = pool.get().await?;
    let statement = client.prepare(SQL).await?;
    let mut seen = Seen::default();
    while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        let row = client.query_one(&statement, &[]).await?;
        seen.active += row.get::<_, i64>(0);
        seen.waiting += row.get::<_, i64>(1);
    }
    Ok(seen)
}
