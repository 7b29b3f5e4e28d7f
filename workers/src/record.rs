//! Writing outcomes back: one transaction per batch.

mod forgotten;
mod rows;
mod validated;

use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_postgres::{GenericClient, Pool};
use tagfleet_shared::db::DbError;
use tagfleet_shared::failpoint::{self, Point};
use tagfleet_shared::jobs::TagImage;

use self::rows::Rows;
use crate::batch::Batcher;
use crate::metrics::{Metrics, Stage};
use crate::outcome::Outcome;
use crate::sets::SetAtWork;

/// Outcomes in one transaction at most.
const MAX_BATCH: usize = 512;

/// One outcome on its way into the database.
#[derive(Clone)]
pub struct Ended {
    /// The job that came to it: its row is the one that is written.
    pub job: Arc<TagImage>,
    /// How the image ended.
    pub outcome: Outcome,
    /// The model set that it ended with.
    pub set: Arc<SetAtWork>,
    /// When the work on it began. The database is told how long ago that is: no clock but its own says what was first.
    pub began: Instant,
    /// Whether it was told that the picture was replaced: what was known before is forgotten, unless the picture
    /// is still the same.
    pub is_replaced: bool,
}

/// Writes outcomes into the database, many in one transaction.
pub struct Recorder {
    batches: Batcher<Ended, Result<(), Arc<DbError>>>,
}

/// What every batch needs besides its outcomes.
#[derive(Clone)]
struct Table {
    pool: Pool,
    remember_failures: Duration,
}

impl Recorder {
    /// Lasting failures are remembered for `remember_failures`.
    pub fn new(pool: Pool, remember_failures: Duration, metrics: Metrics) -> Self {
        let table = Table { pool, remember_failures };
        let handler = move |batch: Vec<Ended>| {
            let (table, metrics) = (table.clone(), metrics.clone());
            async move {
                let _timer = metrics.stage(Stage::Record, batch.len());
                table.record(batch).await
            }
        };
        Self { batches: Batcher::on_tasks(2, handler, MAX_BATCH) }
    }

    /// Records how a job ended. Recording the same job twice leaves the first
    /// outcome, so a redelivered job counts once.
    ///
    /// # Errors
    ///
    /// If nothing was written: hold the job and record it again, unless the
    /// error [is about the data](DbError::is_about_data) themselves.
    pub async fn record(&self, ended: Ended) -> Result<(), Arc<DbError>> {
        let lost = |_| Err(Arc::new(DbError::Panicked));
        self.batches.ask(ended).await.unwrap_or_else(lost)
    }
}

impl Table {
    /// Writes a batch; if its data are to blame, its halves one by one, so that
    /// one outcome that cannot be stored harms no other.
    async fn record(&self, mut batch: Vec<Ended>) -> Vec<Result<(), Arc<DbError>>> {
        let mut result = self.write(&batch).await;
        if result.as_ref().is_err_and(DbError::is_conflict) {
            result = self.write(&batch).await;
        }
        match result {
            Ok(()) => vec![Ok(()); batch.len()],
            Err(error) if error.is_about_data() && batch.len() > 1 => {
                let second = batch.split_off(batch.len() / 2);
                let mut results = Box::pin(self.record(batch)).await;
                results.extend(Box::pin(self.record(second)).await);
                results
            }
            Err(error) => vec![Err(Arc::new(error)); batch.len()],
        }
    }

    /// One statement, so one transaction and one round trip:
    ///
    /// 1. what the models said of new images goes into `image_tags`, unless the picture was replaced since the
    ///    work on it began;
    /// 2. what they made of it in numbers, if anything, into `embeddings`;
    /// 3. what cannot be had goes into `image_failures`;
    /// 4. each row that has no outcome yet gets it, with its tags merged by
    ///    precedence: models, then configured, then fixes;
    /// 5. the rows that were written are counted for their scrapes.
    ///
    /// A fix may commit while this runs. `e.fix` is what this statement's
    /// snapshot knew; `s.fix` is read from the row as it is when it is locked,
    /// and wins. See `apply_fixes` in the migrations for the other half. The row
    /// keeps the fix that was merged, so that whoever reads it knows a person's
    /// value from a machine's.
    ///
    /// Where pictures were looked at again, or will be, that is noted in the same
    /// transaction; and there is forgotten what is not true any more.
    async fn write(&self, batch: &[Ended]) -> Result<(), DbError> {
        let mut client = self.pool.get().await?;
        // Not before there is a connection: they say how long ago something was.
        let rows = Rows::of(batch);
        if rows.validated.is_empty() && rows.forgotten.is_empty() {
            self.store(&client, &rows).await?;
        } else {
            let transaction = client.transaction().await?;
            self.store(&transaction, &rows).await?;
            rows.validated.write(&transaction).await?;
            rows.forgotten.delete(&transaction).await?;
            transaction.commit().await?;
        }
        failpoint::here(Point::Recorded);
        Ok(())
    }

    async fn store(&self, client: &impl GenericClient, rows: &Rows<'_>) -> Result<(), DbError> {
        const SQL: &str = "
            WITH ended AS MATERIALIZED (
                SELECT e.*, (SELECT jsonb_object_agg(f.attribute, f.value ORDER BY f.advertiser_id) FROM fixes f
                              WHERE f.image_id = e.image_id AND f.advertiser_id IN ('', c.advertiser_id)) AS fix
                  FROM unnest($1::date[], $2::int8[], $3::int4[], $4::uuid[], $5::text[], $6::text[], $7::jsonb[], $8::int4[])
                       AS e (day, scrape, seq, image_id, outcome, reason, tags, model_set)
                  JOIN scrapes c ON c.key = e.scrape
            ), said AS (
                INSERT INTO image_tags (image_id, model_set, tags, scores, bytes_hash, width, height)
                SELECT image_id, model_set, tags, scores, bytes_hash, width, height
                  FROM unnest($9::uuid[], $10::jsonb[], $11::jsonb[], $12::uuid[], $13::int4[], $14::int4[],
                              $19::int4[], $24::float8[])
                       AS k (image_id, tags, scores, bytes_hash, width, height, model_set, ago)
                 WHERE NOT EXISTS (SELECT FROM image_changes c
                                    WHERE c.image_id = k.image_id AND c.replaced_at > now() - k.ago * interval '1 second')
                ON CONFLICT (image_id, model_set) DO NOTHING
            ), embedded AS (
                INSERT INTO embeddings (bytes_hash, model_set, embedding)
                SELECT bytes_hash, model_set, embedding
                  FROM unnest($20::uuid[], $21::int4[], $22::bytea[]) AS v (bytes_hash, model_set, embedding)
                ON CONFLICT (bytes_hash, model_set) DO NOTHING
            ), failed AS (
                INSERT INTO image_failures (image_id, url_id, outcome, reason, until)
                SELECT f.image_id, f.url_id, f.outcome, f.reason, now() + $18::float8 * interval '1 second'
                  FROM unnest($15::uuid[], $23::uuid[], $16::text[], $17::text[]) AS f (image_id, url_id, outcome, reason)
                ON CONFLICT (image_id) DO UPDATE
                   SET url_id = excluded.url_id, outcome = excluded.outcome, reason = excluded.reason,
                       until = excluded.until
            ), written AS (
                UPDATE scrape_images s
                   SET outcome = e.outcome, reason = e.reason, recorded_at = now(),
                       model_set = CASE WHEN e.outcome = 'skipped' THEN NULL ELSE e.model_set END,
                       tags = e.tags || coalesce(s.configured, '{}') || coalesce(s.fix, e.fix, '{}'),
                       base = CASE WHEN coalesce(s.fix, e.fix, '{}') <> '{}'
                                   THEN e.tags || coalesce(s.configured, '{}') END,
                       fix = coalesce(s.fix, e.fix)
                  FROM ended e
                 WHERE s.day = e.day AND s.scrape = e.scrape AND s.seq = e.seq AND s.outcome IS NULL
             RETURNING s.scrape, s.outcome
            )
            INSERT INTO scrape_progress (scrape, outcome, images)
            SELECT scrape, outcome, count(*)::int FROM written GROUP BY scrape, outcome";
        let seconds = self.remember_failures.as_secs_f64();
        let statement = client.prepare_cached(SQL).await?;
        failpoint::here(Point::Recording);
        client
            .execute(
                &statement,
                &[
                    &rows.day,
                    &rows.scrape,
                    &rows.seq,
                    &rows.image,
                    &rows.outcome,
                    &rows.reason,
                    &rows.tags,
                    &rows.model_set,
                    &rows.known.image,
                    &rows.known.tags,
                    &rows.known.scores,
                    &rows.known.bytes,
                    &rows.known.width,
                    &rows.known.height,
                    &rows.failed.image,
                    &rows.failed.outcome,
                    &rows.failed.reason,
                    &seconds,
                    &rows.known.model_set,
                    &rows.embedded.bytes,
                    &rows.embedded.model_set,
                    &rows.embedded.embedding,
                    &rows.failed.url,
                    &rows.known.ago,
                ],
            )
            .await?;
        Ok(())
    }
}
