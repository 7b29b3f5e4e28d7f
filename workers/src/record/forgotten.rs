//! What is not true any more of pictures that were replaced.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use tagfleet_shared::db::DbError;
use uuid::Uuid;

use super::Ended;

/// Images whose job was told that their picture was replaced, and what is known of the one that is shown now.
#[derive(Default)]
pub(super) struct ForgottenRows {
    image: Vec<Uuid>,
    /// The bytes that are shown now; none where they could not be had, or not be read.
    bytes: Vec<Option<Uuid>>,
    /// When the work on them began, which is later than they were replaced.
    began: Vec<Timestamp>,
}

impl ForgottenRows {
    /// Those of a batch, in the order of images.
    pub(super) fn of(batch: &[&Ended]) -> Self {
        let mut rows = Self::default();
        for ended in batch {
            let Some(began) = ended.replaced else { continue };
            rows.image.push(ended.job.image.0);
            rows.bytes.push(ended.outcome.known().map(|known| known.bytes.0));
            rows.began.push(began);
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
             USING unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS f (image_id, bytes_hash, began)
             WHERE t.image_id = f.image_id AND t.bytes_hash IS DISTINCT FROM f.bytes_hash
               AND coalesce(t.validated_at < f.began, true)";
        let statement = client.prepare_cached(SQL).await?;
        client.execute(&statement, &[&self.image, &self.bytes, &self.began]).await?;
        Ok(())
    }
}
