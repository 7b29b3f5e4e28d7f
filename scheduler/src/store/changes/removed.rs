//! Pictures that an advertiser has taken away are marked wherever they are shown: in what is listed when the change is
//! gathered, and in what is listed after it.
//!
//! Both take turns with each other, by advertiser: no page is written between the two.

use jiff::Timestamp;
use jiff::civil::Date;
use tagfleet_shared::db::DbError;
use tagfleet_shared::events::Change;
use tokio_postgres::Transaction;
use uuid::Uuid;

use super::super::Scrape;
use crate::inventory::Row;

/// Scrapes of an advertiser in which a picture that was removed is looked for, at most.
const SHOWN: i64 = 10_000;

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
    let removed = |row: &&Row| matches!(row.change, Some((Change::Removed, _)));
    let removed: Vec<&Row> = rows.iter().filter(removed).collect();
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
