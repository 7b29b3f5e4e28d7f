//! What was looked at, as the second tier remembers it for the next look.

use std::cmp::Reverse;
use std::time::Instant;

use deadpool_postgres::GenericClient;
use tagfleet_shared::db::DbError;
use tagfleet_shared::tags::{Scores, Tags};
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::Ended;
use crate::freshness::LastLook;
use crate::outcome::{Known, Outcome};

/// Pictures that were looked at, and for how long that holds: where
/// `cache.revalidate_after` is off, none but those that were replaced.
#[derive(Default)]
pub(super) struct ValidatedRows<'a> {
    image: Vec<Uuid>,
    model_set: Vec<i32>,
    bytes: Vec<Uuid>,
    replaces: Vec<Option<Uuid>>,
    tags: Vec<Json<&'a Tags>>,
    scores: Vec<Json<&'a Scores>>,
    width: Vec<i32>,
    height: Vec<i32>,
    url: Vec<Uuid>,
    etag: Vec<Option<&'a str>>,
    last_modified: Vec<Option<&'a str>>,
    /// Seconds since the look began.
    ago: Vec<f64>,
    anew: Vec<bool>,
}

impl<'a> ValidatedRows<'a> {
    /// Those of a batch in the order of images, each once: the first.
    pub(super) fn of(batch: &[&'a Ended]) -> Self {
        let mut rows = Self::default();
        for ended in batch {
            let (image, set) = (ended.job.image.0, ended.set.id);
            if let Some((known, last_look)) = looked_at(&ended.outcome)
                && (rows.image.last(), rows.model_set.last()) != (Some(&image), Some(&set))
            {
                rows.push(image, set, known, last_look);
            }
        }
        rows
    }

    fn push(&mut self, image: Uuid, model_set: i32, known: &'a Known, last_look: &'a LastLook) {
        self.image.push(image);
        self.model_set.push(model_set);
        self.bytes.push(known.bytes.0);
        self.replaces.push(last_look.replaces.map(|bytes| bytes.0));
        self.tags.push(Json(&known.answer.tags));
        self.scores.push(Json(&known.answer.scores));
        self.width.push(i32::try_from(known.width).unwrap_or(i32::MAX));
        self.height.push(i32::try_from(known.height).unwrap_or(i32::MAX));
        self.url.push(last_look.validators.url);
        self.etag.push(last_look.validators.etag.as_deref());
        self.last_modified.push(last_look.validators.last_modified.as_deref());
        self.ago.push(last_look.began.elapsed().as_secs_f64());
        self.anew.push(last_look.anew);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.image.is_empty()
    }

    /// Renews what is known of them. Where the bytes are the same their tags stay
    /// as they are; where they are others than those that were looked for, the
    /// row gets what the models say now. A row that somebody else has changed
    /// meanwhile is left to them; but not by who was told that the picture was
    /// replaced, unless they began to look later.
    pub(super) async fn write(&self, client: &impl GenericClient) -> Result<(), DbError> {
        const SQL: &str = "
            UPDATE image_tags t
               SET validated_at = greatest(t.validated_at, v.began),
                   url_id = v.url_id, etag = v.etag, last_modified = v.last_modified,
                   bytes_hash = v.bytes_hash, width = v.width, height = v.height,
                   tags      = CASE WHEN t.bytes_hash = v.bytes_hash THEN t.tags ELSE v.tags END,
                   scores    = CASE WHEN t.bytes_hash = v.bytes_hash THEN t.scores ELSE v.scores END,
                   tagged_at = CASE WHEN t.bytes_hash = v.bytes_hash THEN t.tagged_at ELSE now() END
              FROM (SELECT *, now() - ago * interval '1 second' AS began
                      FROM unnest($1::uuid[], $2::int4[], $3::uuid[], $4::uuid[], $5::jsonb[], $6::jsonb[], $7::int4[],
                                  $8::int4[], $9::uuid[], $10::text[], $11::text[], $12::float8[], $13::bool[])
                           AS u (image_id, model_set, bytes_hash, replaces, tags, scores, width, height,
                                 url_id, etag, last_modified, ago, anew)) v
             WHERE t.image_id = v.image_id AND t.model_set = v.model_set
               AND (t.bytes_hash IN (v.bytes_hash, v.replaces)
                    OR v.anew AND coalesce(t.validated_at < v.began, true))";
        let statement = client.prepare_cached(SQL).await?;
        client
            .execute(
                &statement,
                &[
                    &self.image,
                    &self.model_set,
                    &self.bytes,
                    &self.replaces,
                    &self.tags,
                    &self.scores,
                    &self.width,
                    &self.height,
                    &self.url,
                    &self.etag,
                    &self.last_modified,
                    &self.ago,
                    &self.anew,
                ],
            )
            .await?;
        Ok(())
    }
}

/// The look at a picture for this very outcome, not for an earlier one.
fn looked_at(outcome: &Outcome) -> Option<(&Known, &LastLook)> {
    let (Outcome::Inferred(known) | Outcome::Matched(known) | Outcome::Renewed(known)) = outcome else {
        return None;
    };
    Some((known, known.last_look.as_ref()?))
}

/// Of several looks at one image in one batch the one comes first that was told of a replacement, and of these
/// the one that began last.
pub(super) fn latest_first(outcome: &Outcome) -> Reverse<Option<(bool, Instant)>> {
    Reverse(looked_at(outcome).map(|(_, last_look)| (last_look.anew, last_look.began)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Answer;
    use std::sync::Arc;
    use std::time::Duration;
    use tagfleet_download::Validators;
    use tagfleet_shared::ids::BytesHash;

    fn look(anew: bool, began: Instant) -> Outcome {
        let last_look =
            Some(LastLook { validators: Validators::default(), due: None, began, anew, replaces: None });
        let bytes = BytesHash(Uuid::nil());
        Outcome::Renewed(Arc::new(Known { answer: Answer::default(), bytes, width: 1, height: 1, last_look }))
    }

    #[test]
    fn of_several_looks_the_one_comes_first_that_was_told_of_a_replacement_and_of_these_the_last() {
        let [first, second, last] = [1, 2, 9].map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let mut batch = [Outcome::superseded(), look(false, last), look(true, first), look(true, second)];
        batch.sort_by_key(latest_first);
        let order = batch
            .each_ref()
            .map(|outcome| looked_at(outcome).map(|(_, last_look)| (last_look.anew, last_look.began)));
        assert_eq!(order, [Some((true, second)), Some((true, first)), Some((false, last)), None]);
    }
}
