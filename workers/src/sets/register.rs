//! The table `model_sets`.

use deadpool_postgres::Pool;
use tagfleet_shared::db::DbError;
use tokio_postgres::types::Json;

use crate::model::ModelSet;

/// Gives the set its short name in the database; the same one every time.
///
/// # Errors
///
/// If the database is away.
pub async fn register(pool: &Pool, set: &ModelSet) -> Result<i32, DbError> {
    const SQL: &str = "
        WITH new AS (
            INSERT INTO model_sets (digest, name, feed_exclude) VALUES ($1, $2, $3)
            ON CONFLICT (digest) DO NOTHING RETURNING id
        )
        SELECT id FROM new UNION ALL SELECT id FROM model_sets WHERE digest = $1";
    let client = pool.get().await?;
    let row = client.query_opt(SQL, &[&set.digest(), &set.name(), &Json(set.feed_exclude())]).await?;
    match row {
        Some(row) => Ok(row.get(0)),
        // Another worker's insert was under way; it is there now.
        None => Ok(client
            .query_one("SELECT id FROM model_sets WHERE digest = $1", &[&set.digest()])
            .await?
            .get(0)),
    }
}
