//! The images of a scrape enter `scrape_images`, page by page.

use std::collections::HashSet;
use std::pin::pin;

use jiff::Timestamp;
use jiff::civil::Date;
use tagfleet_shared::db::DbError;
use tagfleet_shared::ids::ImageId;
use tagfleet_shared::jobs::{REPLACED_LATELY, Trust};
use tagfleet_shared::lane::Lane;
use tagfleet_shared::outcome::OutcomeKind;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{Json, Type};
use tokio_postgres::{GenericClient, Transaction};

use super::changes::{fixes_of_removed, mark_removed_since};
use super::supersede::{supersede_older, take_turns};
use super::{Client, Scrape};
use crate::inventory::Row;

/// What was learned while a page was recorded.
#[derive(Debug)]
pub struct Listed {
    /// How many older scrapes it supersedes: with its first page, never later.
    pub supersedes: u64,
    /// Those of its images of which the memory of workers may be out of date.
    pub replaced: HashSet<ImageId>,
}

/// Records a page of images, and how far the scrape is by now, in one
/// transaction. Learns whether the scrape was superseded meanwhile.
///
/// # Errors
///
/// If the database is away; then neither the page nor `scrape` has changed.
pub async fn list(
    client: &mut Client,
    scrape: &mut Scrape,
    page: &[Row],
    lane: Lane,
) -> Result<Listed, DbError> {
    let transaction = client.transaction().await?;
    take_turns(&transaction, &scrape.advertiser_id).await?;
    copy(&transaction, scrape, page).await?;
    let supersedes = if scrape.listed == 0 { supersede_older(&transaction, scrape).await? } else { 0 };
    let listed = scrape.listed + page.len() as i32;
    let advanced = advance(&transaction, scrape, listed, lane).await?;
    if advanced.any_removed {
        mark_removed_since(&transaction, scrape, scrape.listed).await?;
    }
    let replaced = if advanced.any_replaced { replaced(&transaction, page).await? } else { HashSet::new() };
    transaction.commit().await?;

    (scrape.listed, scrape.superseded, scrape.lane) = (listed, advanced.superseded, lane);
    Ok(Listed { supersedes, replaced })
}

/// Binary COPY: some ten times as fast as INSERT. A line that is no image has
/// its outcome from the start, and is counted; so is a picture that was removed, with what was
/// configured and fixed.
pub(super) async fn copy(
    transaction: &Transaction<'_>,
    scrape: &Scrape,
    page: &[Row],
) -> Result<(), DbError> {
    const SQL: &str = "
        COPY scrape_images (day, scrape, seq, image_id, url, image_key, listing_id, position, configured,
                            outcome, reason, tags, base, fix, recorded_at, change, changed_at, removed_at)
        FROM STDIN (FORMAT binary)";
    const TYPES: [Type; 18] = [
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
        Type::JSONB,
        Type::JSONB,
        Type::TIMESTAMPTZ,
        Type::TEXT,
        Type::TIMESTAMPTZ,
        Type::TIMESTAMPTZ,
    ];
    let is_any_skipped = page.iter().any(|row| row.skipped().is_some());
    let now = if is_any_skipped { Some(now(transaction).await?) } else { None };
    let fixes = fixes_of_removed(transaction, scrape, page).await?;
    let mut rows = pin!(BinaryCopyInWriter::new(transaction.copy_in(SQL).await?, &TYPES));
    for (seq, row) in (scrape.listed..).zip(page) {
        let skipped = row.skipped();
        let base = skipped.map(|_| row.configured.clone().unwrap_or_default());
        let fix = fixes.get(&row.image);
        let tags = base.as_ref().map(|base| fix.map_or_else(|| base.clone(), |fix| base.clone().under(fix)));
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
                &skipped.map(|_| OutcomeKind::Skipped.as_str()),
                &skipped,
                &tags.map(Json),
                &base.filter(|_| fix.is_some()).map(Json),
                &fix.map(Json),
                &skipped.and(now),
                &row.change.map(|(change, _)| change.as_str()),
                &row.change.map(|(_, at)| at),
                &row.removed_at,
            ])
            .await?;
    }
    rows.finish().await?;
    let skipped = page.iter().filter(|row| row.skipped().is_some()).count() as i32;
    if skipped > 0 {
        count_skipped(transaction, scrape.key, skipped).await?;
    }
    Ok(())
}

/// When what is skipped had its outcome: by the clock that says when its event came.
async fn now(transaction: &Transaction<'_>) -> Result<Timestamp, DbError> {
    Ok(transaction.query_one("SELECT now()", &[]).await?.get(0))
}

async fn count_skipped(transaction: &Transaction<'_>, key: i64, images: i32) -> Result<(), DbError> {
    const SQL: &str = "INSERT INTO scrape_progress (scrape, outcome, images) VALUES ($1, 'skipped', $2)";
    transaction.execute(SQL, &[&key, &images]).await?;
    Ok(())
}

/// What is learned with the word that a page is there; most pages need no further statement for it.
struct Advanced {
    /// The scrape is superseded by now.
    superseded: bool,
    /// Some picture was replaced lately.
    any_replaced: bool,
    /// The advertiser has removed some picture since the scrape ended.
    any_removed: bool,
}

async fn advance(
    transaction: &Transaction<'_>,
    scrape: &Scrape,
    listed: i32,
    lane: Lane,
) -> Result<Advanced, DbError> {
    const SQL: &str = "
        UPDATE scrapes s SET listed = $2, published = $3, lane = $4 WHERE key = $1
        RETURNING superseded_by IS NOT NULL,
                  EXISTS (SELECT FROM image_changes WHERE replaced_at > now() - $5 * interval '1 second'),
                  EXISTS (SELECT FROM image_changes c WHERE c.advertiser_id = s.advertiser_id AND c.change = 'removed'
                                                        AND c.changed_at >= s.finished_at)";
    let lately = REPLACED_LATELY.as_secs_f64();
    let row = transaction
        .query_one(SQL, &[&scrape.key, &listed, &scrape.published, &lane.as_str(), &lately])
        .await?;
    Ok(Advanced { superseded: row.get(0), any_replaced: row.get(1), any_removed: row.get(2) })
}

/// Those of a page whose picture was replaced lately.
async fn replaced(transaction: &Transaction<'_>, page: &[Row]) -> Result<HashSet<ImageId>, DbError> {
    const SQL: &str = "
        SELECT image_id FROM image_changes
         WHERE image_id = ANY($1) AND replaced_at > now() - $2 * interval '1 second'";
    let images: Vec<_> = page.iter().map(|row| row.image.0).collect();
    let rows = transaction.query(SQL, &[&images, &REPLACED_LATELY.as_secs_f64()]).await?;
    Ok(rows.iter().map(|row| ImageId(row.get(0))).collect())
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
    /// How far what is known of it may be trusted.
    pub trust: Trust,
}

/// At most `limit` images without an outcome, from place `from` on.
///
/// # Errors
///
/// If the database is away.
pub async fn open_images(
    client: &impl GenericClient,
    (key, day): (i64, Date),
    from: i32,
    limit: usize,
) -> Result<Vec<OpenImage>, DbError> {
    const SQL: &str = "
        SELECT seq, image_id, url,
               CASE WHEN change = 'replaced' THEN 'nothing'
                    WHEN EXISTS (SELECT FROM image_changes c
                                  WHERE c.image_id = i.image_id AND c.replaced_at > now() - $5 * interval '1 second')
                    THEN 'database' END
          FROM scrape_images i
         WHERE scrape = $1 AND day = $2 AND seq >= $3 AND outcome IS NULL
         ORDER BY seq LIMIT $4";
    let lately = REPLACED_LATELY.as_secs_f64();
    let rows = client.query(SQL, &[&key, &day, &from, &(limit as i64), &lately]).await?;
    let image = |row: tokio_postgres::Row| OpenImage {
        seq: row.get(0),
        image: ImageId(row.get(1)),
        url: row.get(2),
        trust: row.get::<_, Option<&str>>(3).map(Trust::of_word).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(image).collect())
}
