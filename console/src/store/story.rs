//! Why does this picture have its tags?

use std::collections::BTreeMap;

use deadpool_postgres::{GenericClient, Pool};
use jiff::Timestamp;
use serde::Serialize;
use tagfleet_shared::db::DbError;
use tagfleet_shared::ids::ImageId;
use tagfleet_shared::model_sets::AttributeValues;
use tagfleet_shared::tags::{Scores, Tags};
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::history::{self, Correction};
pub use super::source::{Source, TagValue};
use super::{BY_KEYS, FIX_OF_ROW, REPLACED_AT, model_sets, source, version};

/// Rows of an image that are looked at: a picture that stands for thousands of others is listed everywhere.
const MOST_ROWS: i64 = 20_000;
/// Advertisers of whom it is told that they list it.
const MOST_ADVERTISERS: i64 = 1000;
/// Entries of its history that are told; the feed of all fixes has the others.
const MOST_ENTRIES: i64 = 500;

/// Everything that the fleet knows of one image.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Story {
    /// The image.
    pub image_id: Uuid,
    /// What a fix has to say that it saw (`If-Match`); also the `ETag`.
    pub version: String,
    /// Where it is listed, by advertiser: in their newest scrape in which it came to its outcome, or in which it
    /// waits for its first.
    pub listed: Vec<Listed>,
    /// The current value of each attribute for each of these advertisers, and where it came from.
    pub values: Vec<TagValue>,
    /// What each model set said of it, the latest first.
    pub said: Vec<Said>,
    /// The fixes that hold.
    pub fixes: Vec<Fix>,
    /// Every correction, the latest first.
    pub history: Vec<Correction>,
    /// What to choose from for each attribute of the live model set, the likeliest to be wanted first.
    pub menus: Vec<Menu>,
    /// If it could not be had or read a short while ago: why.
    pub failure: Option<Failure>,
}

/// Where an image is listed, and how the work on it ended there.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Listed {
    /// Whose inventory it is in.
    pub advertiser_id: String,
    /// Their newest scrape in which it came to its outcome: while another one is at work, or was overtaken before it came
    /// to the image, what this one left holds.
    pub scrape_id: String,
    /// Its place in the inventory, from 0: with the scrape, the name of its job.
    pub seq: i32,
    /// Where it is, exactly as scraped.
    pub url: String,
    /// The pipeline's own name of it.
    pub image_key: Option<String>,
    /// The listing that shows it.
    pub listing_id: Option<String>,
    /// How the work on it ended; null: it has not yet, in any scrape of this advertiser that is kept.
    pub outcome: Option<String>,
    /// Why it was skipped or defaulted.
    pub reason: Option<String>,
    /// The model set at work, by its digest.
    pub model_set: Option<String>,
    /// When it ended.
    pub recorded_at: Option<Timestamp>,
    /// When the models looked at another picture that is at this address since: the values are those of the one before,
    /// until the advertiser lists it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub replaced_at: Option<Timestamp>,
    #[serde(skip)]
    pub(super) tags: Tags,
    #[serde(skip)]
    pub(super) configured: Tags,
    #[serde(skip)]
    pub(super) fix: Tags,
    #[serde(skip)]
    scrape: i64,
}

impl Story {
    /// Where it was listed last: the picture that is shown is that of this URL.
    pub fn listed_last(&self) -> Option<&Listed> {
        self.listed.iter().max_by_key(|listed| listed.scrape)
    }
}

/// What one model set said.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Said {
    /// The model set.
    pub model_set: String,
    /// Tells it from every other.
    pub digest: String,
    /// Its card, as Markdown.
    pub card: Option<String>,
    /// What it said.
    pub tags: BTreeMap<String, Option<String>>,
    /// How sure it was, 0 to 1.
    pub scores: BTreeMap<String, f32>,
    /// A hash of the bytes that it looked at.
    pub bytes_hash: Uuid,
    /// Their picture's width in pixels.
    pub width: i32,
    /// And its height.
    pub height: i32,
    /// When it looked.
    pub tagged_at: Timestamp,
    /// When the picture was last found to have these bytes still.
    pub validated_at: Option<Timestamp>,
    /// How many other images have the same bytes, up to 100.
    pub twins: i64,
}

/// One fix that holds.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Fix {
    /// For whom; absent: everyone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub advertiser_id: Option<String>,
    /// The attribute.
    pub attribute: String,
    /// Its value.
    pub value: Option<String>,
    /// Who said so.
    pub by: String,
    /// Why.
    pub note: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// What to choose from.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Menu {
    /// The attribute.
    pub attribute: String,
    /// Its values, the likeliest to be wanted first; null where it may be.
    #[schema(value_type = Vec<Option<String>>)]
    pub values: Vec<Option<String>>,
}

/// Why an image could not be had or read a short while ago.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Failure {
    /// `skipped` or `defaulted`.
    pub outcome: String,
    /// Why.
    pub reason: String,
    /// Until when it is not asked for again.
    pub until: Timestamp,
}

/// The story of `image`; none if nobody has ever listed it.
///
/// # Errors
///
/// If the database is away.
pub async fn story(pool: &Pool, image: ImageId) -> Result<Option<Story>, DbError> {
    let attributes = model_sets::live_attributes(pool).await?;
    let mut client = pool.get().await?;
    // One moment for all of it: the version is that of what is shown.
    let transaction = client
        .build_transaction()
        .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    transaction.batch_execute(BY_KEYS).await?;
    let sql = format!("SELECT {} FROM (SELECT $1::uuid AS image) AS i", version::OF_IMAGE);
    let statement = transaction.prepare_cached(&sql).await?;
    let version: String = transaction.query_one(&statement, &[&image.0]).await?.get(0);
    let listed = listed(&transaction, image).await?;
    let said = said(&transaction, image).await?;
    let fixes = fixes(&transaction, image).await?;
    let history = entries(&transaction, image).await?;
    let failure = failure(&transaction, image).await?;
    transaction.commit().await?;
    if listed.is_empty() && said.is_empty() && history.is_empty() {
        return Ok(None);
    }
    let values = listed.iter().flat_map(|row| source::values(row, &fixes, &said)).collect();
    let menus = attributes.iter().map(|attribute| menu(attribute, &said)).collect();
    Ok(Some(Story { image_id: image.0, version, listed, values, said, fixes, history, menus, failure }))
}

async fn listed(client: &impl GenericClient, image: ImageId) -> Result<Vec<Listed>, DbError> {
    // An inventory may list it a hundred times, and many may: whose they are is read of their keys alone.
    let sql = format!(
        "
        WITH once AS (
            SELECT DISTINCT ON (scrape) day, scrape, seq, outcome IS NULL OR coalesce(reason = 'superseded', false) AS open
              FROM (SELECT day, scrape, seq, outcome, reason FROM scrape_images
                     WHERE image_id = $1 ORDER BY day DESC LIMIT $2) AS newest
             ORDER BY scrape, open, seq
        ), last AS (
            SELECT DISTINCT ON (s.advertiser_id) s.advertiser_id, s.scrape_id, once.*
              FROM once JOIN scrapes s ON s.key = once.scrape
             ORDER BY s.advertiser_id, once.open, s.finished_at DESC, s.key DESC LIMIT $3)
        SELECT s.advertiser_id, s.scrape_id, i.seq, i.url, i.image_key, i.listing_id, i.outcome, i.reason, m.digest,
               i.recorded_at, i.tags, i.configured, {FIX_OF_ROW}, i.scrape, {REPLACED_AT}
          FROM last s JOIN scrape_images i ON i.day = s.day AND i.scrape = s.scrape AND i.seq = s.seq
          LEFT JOIN image_tags t ON t.image_id = i.image_id AND t.model_set = i.model_set
          LEFT JOIN model_sets m ON m.id = i.model_set
         ORDER BY s.advertiser_id"
    );
    let statement = client.prepare_cached(&sql).await?;
    let rows = client.query(&statement, &[&image.0, &MOST_ROWS, &MOST_ADVERTISERS]).await?;
    let tags = |row: &Row, column| row.get::<_, Option<Json<Tags>>>(column).map(|Json(tags)| tags);
    let read = |row: &Row| Listed {
        advertiser_id: row.get(0),
        scrape_id: row.get(1),
        seq: row.get(2),
        url: row.get(3),
        image_key: row.get(4),
        listing_id: row.get(5),
        outcome: row.get(6),
        reason: row.get(7),
        model_set: row.get(8),
        recorded_at: row.get(9),
        tags: tags(row, 10).unwrap_or_default(),
        configured: tags(row, 11).unwrap_or_default(),
        fix: tags(row, 12).unwrap_or_default(),
        scrape: row.get(13),
        replaced_at: row.get(14),
    };
    Ok(rows.iter().map(read).collect())
}

async fn said(client: &impl GenericClient, image: ImageId) -> Result<Vec<Said>, DbError> {
    const SQL: &str = "
        SELECT m.name, m.digest, m.card, t.tags, t.scores, t.bytes_hash, t.width, t.height, t.tagged_at,
               t.validated_at,
               (SELECT count(*) FROM (SELECT FROM image_tags o WHERE o.bytes_hash = t.bytes_hash
                   AND o.model_set = t.model_set AND o.image_id <> t.image_id LIMIT 100) AS twin)
          FROM image_tags t JOIN model_sets m ON m.id = t.model_set
         WHERE t.image_id = $1 ORDER BY t.tagged_at DESC LIMIT 50";
    let statement = client.prepare_cached(SQL).await?;
    let rows = client.query(&statement, &[&image.0]).await?;
    let read = |row: &Row| Said {
        model_set: row.get(0),
        digest: row.get(1),
        card: row.get(2),
        tags: row.get::<_, Json<Tags>>(3).0.0,
        scores: row.get::<_, Json<Scores>>(4).0.0,
        bytes_hash: row.get(5),
        width: row.get(6),
        height: row.get(7),
        tagged_at: row.get(8),
        validated_at: row.get(9),
        twins: row.get(10),
    };
    Ok(rows.iter().map(read).collect())
}

async fn fixes(client: &impl GenericClient, image: ImageId) -> Result<Vec<Fix>, DbError> {
    const SQL: &str = "
        SELECT nullif(advertiser_id, ''), attribute, value, fixed_by, note, fixed_at FROM fixes
         WHERE image_id = $1 ORDER BY attribute, advertiser_id";
    let statement = client.prepare_cached(SQL).await?;
    let rows = client.query(&statement, &[&image.0]).await?;
    let read = |row: &Row| Fix {
        advertiser_id: row.get(0),
        attribute: row.get(1),
        value: row.get(2),
        by: row.get(3),
        note: row.get(4),
        at: row.get(5),
    };
    Ok(rows.iter().map(read).collect())
}

async fn entries(client: &impl GenericClient, image: ImageId) -> Result<Vec<Correction>, DbError> {
    let columns = history::COLUMNS;
    let sql = format!("SELECT {columns} FROM fix_history h WHERE image_id = $1 ORDER BY id DESC LIMIT $2");
    let statement = client.prepare_cached(&sql).await?;
    let rows = client.query(&statement, &[&image.0, &MOST_ENTRIES]).await?;
    Ok(rows.iter().map(history::read).collect())
}

async fn failure(client: &impl GenericClient, image: ImageId) -> Result<Option<Failure>, DbError> {
    const SQL: &str =
        "SELECT outcome, reason, until FROM image_failures WHERE image_id = $1 AND until > now()";
    let statement = client.prepare_cached(SQL).await?;
    let row = client.query_opt(&statement, &[&image.0]).await?;
    Ok(row.map(|row| Failure { outcome: row.get(0), reason: row.get(1), until: row.get(2) }))
}

fn menu(attribute: &AttributeValues, said: &[Said]) -> Menu {
    let machine = said.first().and_then(|said| said.tags.get(&attribute.name)?.as_deref());
    Menu { attribute: attribute.name.clone(), values: attribute.menu(machine) }
}
