//! What the fleet does, from its database and its announcements into the ledger.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tagfleet_shared::broker::{Consumer, SCRAPE_TAGGED};
use tagfleet_shared::events::ScrapeTagged;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::arena::Arena;
use super::ledger::{Entry, What};

/// How often the database is asked for what was written.
const EVERY: Duration = Duration::from_millis(250);

/// Every transaction that gives an image an outcome, or another one, leaves a line here. The fleet
/// does not know of it, and nothing of it is in the migrations.
const TRIGGER: &str = "
    CREATE TABLE chaos_written (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
        scrape bigint, seq int, outcome text, reason text, tags text);
    GRANT ALL ON chaos_written TO chaos;
    CREATE FUNCTION chaos_note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO chaos_written (scrape, seq, outcome, reason, tags)
        VALUES (NEW.scrape, NEW.seq, NEW.outcome, NEW.reason, NEW.tags::text);
        RETURN NULL;
    END $$;
    CREATE TRIGGER chaos_update AFTER UPDATE OF outcome ON scrape_images FOR EACH ROW EXECUTE FUNCTION chaos_note();
    CREATE TRIGGER chaos_insert AFTER INSERT ON scrape_images FOR EACH ROW
        WHEN (NEW.outcome IS NOT NULL) EXECUTE FUNCTION chaos_note();";

/// Sees everything, and does nothing.
pub struct Witness {
    arena: Arc<Arena>,
    announcements: Consumer,
    /// Lines of `chaos_written` that are in the ledger.
    noted: Mutex<HashSet<i64>>,
    /// What is written before the load has counted it makes it less than nothing for a moment.
    open: Arc<AtomicI64>,
}

impl Witness {
    /// Begins to see. `open` is how many images have no outcome.
    pub async fn begin(arena: Arc<Arena>, open: Arc<AtomicI64>) -> anyhow::Result<Self> {
        arena.execute(TRIGGER).await?;
        let announcements = arena.broker.listen(SCRAPE_TAGGED).await?;
        Ok(Self { arena, announcements, noted: Mutex::default(), open })
    }

    /// Sees until `stop`, and then what is left to see.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        while !stop.is_cancelled() {
            // The database may be away, as it is for the fleet.
            if let Err(error) = self.written().await {
                debug!(%error, "the witness has to wait");
            }
            self.announced()?;
            tokio::time::sleep(EVERY).await;
        }
        self.written().await?;
        self.announced()
    }

    /// Reads first, notes then, and deletes last: whatever fails in between is neither missed nor noted twice.
    async fn written(&self) -> anyhow::Result<()> {
        const SQL: &str = "
            SELECT w.id, w.at, coalesce(s.scrape_id, w.scrape::text), w.seq, w.outcome, w.reason, w.tags
              FROM chaos_written w LEFT JOIN scrapes s ON s.key = w.scrape ORDER BY w.id LIMIT 20000";
        let mut noted = self.noted.lock().await;
        let client = self.arena.database.get().await?;
        let rows = client.query(SQL, &[]).await?;
        let mut entries = Vec::new();
        for row in &rows {
            if noted.insert(row.get(0)) {
                let what = What::Written {
                    scrape: row.get(2),
                    seq: row.get(3),
                    outcome: row.get::<_, Option<_>>(4).unwrap_or_else(|| "none".to_owned()),
                    reason: row.get(5),
                    tags: row.get::<_, Option<_>>(6).unwrap_or_default(),
                };
                entries.push(Entry { at: row.get(1), what });
            }
        }
        self.open.fetch_sub(i64::try_from(entries.len())?, Ordering::Relaxed);
        self.arena.ledger.note_all(entries)?;
        let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        if !ids.is_empty() {
            // As a superuser of a database that is read-only for the fleet.
            client.batch_execute("SET default_transaction_read_only = off").await?;
            client.execute("DELETE FROM chaos_written WHERE id = ANY($1)", &[&ids]).await?;
        }
        Ok(())
    }

    fn announced(&mut self) -> anyhow::Result<()> {
        while let Some(received) = self.announcements.try_next() {
            let event: ScrapeTagged = serde_json::from_slice(&received.body)?;
            self.arena.ledger.note(What::Announced {
                scrape: event.scrape_id.0,
                event_id: event.event_id.to_string(),
                images: event.images,
                outcomes: event.outcomes,
            })?;
            received.ack();
        }
        Ok(())
    }
}
