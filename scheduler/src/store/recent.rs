//! What became of the scrapes of the last hours.

use std::time::Duration;

use tagfleet_shared::db::DbError;

use super::Client;

/// Images of `express` and `standard` that were announced within a while.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    /// How many they are.
    pub images: i64,
    /// Of these, images that had their outcome too late.
    pub late: i64,
}

/// What became of the scrapes of the last hours.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recent {
    /// Scrapes of all lanes that were swept within an hour: their jobs were lost, or late.
    pub swept: i64,
    /// The last five minutes.
    pub five_minutes: Window,
    /// The last half an hour.
    pub half_hour: Window,
    /// The last hour.
    pub hour: Window,
    /// The last six hours.
    pub six_hours: Window,
}

/// Reads it, of whatever was announced or swept within that time, however long ago it came: two indexes. Images
/// are read of scrapes alone that ended late themselves.
///
/// # Errors
///
/// If the database is away.
pub async fn recent(client: &Client, in_time: Duration) -> Result<Recent, DbError> {
    const SQL: &str = "
        WITH ended AS (
            SELECT s.listed, s.announced_at,
                   CASE WHEN s.tagged_at > coalesce(s.reopened_at, s.received_at) + $1 * interval '1 second'
                        THEN (SELECT count(*) FROM scrape_images i
                               WHERE i.scrape = s.key AND i.day = s.day
                                 AND i.recorded_at > coalesce(s.reopened_at, s.received_at) + $1 * interval '1 second')
                        ELSE 0 END AS late
              FROM scrapes s WHERE s.lane <> 'bulk' AND s.announced_at > now() - interval '6 hours')
        SELECT (SELECT count(*) FROM scrapes WHERE swept_at > now() - interval '1 hour') AS swept,
               coalesce(sum(e.listed), 0)::int8 AS images, coalesce(sum(e.late), 0)::int8 AS late
          FROM unnest('{5 minutes, 30 minutes, 1 hour, 6 hours}'::interval[]) WITH ORDINALITY AS w (long, n)
          LEFT JOIN ended e ON e.announced_at > now() - w.long
         GROUP BY w.n ORDER BY w.n";
    let rows = client.query(SQL, &[&in_time.as_secs_f64()]).await?;
    let window = |of: usize| {
        rows.get(of)
            .map(|row| Window { images: row.get("images"), late: row.get("late") })
            .unwrap_or_default()
    };
    Ok(Recent {
        swept: rows.first().map(|row| row.get("swept")).unwrap_or_default(),
        five_minutes: window(0),
        half_hour: window(1),
        hour: window(2),
        six_hours: window(3),
    })
}

impl Window {
    /// The share of late images; none where there were no images.
    pub fn late_share(&self) -> Option<f64> {
        (self.images > 0).then(|| self.late as f64 / self.images as f64)
    }
}
