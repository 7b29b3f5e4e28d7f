//! The images of a scrape enter `scrape_images`, page by page.

use std::pin::pin;

use jiff::civil::Date;
use tagfleet_shared::db::DbError;
use tagfleet_shared::ids::ImageId;
use tagfleet_shared::lane::Lane;
use tagfleet_shared::outcome::OutcomeKind;
use tagfleet_shared::wall_clock;
use tokio_postgres::Transaction;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{Json, Type};

use super::supersede::supersede_older;
use super::{Client, Scrape};
use crate::inventory::{MALFORMED_LINE, Row};

/// Records a page of images, and how far the scrape is by now, in one
/// transaction. Learns whether the scrape was superseded meanwhile.
///
/// Returns how many older scrapes it supersedes: with its first page, never
/// later.
///
/// # Errors
///
/// If the database is away; then neither the page nor `scrape` has changed.
pub async fn list(
    client: &mut Client,
    scrape: &mut Scrape,
    page: &[Row],
    lane: Lane,
) -> Result<u64, DbError> {
    let transaction = client.transaction().await?;
    copy(&transaction, scrape, page).await?;
    let malformed = page.iter().filter(|row| row.malformed).count() as i32;
    if malformed > 0 {
        count_skipped(&transaction, scrape.key, malformed).await?;
    }
    let older = if scrape.listed == 0 { supersede_older(&transaction, scrape).await? } else { 0 };
    let listed = scrape.listed + page.len() as i32;
    let superseded = advance(&transaction, scrape, listed, lane).await?;
    transaction.commit().await?;

    (scrape.listed, scrape.superseded, scrape.lane) = (listed, superseded, lane);
    Ok(older)
}

/// Binary COPY: some ten times as fast as INSERT. A line that is no image has
/// its outcome from the start.
async fn copy(transaction: &Transaction<'_>, scrape: &Scrape, page: &[Row]) -> Result<(), DbError> {
    const SQL: &str = "
        COPY scrape_images (day, scrape, seq, image_id, url, image_key, listing_id, position, configured,
                            outcome, reason, tags, recorded_at)
        FROM STDIN (FORMAT binary)";
    const TYPES: [Type; 13] = [
        Type::DATE,
        Type::INT8,
        Type::INT4,
        Type::UUID,
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::INT4,
        Type::JSONB,
        Type::TEXT,
        Type::TEXT,
        Type::JSONB,
        Type::TIMESTAMPTZ,
    ];
    let now = wall_clock::now();
    let mut rows = pin!(BinaryCopyInWriter::new(transaction.copy_in(SQL).await?, &TYPES));
    for (seq, row) in (scrape.listed..).zip(page) {
        let skipped = |word: &'static str| row.malformed.then_some(word);
        rows.as_mut()
            .write(&[
                &scrape.day,
                &scrape.key,
                &seq,
                &row.image.0,
                &row.url,
                &row.image_key,
                &row.listing_id,
                &row.position,
                &row.configured.as_ref().map(Json),
                &skipped(OutcomeKind::Skipped.as_str()),
                &skipped(MALFORMED_LINE),
                &row.malformed.then(|| Json(serde_json::Map::new())),
                &row.malformed.then_some(now),
            ])
            .await?;
    }
    rows.finish().await?;
    Ok(())
}

async fn count_skipped(transaction: &Transaction<'_>, key: i64, images: i32) -> Result<(), DbError> {
    const SQL: &str = "INSERT INTO scrape_progress (scrape, outcome, images) VALUES ($1, 'skipped', $2)";
    transaction.execute(SQL, &[&key, &images]).await?;
    Ok(())
}

/// Whether the scrape is superseded by now.
async fn advance(
    transaction: &Transaction<'_>,
    scrape: &Scrape,
    listed: i32,
    lane: Lane,
) -> Result<bool, DbError> {
    const SQL: &str = "
        UPDATE scrapes SET listed = $2, published = $3, lane = $4 WHERE key = $1
        RETURNING superseded_by IS NOT NULL";
    let row = transaction.query_one(SQL, &[&scrape.key, &listed, &scrape.published, &lane.as_str()]).await?;
    Ok(row.get(0))
}

/// A listed image that has no outcome yet.
#[derive(Debug)]
pub struct OpenImage {
    /// Its place in the inventory.
    pub seq: i32,
    /// What its tags are known by.
    pub image: ImageId,
    /// Where it is.
    pub url: String,
}

/// At most `limit` images without an outcome, from place `from` on.
///
/// # Errors
///
/// If the database is away.
pub async fn open_images(
    client: &Client,
    (key, day): (i64, Date),
    from: i32,
    limit: usize,
) -> Result<Vec<OpenImage>, DbError> {
    const SQL: &str = "
        SELECT seq, image_id, url FROM scrape_images
         WHERE scrape = $1 AND day = $2 AND seq >= $3 AND outcome IS NULL
         ORDER BY seq LIMIT $4";
    let statement = client.prepare_cached(SQL).await?;
    let rows = client.query(&statement, &[&key, &day, &from, &(limit as i64)]).await?;
    let image =
        |row: tokio_postgres::Row| OpenImage { seq: row.get(0), image: ImageId(row.get(1)), url: row.get(2) };
    Ok(rows.into_iter().map(image).collect())
}
