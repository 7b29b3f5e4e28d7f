//! The table `model_sets`.

use deadpool_postgres::Pool;
use tagfleet_shared::db::DbError;
use tagfleet_shared::model_sets::AttributeValues;
use tokio_postgres::types::Json;

use crate::model::{Attribute, ModelSet};

/// Gives the set its short name in the database, the same one every time, and tells people that it is
/// at work, what its values are, and what its card says.
///
/// # Errors
///
/// If the database is away.
pub async fn register(pool: &Pool, set: &ModelSet) -> Result<i32, DbError> {
    const SQL: &str = "
        INSERT INTO model_sets (digest, name, feed_exclude, description, card, attributes, loaded_at)
        VALUES ($1, $2, $3, $4, $5, $6, now())
        ON CONFLICT (digest) DO UPDATE
           SET description = excluded.description, card = excluded.card, attributes = excluded.attributes,
               loaded_at = excluded.loaded_at
     RETURNING id";
    let attributes: Vec<_> = set.attributes().map(told).collect();
    let exclude = Json(set.feed_exclude());
    let client = pool.get().await?;
    let row = client
        .query_one(
            SQL,
            &[&set.digest(), &set.name(), &exclude, &set.description(), &set.card(), &Json(attributes)],
        )
        .await?;
    Ok(row.get(0))
}

/// What people have to choose from.
fn told(attribute: &Attribute) -> AttributeValues {
    let Attribute { name, classes, default, .. } = attribute;
    AttributeValues { name: name.clone(), classes: classes.clone(), default: default.clone() }
}
