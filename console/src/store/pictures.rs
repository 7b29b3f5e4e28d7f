//! Where is a picture?

use deadpool_postgres::Pool;
use tagfleet_shared::db::DbError;
use uuid::Uuid;

/// The URL with which `image` was listed last.
///
/// # Errors
///
/// If the database is away.
pub async fn url_of(pool: &Pool, image: Uuid) -> Result<Option<String>, DbError> {
    const SQL: &str =
        "SELECT url FROM scrape_images WHERE image_id = $1 ORDER BY day DESC, scrape DESC LIMIT 1";
    let row = pool.get().await?.query_opt(SQL, &[&image]).await?;
    Ok(row.map(|row| row.get(0)))
}
