//! What is not true any more of pictures that were replaced.

use deadpool_postgres::GenericClient;
use tagfleet_shared::db::DbError;
use uuid::Uuid;

use super::Ended;

/// Images whose job was told that their picture was replaced, and what is known of the one that is shown now.
#[derive(Default)]
pub(super) struct ForgottenRows {
    image: Vec<Uuid>,
    /// The bytes that are shown now; none where they could not be had, or not be read.
    bytes: Vec<Option<Uuid>>,
    /// Seconds since the work on them began, which is later than they were replaced.
    ago: Vec<f64>,
}

impl ForgottenRows {
    /// Those of a batch, in the order of images.
    pub(super) fn of(batch: &[&Ended]) -> Self {
        let mut rows = Self::default();
        for ended in batch {
            if ended.is_replaced {
                rows.image.push(ended.job.image.0);
                rows.bytes.push(ended.outcome.known().map(|known| known.bytes.0));
                rows.ago.push(ended.began.elapsed().as_secs_f64());
            }
        }
        rows
    }

    pub(super) fn is_empty(&self) -> bool {
        self.image.is_empty()
    }

    /// Forgets what any model set said of other bytes: whoever is asked for the image next has to look. What
    /// was found by a look that is known to have begun later than this one stays. (When it was recorded says
    /// nothing of that: the look may have begun before the picture was replaced.)
    pub(super) async fn delete(&self, client: &impl GenericClient) -> Result<(), DbError> {
        const SQL: &str = "
            DELETE FROM image_tags t
             USING unnest($1::uuid[], $2::uuid[], $3::float8[]) AS f (image_id, bytes_hash, ago)
             WHERE t.image_id = f.image_id AND t.bytes_hash IS DISTINCT FROM f.bytes_hash
               AND coalesce(t.validated_at < now() - f.ago * interval '1 second', true)";
        let statement = client.prepare_cached(SQL).await?;
        client.execute(&statement, &[&self.image, &self.bytes, &self.ago]).await?;
        Ok(())
    }
}
