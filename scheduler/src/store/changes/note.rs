//! Changes enter `image_changes`, each place of a picture once.

use tagfleet_shared::db::DbError;
use tagfleet_shared::events::{Change, ImageChanged};
use tagfleet_shared::ids::PlaceId;
use tokio_postgres::types::Json;

use super::super::Client;

/// Notes changes, all or none. Of each place the latest stays, whichever comes first: so an event that
/// comes again changes nothing, whatever has become of it since.
///
/// Of two of the same time the first stays, but none that removes what the other shows: a clock of whole
/// seconds hurts the feed least that way.
///
/// A picture that is removed and added again before anybody has looked may be another one, so it counts
/// as replaced; and one that is to be looked at anew still is when it is added once more, also where it was
/// removed meanwhile and nobody has looked.
///
/// Returns those that were news, in their order.
///
/// # Errors
///
/// If the database is away, or cannot hold one of them.
pub async fn note(client: &mut Client, changes: &[&ImageChanged]) -> Result<Vec<Change>, DbError> {
    const SQL: &str = "
        INSERT INTO image_changes AS known (id, advertiser_id, image_id, change, changed_at, replaced_at,
                                            url, image_key, listing_id, position, configured)
        VALUES ($1, $2, $3, $4::text, $5, CASE WHEN $4::text = 'replaced' THEN now() END, $6, $7, $8, $9, $10)
        ON CONFLICT (id) DO UPDATE
           SET (change, replaced_at) = (
                   SELECT CASE WHEN anew THEN 'replaced' ELSE excluded.change END,
                          CASE WHEN anew THEN now() ELSE known.replaced_at END
                     FROM (SELECT excluded.change = 'replaced'
                                  OR excluded.change = 'added' AND known.change <> 'added' AND known.scrape IS NULL
                                  OR excluded.change = 'added' AND known.change = 'removed'
                                     AND known.replaced_at >= known.received_at
                          ) AS is_it (anew)),
               received_at = CASE WHEN known.scrape IS NULL THEN known.received_at ELSE now() END,
               changed_at = excluded.changed_at, url = excluded.url, image_key = excluded.image_key,
               listing_id = excluded.listing_id, position = excluded.position, configured = excluded.configured,
               scrape = NULL
         WHERE (excluded.changed_at, excluded.change <> 'removed') > (known.changed_at, known.change <> 'removed')";
    let place = |change: &ImageChanged| {
        PlaceId::of(&change.advertiser_id, change.image_id(), change.image.listing_id.as_deref())
    };
    let mut in_order: Vec<_> = changes.iter().map(|change| (place(change), *change)).collect();
    // The same order everywhere, so that two schedulers never wait for each other; those of one place
    // stay in theirs.
    in_order.sort_by_key(|(place, _)| *place);
    let transaction = client.transaction().await?;
    let statement = transaction.prepare_cached(SQL).await?;
    let mut news = Vec::new();
    for (place, change) in in_order {
        let ImageChanged { advertiser_id, change: what, changed_at, image } = change;
        let changed = transaction
            .execute(
                &statement,
                &[
                    &place.0,
                    &advertiser_id.0,
                    &change.image_id().0,
                    &what.as_str(),
                    changed_at,
                    &image.url,
                    &image.image_key,
                    &image.listing_id,
                    &image.position,
                    &image.stated().map(Json),
                ],
            )
            .await?;
        if changed > 0 {
            news.push(*what);
        }
    }
    transaction.commit().await?;
    Ok(news)
}
