//! Where is a picture?

use deadpool_postgres::Pool;
use tagfleet_shared::db::DbError;
use uuid::Uuid;

use super::version;

/// The URL with which `image` was listed last, and the version that it has.
///
/// # Errors
///
/// If the database is away.
pub async fn url_of(pool: &Pool, image: Uuid) -> Result<Option<(String, String)>, DbError> {
    let sql = format!(
        "SELECT url, {} FROM (SELECT url, image_id AS image FROM scrape_images
                               WHERE image_id = $1 ORDER BY day DESC, scrape DESC LIMIT 1) i",
        version::OF_IMAGE
    );
    let row = pool.get().await?.query_opt(&sql, &[&image]).await?;
    Ok(row.map(|row| (row.get(0), row.get(1))))
}
