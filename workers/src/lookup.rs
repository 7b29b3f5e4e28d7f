//! The second cache tier: look-ups in Postgres, one statement per batch.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Pool;
use tagfleet_download::Validators;
use tagfleet_shared::db::DbError;
use tagfleet_shared::ids::{BytesHash, ImageId};
use tagfleet_shared::outcome::OutcomeKind;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use tracing::error;
use uuid::Uuid;

use crate::batch::Batcher;
use crate::freshness::{Freshness, LastLook};
use crate::metrics::{Metrics, Stage};
use crate::model::Answer;
use crate::outcome::{Known, Stop};
use crate::pipeline::Wanted;

/// `scrapes.key`; `None` where there is no scrape.
pub type ScrapeKey = Option<i64>;

/// Questions in one statement at most.
const MAX_BATCH: usize = 512;

/// What the database says of an image.
#[derive(Clone, Debug, PartialEq)]
pub enum Remembered {
    /// Never seen by this model set.
    Nothing,
    /// What this model set said of it.
    Known(Known),
    /// It could not be had or read there, a short while ago.
    Failed(OutcomeKind, String),
    /// A newer scrape of the advertiser overtook the one that asks.
    Superseded,
}

/// Who asks for what is known of an image.
#[derive(Clone, Copy, Debug)]
struct Question {
    image: ImageId,
    /// Where it is now: see [`Source::url_id`](crate::source::Source::url_id).
    url: Uuid,
    scrape: ScrapeKey,
}

type Answered<T> = Result<T, Arc<DbError>>;

/// Batched look-ups for one model set.
pub struct Lookup {
    by_image: Batcher<Question, Answered<Remembered>>,
    by_bytes: Batcher<BytesHash, Answered<Option<Known>>>,
}

impl Lookup {
    /// Look-ups of what the set with the id `model_set` said.
    /// Where images have a `freshness`, what is known of them comes with the last look at it.
    pub fn new(pool: Pool, model_set: i32, freshness: Option<Freshness>, metrics: Metrics) -> Self {
        let by_image = {
            let (pool, metrics) = (pool.clone(), metrics.clone());
            move |questions: Vec<Question>| {
                let (pool, metrics) = (pool.clone(), metrics.clone());
                async move {
                    let timer = metrics.stage(Stage::Lookup, questions.len());
                    let answers = select_by_image(&pool, model_set, freshness, &questions).await;
                    drop(timer);
                    each(answers, questions.len())
                }
            }
        };
        let by_bytes = move |questions: Vec<BytesHash>| {
            let (pool, metrics) = (pool.clone(), metrics.clone());
            async move {
                let timer = metrics.stage(Stage::Match, questions.len());
                let answers = select_by_bytes(&pool, model_set, &questions).await;
                drop(timer);
                each(answers, questions.len())
            }
        };
        Self {
            // One at a time: while it runs, a larger batch gathers, which costs less per image.
            by_image: Batcher::on_tasks(1, by_image, MAX_BATCH),
            by_bytes: Batcher::on_tasks(1, by_bytes, MAX_BATCH),
        }
    }

    /// What is known of an image that somebody wants.
    ///
    /// # Errors
    ///
    /// [`Stop::Outage`] where the database is away.
    pub async fn by_image(&self, image: &Wanted) -> Result<Remembered, Stop> {
        let question = Question { image: image.id, url: image.source.url_id(), scrape: image.scrape };
        Ok(self.by_image.ask(question).await.map_err(lost)??)
    }

    /// What is known of these bytes, under whatever key.
    ///
    /// # Errors
    ///
    /// [`Stop::Outage`] where the database is away.
    pub async fn by_bytes(&self, bytes: BytesHash) -> Result<Option<Known>, Stop> {
        Ok(self.by_bytes.ask(bytes).await.map_err(lost)??)
    }
}

fn lost(_: crate::batch::Lost) -> Stop {
    Arc::new(DbError::Panicked).into()
}

/// One answer for each question, or the same error for all.
fn each<T: Clone>(answers: Result<Vec<T>, DbError>, questions: usize) -> Vec<Answered<T>> {
    match answers {
        Ok(answers) => answers.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(Arc::new(error)); questions],
    }
}

/// What is said of images is asked together with whether their scrapes still
/// count, and whether those of which nothing is said failed at this URL a short while ago:
/// the answers come in the order of the questions. `LIMIT 1` keeps the planner
/// from anything but one index look-up for each question.
async fn select_by_image(
    pool: &Pool,
    model_set: i32,
    freshness: Option<Freshness>,
    questions: &[Question],
) -> Result<Vec<Remembered>, DbError> {
    const SELECT: &str = "
        SELECT q.scrape = ANY (ARRAY(SELECT key FROM scrapes
                                      WHERE key = ANY ($4::int8[]) AND superseded_by IS NOT NULL)),
               t.image_id IS NOT NULL, f.outcome, f.reason,
               t.bytes_hash, t.tags, t.scores, t.width, t.height";
    const SEEN: &str = ",
               extract(epoch FROM now() - coalesce(t.validated_at, t.tagged_at))::float8,
               t.url_id, t.etag, t.last_modified";
    const FROM: &str = "
          FROM unnest($1::uuid[], $2::int8[], $5::uuid[]) WITH ORDINALITY AS q (image_id, scrape, url_id, n)
          LEFT JOIN LATERAL (SELECT * FROM image_tags
                              WHERE image_id = q.image_id AND model_set = $3 LIMIT 1) t ON true
          LEFT JOIN LATERAL (SELECT outcome, reason FROM image_failures
                              WHERE t.image_id IS NULL AND image_id = q.image_id
                                AND url_id = q.url_id AND until > now() LIMIT 1) f ON true
         ORDER BY q.n";
    let images: Vec<Uuid> = questions.iter().map(|question| question.image.0).collect();
    let scrapes: Vec<ScrapeKey> = questions.iter().map(|question| question.scrape).collect();
    let urls: Vec<Uuid> = questions.iter().map(|question| question.url).collect();
    // Few: a batch is of one scrape or two.
    let distinct: BTreeSet<i64> = scrapes.iter().copied().flatten().collect();
    let distinct = Vec::from_iter(distinct);
    let client = pool.get().await?;
    let sql = [SELECT, if freshness.is_some() { SEEN } else { "" }, FROM].concat();
    let statement = client.prepare_cached(&sql).await?;
    let rows = client.query(&statement, &[&images, &scrapes, &model_set, &distinct, &urls]).await?;
    let answer = |(row, image): (&Row, &Uuid)| {
        remembered(row, ImageId(*image), freshness).unwrap_or_else(|error| {
            unreadable(&error, image);
            Remembered::Nothing
        })
    };
    Ok(rows.iter().zip(&images).map(answer).collect())
}

/// A row that cannot be read is as good as none: an outage would hold its image
/// for ever, and its batch mates with it.
fn unreadable(error: &tokio_postgres::Error, key: &Uuid) {
    error!(%error, key = %key, "a row of image_tags cannot be read, working without it");
}

fn remembered(
    row: &Row,
    image: ImageId,
    freshness: Option<Freshness>,
) -> Result<Remembered, tokio_postgres::Error> {
    if row.try_get::<_, Option<bool>>(0)? == Some(true) {
        return Ok(Remembered::Superseded);
    }
    if row.try_get(1)? {
        let known = known(row, 4)?;
        let last_look = freshness.map(|freshness| read_last_look(row, 9, image, freshness)).transpose()?;
        return Ok(Remembered::Known(Known { last_look, ..known }));
    }
    Ok(match row.try_get::<_, Option<&str>>(2)? {
        Some("defaulted") => Remembered::Failed(OutcomeKind::Defaulted, row.try_get(3)?),
        Some(_) => Remembered::Failed(OutcomeKind::Skipped, row.try_get(3)?),
        None => Remembered::Nothing,
    })
}

/// Reads the age in seconds, `url_id, etag, last_modified` from column `first` on.
fn read_last_look(
    row: &Row,
    first: usize,
    image: ImageId,
    freshness: Freshness,
) -> Result<LastLook, tokio_postgres::Error> {
    let ago = Duration::try_from_secs_f64(row.try_get(first)?).unwrap_or_default();
    let url: Option<Uuid> = row.try_get(first + 1)?;
    let (etag, last_modified) = (row.try_get(first + 2)?, row.try_get(first + 3)?);
    let validators = Validators { url: url.unwrap_or_default(), etag, last_modified };
    Ok(freshness.last_look(image, validators, ago))
}

/// Any one of the images that have the same bytes: they all have the same tags,
/// and there may be a million of them.
async fn select_by_bytes(
    pool: &Pool,
    model_set: i32,
    questions: &[BytesHash],
) -> Result<Vec<Option<Known>>, DbError> {
    const SQL: &str = "
        SELECT t.*
          FROM unnest($1::uuid[]) AS q (bytes_hash)
         CROSS JOIN LATERAL (SELECT bytes_hash, tags, scores, width, height FROM image_tags
                              WHERE bytes_hash = q.bytes_hash AND model_set = $2 LIMIT 1) t";
    let hashes: Vec<Uuid> = questions.iter().map(|hash| hash.0).collect();
    let client = pool.get().await?;
    let statement = client.prepare_cached(SQL).await?;
    let rows = client.query(&statement, &[&hashes, &model_set]).await?;
    let mut known_bytes = HashMap::new();
    for row in &rows {
        match known(row, 0) {
            Ok(known) => drop(known_bytes.insert(known.bytes, known)),
            Err(error) => unreadable(&error, &row.try_get(0)?),
        }
    }
    Ok(questions.iter().map(|hash| known_bytes.get(hash).cloned()).collect())
}

/// Reads `bytes_hash, tags, scores, width, height` from column `first` on.
fn known(row: &Row, first: usize) -> Result<Known, tokio_postgres::Error> {
    let Json(tags) = row.try_get(first + 1)?;
    let Json(scores) = row.try_get(first + 2)?;
    Ok(Known {
        bytes: BytesHash(row.try_get(first)?),
        answer: Answer { tags, scores, embedding: None },
        width: row.try_get::<_, i32>(first + 3)?.unsigned_abs(),
        height: row.try_get::<_, i32>(first + 4)?.unsigned_abs(),
        last_look: None,
    })
}
