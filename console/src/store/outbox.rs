//! Which fixes has nobody published yet?

use jiff::Timestamp;
use tagfleet_shared::db::DbError;
use tagfleet_shared::events::{FixAction, TagFixed};
use tagfleet_shared::ids::AdvertiserId;
use tokio_postgres::types::Json;
use tokio_postgres::{Row, Transaction};

/// Takes up to `limit` fixes out of the outbox, the oldest first: they are out when `transaction`
/// commits. Those that another console is about to publish are passed over.
///
/// # Errors
///
/// If the database is away.
pub async fn take(transaction: &Transaction<'_>, limit: i64) -> Result<Vec<TagFixed>, DbError> {
    const SQL: &str = "
        WITH taken AS (
            DELETE FROM fix_outbox WHERE history IN
                (SELECT history FROM fix_outbox ORDER BY history LIMIT $1 FOR UPDATE SKIP LOCKED)
         RETURNING history)
        SELECT h.id, h.image_id, i.image_key, i.url, nullif(h.advertiser_id, ''), h.attribute, h.action = 'set',
               h.from_value, h.to_value, h.fixed_by, h.note, h.at, h.machine
          FROM taken JOIN fix_history h ON h.id = taken.history
          LEFT JOIN LATERAL (SELECT image_key, url FROM scrape_images
                              WHERE image_id = h.image_id ORDER BY day DESC LIMIT 1) i ON true
         ORDER BY h.id";
    let rows = transaction.query(SQL, &[&limit]).await?;
    Ok(rows.iter().map(read).collect())
}

fn read(row: &Row) -> TagFixed {
    TagFixed {
        fix_id: row.get(0),
        image_id: row.get(1),
        image_key: row.get(2),
        url: row.get(3),
        advertiser_id: row.get::<_, Option<String>>(4).map(AdvertiserId),
        attribute: row.get(5),
        action: if row.get(6) { FixAction::Set } else { FixAction::Withdrawn },
        from: row.get(7),
        to: row.get(8),
        by: row.get(9),
        note: row.get(10),
        at: row.get::<_, Timestamp>(11),
        machine: row.get::<_, Option<Json<_>>>(12).map(|Json(machine)| machine),
    }
}
