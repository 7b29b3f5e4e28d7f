//! What became of the scrapes of the last hour.

use std::time::Duration;

use tagfleet_shared::db::DbError;

use super::Client;

/// The last hour, and its last five minutes, of `express` and `standard`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recent {
    /// Scrapes of all lanes that were swept: their jobs were lost, or late.
    pub swept: i64,
    /// Images of scrapes that were announced.
    pub images: i64,
    /// Of these, images that had their outcome too late.
    pub late: i64,
    /// The same of the last five minutes.
    pub images_now: i64,
    /// The same of the last five minutes.
    pub late_now: i64,
}

/// Reads it, of whatever was announced or swept within the hour, however long ago it came: two indexes. Images
/// are read of scrapes alone that ended late themselves.
///
/// # Errors
///
/// If the database is away.
pub async fn recent(client: &Client, in_time: Duration) -> Result<Recent, DbError> {
    const SQL: &str = "
        WITH ended AS (
            SELECT s.listed, s.announced_at > now() - interval '5 minutes' AS is_now,
                   CASE WHEN s.tagged_at > coalesce(s.reopened_at, s.received_at) + $1 * interval '1 second'
                        THEN (SELECT count(*) FROM scrape_images i
                               WHERE i.scrape = s.key AND i.day = s.day
                                 AND i.recorded_at > coalesce(s.reopened_at, s.received_at) + $1 * interval '1 second')
                        ELSE 0 END AS late
              FROM scrapes s WHERE s.lane <> 'bulk' AND s.announced_at > now() - interval '1 hour')
        SELECT (SELECT count(*) FROM scrapes WHERE swept_at > now() - interval '1 hour'),
               coalesce(sum(listed), 0)::int8, coalesce(sum(late), 0)::int8,
               coalesce(sum(listed) FILTER (WHERE is_now), 0)::int8,
               coalesce(sum(late) FILTER (WHERE is_now), 0)::int8
          FROM ended";
    let row = client.query_one(SQL, &[&in_time.as_secs_f64()]).await?;
    Ok(Recent {
        swept: row.get(0),
        images: row.get(1),
        late: row.get(2),
        images_now: row.get(3),
        late_now: row.get(4),
    })
}

impl Recent {
    /// The share of late images of the hour, and of the last five minutes; none where there were no images.
    pub fn late_shares(&self) -> Option<(f64, f64)> {
        let share = |late: i64, images: i64| (images > 0).then(|| late as f64 / images as f64);
        Some((share(self.late, self.images)?, share(self.late_now, self.images_now).unwrap_or_default()))
    }
}
