//! Which model sets have spoken, and which one does now?

use deadpool_postgres::Pool;
use jiff::Timestamp;
use serde::Serialize;
use tagfleet_shared::db::DbError;
use tagfleet_shared::model_sets::AttributeValues;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use utoipa::ToSchema;

/// One model set.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ModelSet {
    /// What its manifest calls it; two sets may have one name.
    pub name: String,
    /// Tells it from every other.
    pub digest: String,
    /// What its manifest says of it.
    pub description: Option<String>,
    /// Its card: what it can and cannot do, as Markdown.
    pub card: Option<String>,
    /// What it says of an image, in the order in which that is decided.
    pub attributes: Vec<Attribute>,
    /// Whether it is the one that most workers work with.
    pub live: bool,
    /// When it first spoke.
    pub first_seen: Timestamp,
    /// When a worker last began to work with it.
    pub loaded_at: Option<Timestamp>,
    /// Images that it has said something of, and that are remembered: an estimate.
    pub images: i64,
}

/// One attribute and its values.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its values.
    pub classes: Vec<String>,
    /// The value of an image of which the models could say nothing.
    pub default: Option<String>,
}

/// The sets, the live one first: the one that most workers say they run whose reports are not overdue, as the scheduler's
/// `status` has it. A pod of before that starts again in a roll-out, or one that tries another set, is one among many. Of
/// sets that as many run it is the one that a worker began to work with last, and so where nobody reports. Workers of
/// before, which told no values, have no say: there would be nothing to choose from.
const LIVE_FIRST: &str = "
          FROM model_sets m
          LEFT JOIN (SELECT digest, count(*) AS workers FROM worker_reports
                      WHERE reported_at > now() - every_seconds * interval '3 seconds'
                      GROUP BY digest) w USING (digest)
         ORDER BY loaded_at IS NULL, coalesce(workers, 0) DESC, loaded_at DESC, id DESC";

/// Every model set: those at work first, and then the one that was at work last; the hundred first.
///
/// # Errors
///
/// If the database is away.
pub async fn list(pool: &Pool) -> Result<Vec<ModelSet>, DbError> {
    // Counting ten million rows takes a second; the planner's guess takes none.
    let sql = format!(
        "
        SELECT name, digest, description, card, attributes, first_seen, loaded_at,
               coalesce((SELECT (c.reltuples * f.freq)::int8
                           FROM pg_stats s, pg_class c,
                                unnest(s.most_common_vals::text::int[], s.most_common_freqs) AS f (id, freq)
                          WHERE s.schemaname = 'public' AND s.tablename = 'image_tags' AND s.attname = 'model_set'
                            AND c.oid = 'image_tags'::regclass AND f.id = m.id), 0)
        {LIVE_FIRST} LIMIT 100"
    );
    let rows = pool.get().await?.query(&sql, &[]).await?;
    let mut sets: Vec<_> = rows.iter().map(read).collect();
    if let Some(live) = sets.first_mut() {
        live.live = live.loaded_at.is_some();
    }
    Ok(sets)
}

fn read(row: &Row) -> ModelSet {
    let Json(attributes): Json<Vec<AttributeValues>> = row.get(4);
    let attribute = |AttributeValues { name, classes, default }| Attribute { name, classes, default };
    ModelSet {
        name: row.get(0),
        digest: row.get(1),
        description: row.get(2),
        card: row.get(3),
        attributes: attributes.into_iter().map(attribute).collect(),
        live: false,
        first_seen: row.get(5),
        loaded_at: row.get(6),
        images: row.get(7),
    }
}

/// What the live set can say of an image: what people choose from. Empty while no worker has
/// ever told.
///
/// # Errors
///
/// If the database is away.
pub async fn live_attributes(pool: &Pool) -> Result<Vec<AttributeValues>, DbError> {
    let sql = format!("SELECT attributes, loaded_at IS NOT NULL {LIVE_FIRST} LIMIT 1");
    let client = pool.get().await?;
    let statement = client.prepare_cached(&sql).await?;
    let row = client.query_opt(&statement, &[]).await?.filter(|row| row.get(1));
    Ok(row.map(|row| row.get::<_, Json<_>>(0).0).unwrap_or_default())
}
