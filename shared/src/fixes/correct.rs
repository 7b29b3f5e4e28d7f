//! The one way in which fixes are written.

use deadpool_postgres::Transaction;

use crate::db::DbError;
use crate::ids::ImageId;

/// What somebody decides about an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// This is its value; null is one too.
    Set(Option<&'a str>),
    /// The fix goes, and the machine's value is back.
    Withdraw,
}

/// What of an image is corrected: the value of one attribute, as one advertiser sees it or as everyone does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Who sees it; [`EVERYONE`](super::EVERYONE) but those who have a fix of their own.
    pub advertiser: &'a str,
    /// The attribute's name in [`Tags`](crate::tags::Tags).
    pub attribute: &'a str,
}

/// A decision of a person about some images.
#[derive(Clone, Copy, Debug)]
pub struct Correction<'a> {
    /// The images; the same for each of them.
    pub images: &'a [ImageId],
    /// Whose value of which attribute.
    pub place: Place<'a>,
    /// What is decided.
    pub verdict: Verdict<'a>,
    /// Who decides, for the history.
    pub by: &'a str,
    /// Why, for the history.
    pub note: Option<&'a str>,
}

/// What the history says of one image of a correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The image.
    pub image: ImageId,
    /// `fix_history.id`: later entries of one image have higher ones.
    pub id: i64,
}

/// Has the fixes of `images` wait for each other until the end of `transaction`. What is
/// read from then on is what the last of them left.
///
/// By the rows of `pending_fixes` that the fixes write anyway: advisory locks on a thousand images, by
/// some people at once, would be more than Postgres' table of locks holds, for everybody.
///
/// # Errors
///
/// If the database is away.
pub async fn lock(transaction: &Transaction<'_>, images: &[ImageId]) -> Result<(), DbError> {
    // In one order for everybody, so that nobody waits for one who waits for them.
    const SQL: &str = "
        INSERT INTO pending_fixes (image_id)
        SELECT DISTINCT image FROM unnest($1::uuid[]) AS image ORDER BY image
        ON CONFLICT (image_id) DO UPDATE SET requested_at = now()";
    let images: Vec<_> = images.iter().map(|image| image.0).collect();
    let statement = transaction.prepare_cached(SQL).await?;
    transaction.execute(&statement, &[&images]).await?;
    Ok(())
}

/// Writes a correction; triggers append it to the history. [`lock`] the images before.
///
/// Returns the new entries of the history: none for an image whose fix is withdrawn and
/// that has none.
///
/// # Errors
///
/// If the database is away: then nothing is written once `transaction` is gone.
pub async fn correct(
    transaction: &Transaction<'_>,
    correction: &Correction<'_>,
) -> Result<Vec<Entry>, DbError> {
    const SET: &str = "
        INSERT INTO fixes (image_id, advertiser_id, attribute, value, fixed_by, note)
        SELECT DISTINCT image, $2, $3, $4, $5, $6 FROM unnest($1::uuid[]) AS image
        ON CONFLICT (image_id, advertiser_id, attribute) DO UPDATE
           SET value = excluded.value, fixed_by = excluded.fixed_by, note = excluded.note, fixed_at = now()
     RETURNING image_id";
    // Who withdraws stands in no row: the trigger takes it from here.
    const WHO: &str = "SELECT set_config('tagfleet.person', $1, true), set_config('tagfleet.note', $2, true)";
    const WITHDRAW: &str = "
        DELETE FROM fixes WHERE image_id = ANY($1) AND advertiser_id = $2 AND attribute = $3 RETURNING image_id";
    const ENTRIES: &str = "
        SELECT image_id, max(id) FROM fix_history
         WHERE image_id = ANY($1) AND advertiser_id = $2 AND attribute = $3 GROUP BY image_id";
    let Correction { images, place: Place { advertiser, attribute }, verdict, by, note } = correction;
    let images: Vec<_> = images.iter().map(|image| image.0).collect();
    let written = match verdict {
        Verdict::Set(value) => {
            let statement = transaction.prepare_cached(SET).await?;
            transaction.query(&statement, &[&images, advertiser, attribute, value, by, note]).await?
        }
        Verdict::Withdraw => {
            transaction.execute(WHO, &[by, &note.unwrap_or_default()]).await?;
            let statement = transaction.prepare_cached(WITHDRAW).await?;
            transaction.query(&statement, &[&images, advertiser, attribute]).await?
        }
    };
    let written: Vec<uuid::Uuid> = written.iter().map(|row| row.get(0)).collect();
    let statement = transaction.prepare_cached(ENTRIES).await?;
    let entries = transaction.query(&statement, &[&written, advertiser, attribute]).await?;
    Ok(entries.iter().map(|row| Entry { image: ImageId(row.get(0)), id: row.get(1) }).collect())
}
