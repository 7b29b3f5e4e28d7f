//! What did people correct, ever?

use deadpool_postgres::Pool;
use jiff::Timestamp;
use serde::Serialize;
use tagfleet_shared::db::DbError;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

/// One entry of the history: appended, and never changed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Correction {
    /// Of the entry; of one image, later ones have higher ones.
    pub id: i64,
    /// The image.
    pub image_id: Uuid,
    /// Whose value it is; absent: everyone's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub advertiser_id: Option<String>,
    /// The attribute.
    pub attribute: String,
    /// `set` or `withdrawn`.
    pub action: String,
    /// The value of the fix before, if there was one.
    pub from: Option<String>,
    /// The value of the fix now; null is a value too, if `action` is `set`.
    pub to: Option<String>,
    /// Who did it.
    pub by: String,
    /// Why.
    pub note: Option<String>,
    /// When.
    pub at: Timestamp,
    /// What the models had said of it then: null is an answer too; absent: nothing, or it was not noted yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, required = false)]
    pub machine: Option<Option<String>>,
    /// Where the picture is, as it was listed last; absent if it is not listed any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub url: Option<String>,
    /// The pipeline's own name of the picture, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub image_key: Option<String>,
}

/// Columns of an entry `h`, and where its picture is.
pub const COLUMNS: &str = "h.id, h.image_id, nullif(h.advertiser_id, ''), h.attribute, h.action,
    h.from_value, h.to_value, h.fixed_by, h.note, h.at, h.machine";

/// An entry from its [`COLUMNS`].
pub fn read(row: &Row) -> Correction {
    Correction {
        id: row.get(0),
        image_id: row.get(1),
        advertiser_id: row.get(2),
        attribute: row.get(3),
        action: row.get(4),
        from: row.get(5),
        to: row.get(6),
        by: row.get(7),
        note: row.get(8),
        at: row.get(9),
        machine: row.get::<_, Option<Json<_>>>(10).map(|Json(machine)| machine),
        url: None,
        image_key: None,
    }
}

/// From where on a feed is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// After the entry with this id.
    Entry(i64),
    /// From this time on.
    Time(Timestamp),
}

/// The last entry that a feed may tell now: all before it are there, or never will be.
///
/// Ids are given before they are committed, so a higher one can be seen before a lower one. Whoever
/// writes a fix holds a lock until then; this waits for those who do.
///
/// # Errors
///
/// If the database is away, or somebody holds a fix open for longer than a second.
pub async fn horizon(pool: &Pool) -> Result<i64, DbError> {
    let mut client = pool.get().await?;
    let transaction = client.transaction().await?;
    transaction.batch_execute("SET LOCAL lock_timeout = '1s'").await?;
    transaction
        .execute("SELECT pg_advisory_xact_lock(hashtextextended('tagfleet fix_history', 0))", &[])
        .await?;
    let row = transaction.query_one("SELECT coalesce(max(id), 0) FROM fix_history", &[]).await?;
    transaction.commit().await?;
    Ok(row.get(0))
}

/// The id of the last entry that is not wanted.
///
/// # Errors
///
/// If the database is away.
pub async fn before(pool: &Pool, since: Since) -> Result<i64, DbError> {
    // An id may be given before that of an entry of an earlier time, but not by an hour: that long no transaction writes.
    // So these are found by their time, however few or many come after them.
    const SQL: &str = "
        WITH first AS MATERIALIZED (
            SELECT id FROM fix_history
             WHERE at >= $1
               AND at <= (SELECT at FROM fix_history WHERE at >= $1 ORDER BY at LIMIT 1) + interval '1 hour')
        SELECT coalesce((SELECT min(id) - 1 FROM first), $2)";
    match since {
        Since::Entry(id) => Ok(id),
        Since::Time(time) => {
            let client = pool.get().await?;
            Ok(client.query_one(SQL, &[&time, &i64::MAX]).await?.get(0))
        }
    }
}

/// Entries after the id `after`, up to `horizon`, in their order.
///
/// # Errors
///
/// If the database is away.
pub async fn piece(pool: &Pool, after: i64, horizon: i64, limit: i64) -> Result<Vec<Correction>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS}, i.url, i.image_key
           FROM (SELECT * FROM fix_history WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3) h
           LEFT JOIN LATERAL (SELECT url, image_key FROM scrape_images
                               WHERE image_id = h.image_id ORDER BY day DESC LIMIT 1) i ON true
          ORDER BY h.id"
    );
    let rows = pool.get().await?.query(&sql, &[&after, &horizon, &limit]).await?;
    let entry = |row: &Row| Correction { url: row.get(11), image_key: row.get(12), ..read(row) };
    Ok(rows.iter().map(entry).collect())
}
