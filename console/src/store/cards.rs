//! What is at these places of the grid now?

use deadpool_postgres::Pool;
use tagfleet_shared::db::DbError;

use super::images::{self, Image, Place};

/// The pictures at `places`, in any order; those of scrapes that are not kept any more are left out.
///
/// # Errors
///
/// If the database is away.
pub async fn at(pool: &Pool, places: &[Place]) -> Result<Vec<Image>, DbError> {
    // The columns of `images::list`. Each place by its partition and primary key.
    let sql = format!(
        "SELECT {}
           FROM unnest($1::int8[], $2::int4[]) AS p (key, seq)
           JOIN scrapes s ON s.key = p.key
          CROSS JOIN LATERAL (
                SELECT i.*, {} FROM {}
                 WHERE i.day = s.day AND i.scrape = s.key AND i.seq = p.seq) i",
        images::columns(),
        images::beside(),
        images::ROWS
    );
    let (keys, seqs): (Vec<_>, Vec<_>) = places.iter().map(|place| (place.0, place.1)).unzip();
    let rows = pool.get().await?.query(&sql, &[&keys, &seqs]).await?;
    Ok(rows.iter().map(images::read).collect())
}
