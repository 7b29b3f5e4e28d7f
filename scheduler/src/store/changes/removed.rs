//! Pictures that an advertiser has taken away are marked wherever they are shown: in what is listed when the change is
//! gathered, and in what is listed after it.
//!
//! Both take turns with each other, by advertiser: no page is written between the two.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use tagfleet_shared::db::DbError;
use tagfleet_shared::events::Change;
use tagfleet_shared::ids::ImageId;
use tagfleet_shared::tags::Tags;
use tokio_postgres::Transaction;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::super::Scrape;
use crate::inventory::Row;

/// Scrapes of an advertiser in which a picture that was removed is looked for, at most.
const SHOWN: i64 = 10_000;

/// Pictures that were removed in one micro-scrape at most: each takes a place in Postgres' table of locks until its end.
pub(super) const REMOVED_AT_ONCE: usize = 100;

/// Whether this row is of a picture that was removed.
pub(super) fn is_removed(row: &Row) -> bool {
    matches!(row.change, Some((Change::Removed, _)))
}

/// The fixes for those of `page` that were removed, as far as there are any: no worker will merge them.
///
/// Until the end of the transaction no pass gets at these images. One that came before had its fix committed before
/// these are read; one that comes after finds the rows.
pub(in crate::store) async fn fixes_of_removed(
    transaction: &Transaction<'_>,
    scrape: &Scrape,
    page: &[Row],
) -> Result<HashMap<ImageId, Tags>, DbError> {
    // As in apply_fixes_behind, and in its order.
    const LOCK: &str = "
        SELECT pg_advisory_xact_lock(hashtextextended(image::text, 1))
          FROM (SELECT DISTINCT image FROM unnest($1::uuid[]) AS image ORDER BY image) AS in_order";
    const FIXES: &str = "
        SELECT image, fix FROM (SELECT image, fixes_for(image, $2) AS fix FROM unnest($1::uuid[]) AS image) AS f
         WHERE fix <> '{}'";
    let images: Vec<Uuid> = page.iter().filter(|row| is_removed(row)).map(|row| row.image.0).collect();
    if images.is_empty() {
        return Ok(HashMap::new());
    }
    transaction.query(LOCK, &[&images]).await?;
    let fixes = transaction.query(FIXES, &[&images, &scrape.advertiser_id.0]).await?;
    Ok(fixes.iter().map(|row| (ImageId(row.get(0)), row.get::<_, Json<Tags>>(1).0)).collect())
}

/// The advertiser shows these pictures no longer: in the last inventory, and in what came after it. What an
/// inventory of after the removal lists is shown again.
pub(super) async fn mark_removed(
    transaction: &Transaction<'_>,
    scrape: &Scrape,
    rows: &[Row],
) -> Result<(), DbError> {
    const SHOWING: &str = "
        SELECT key, day FROM scrapes
         WHERE advertiser_id = $1 AND key <> $2
           AND finished_at >= coalesce((SELECT max(finished_at) FROM scrapes
                                         WHERE advertiser_id = $1 AND state IN ('tagging', 'tagged')), '-infinity')
         ORDER BY finished_at DESC LIMIT $3";
    const MARK: &str = "
        UPDATE scrape_images i SET removed_at = r.changed_at
          FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS r (image_id, listing_id, changed_at), scrapes s
         WHERE i.scrape = ANY($4) AND i.day = ANY($5) AND s.key = i.scrape AND i.image_id = r.image_id
           AND (r.listing_id IS NULL OR i.listing_id = r.listing_id)
           AND i.removed_at IS NULL AND coalesce(i.changed_at, s.finished_at) <= r.changed_at";
    let removed: Vec<&Row> = rows.iter().filter(|row| is_removed(row)).collect();
    if removed.is_empty() {
        return Ok(());
    }
    let showing = transaction.query(SHOWING, &[&scrape.advertiser_id.0, &scrape.key, &SHOWN]).await?;
    let keys: Vec<i64> = showing.iter().map(|row| row.get(0)).collect();
    let days: Vec<Date> = showing.iter().map(|row| row.get(1)).collect();
    let images: Vec<Uuid> = removed.iter().map(|row| row.image.0).collect();
    let listings: Vec<Option<&str>> = removed.iter().map(|row| row.listing_id.as_deref()).collect();
    let times: Vec<Timestamp> = removed.iter().filter_map(|row| Some(row.change?.1)).collect();
    transaction.execute(MARK, &[&images, &listings, &times, &keys, &days]).await?;
    Ok(())
}

/// A page of an inventory, from place `from` on, may list pictures that were removed since the scrape ended, while
/// it waited or was listed: nobody looks for them there again.
pub(in crate::store) async fn mark_removed_since(
    transaction: &Transaction<'_>,
    scrape: &Scrape,
    from: i32,
) -> Result<(), DbError> {
    const MARK: &str = "
        UPDATE scrape_images i SET removed_at = c.changed_at
          FROM image_changes c, scrapes s
         WHERE i.scrape = $1 AND i.day = $2 AND i.seq >= $3 AND i.removed_at IS NULL
           AND s.key = i.scrape AND c.advertiser_id = s.advertiser_id AND c.change = 'removed'
           AND c.changed_at >= s.finished_at AND c.image_id = i.image_id
           AND (c.listing_id IS NULL OR c.listing_id = i.listing_id)";
    transaction.execute(MARK, &[&scrape.key, &scrape.day, &from]).await?;
    Ok(())
}
