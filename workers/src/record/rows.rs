//! A batch of outcomes as columns.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::civil::Date;
use tagfleet_shared::tags::{Scores, Tags};
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::Ended;
use super::forgotten::ForgottenRows;
use super::validated::{ValidatedRows, latest_first};
use crate::outcome::{Known, Outcome};
use crate::pipeline::source_of;

/// What one statement takes: columns, of which those of one struct are equally long.
#[derive(Default)]
pub(super) struct Rows<'a> {
    pub day: Vec<Date>,
    pub scrape: Vec<i64>,
    pub seq: Vec<i32>,
    pub image: Vec<Uuid>,
    pub outcome: Vec<&'static str>,
    pub reason: Vec<Option<&'a str>>,
    pub tags: Vec<Json<&'a Tags>>,
    pub model_set: Vec<i32>,
    pub known: KnownRows<'a>,
    pub embedded: EmbeddedRows<'a>,
    pub failed: FailedRows<'a>,
    pub validated: ValidatedRows<'a>,
    pub forgotten: ForgottenRows,
}

#[derive(Default)]
pub(super) struct KnownRows<'a> {
    pub image: Vec<Uuid>,
    pub tags: Vec<Json<&'a Tags>>,
    pub scores: Vec<Json<&'a Scores>>,
    pub bytes: Vec<Uuid>,
    pub width: Vec<i32>,
    pub height: Vec<i32>,
    pub model_set: Vec<i32>,
    /// Seconds since the work on it began.
    pub ago: Vec<f64>,
}

#[derive(Default)]
pub(super) struct EmbeddedRows<'a> {
    pub bytes: Vec<Uuid>,
    pub model_set: Vec<i32>,
    pub embedding: Vec<&'a [u8]>,
}

#[derive(Default)]
pub(super) struct FailedRows<'a> {
    pub image: Vec<Uuid>,
    /// A hash of the URL that it was asked for at.
    pub url: Vec<Uuid>,
    pub outcome: Vec<&'static str>,
    pub reason: Vec<&'a str>,
}

/// What a skipped image is said to be by the models: nothing.
static NO_TAGS: Tags = Tags(BTreeMap::new());

impl<'a> Rows<'a> {
    pub(super) fn of(batch: &'a [Ended]) -> Self {
        // In one order everywhere, so that two batches never wait for each other.
        let mut batch: Vec<&Ended> = batch.iter().collect();
        batch.sort_unstable_by_key(|ended| (ended.job.scrape, ended.job.seq, news_first(&ended.outcome)));
        // A batch may hold a job twice; an upsert takes each row once. Of two copies one looked, and the other
        // learned from it.
        batch.dedup_by_key(|ended| (ended.job.scrape, ended.job.seq));
        let mut rows = Self { embedded: EmbeddedRows::of(&batch), ..Self::default() };
        for Ended { job, outcome, set, .. } in &batch {
            rows.day.push(job.day);
            rows.scrape.push(job.scrape);
            rows.seq.push(job.seq);
            rows.image.push(job.image.0);
            rows.outcome.push(outcome.kind().as_str());
            rows.reason.push(outcome.failure().map(|failure| &*failure.reason));
            rows.tags.push(Json(match (outcome.known(), outcome) {
                (Some(known), _) => &known.answer.tags,
                (None, Outcome::Defaulted(_)) => &set.defaults,
                (None, _) => &NO_TAGS,
            }));
            rows.model_set.push(set.id);
        }
        // By image, for the same reason; the same image may be listed by two
        // scrapes of one batch, and an upsert takes each row once: the first.
        batch.sort_by_key(|ended| (ended.job.image, ended.set.id, latest_first(&ended.outcome)));
        rows.validated = ValidatedRows::of(&batch);
        rows.forgotten = ForgottenRows::of(&batch);
        for Ended { job, outcome, set, began, .. } in batch {
            let image = job.image.0;
            if let Some(known) = new(outcome).filter(|_| rows.known.last() != Some((image, set.id))) {
                rows.known.push(image, set.id, known, *began);
            }
            if let Some(reason) = lasting(outcome).filter(|_| rows.failed.image.last() != Some(&image)) {
                rows.failed.image.push(image);
                rows.failed.url.push(source_of(&job.url).url_id());
                rows.failed.outcome.push(outcome.kind().as_str());
                rows.failed.reason.push(reason);
            }
        }
        rows
    }
}

impl<'a> KnownRows<'a> {
    fn last(&self) -> Option<(Uuid, i32)> {
        Some((*self.image.last()?, *self.model_set.last()?))
    }

    fn push(&mut self, image: Uuid, model_set: i32, known: &'a Known, began: Instant) {
        self.image.push(image);
        self.model_set.push(model_set);
        self.ago.push(began.elapsed().as_secs_f64());
        self.tags.push(Json(&known.answer.tags));
        self.scores.push(Json(&known.answer.scores));
        self.bytes.push(known.bytes.0);
        self.width.push(i32::try_from(known.width).unwrap_or(i32::MAX));
        self.height.push(i32::try_from(known.height).unwrap_or(i32::MAX));
    }
}

impl<'a> EmbeddedRows<'a> {
    /// By bytes, each once: a batch may hold them under several keys. An answer and
    /// its embedding are new together, so that whoever finds the one finds the other.
    fn of(batch: &[&'a Ended]) -> Self {
        let embedded = batch.iter().filter_map(|ended| {
            let known = new(&ended.outcome)?;
            Some(((known.bytes.0, ended.set.id), known.answer.embedding.as_ref()?.bytes()))
        });
        let mut rows = Self::default();
        for ((bytes, model_set), embedding) in embedded.collect::<BTreeMap<_, _>>() {
            rows.bytes.push(bytes);
            rows.model_set.push(model_set);
            rows.embedding.push(embedding);
        }
        rows
    }
}

/// What the second tier does not have yet under this key.
fn new(outcome: &Outcome) -> Option<&Known> {
    match outcome {
        Outcome::Inferred(known) | Outcome::Matched(known) => Some(known),
        _ => None,
    }
}

/// Orders outcomes of one job: what the second tier does not have yet must not be dropped for what it has.
fn news_first(outcome: &Outcome) -> bool {
    new(outcome).is_none()
}

/// A failure that the next scrape may take for granted.
fn lasting(outcome: &Outcome) -> Option<&str> {
    outcome.failure().filter(|failure| failure.remember).map(|failure| &*failure.reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Answer;
    use std::sync::Arc;
    use tagfleet_shared::ids::BytesHash;

    #[test]
    fn of_two_copies_of_a_job_the_one_that_looked_is_recorded() {
        let bytes = BytesHash(Uuid::nil());
        let known =
            Arc::new(Known { answer: Answer::default(), bytes, width: 1, height: 1, last_look: None });
        let mut copies = [Outcome::Cached(known.clone()), Outcome::superseded(), Outcome::Inferred(known)];
        copies.sort_by_key(news_first);
        assert!(matches!(copies[0], Outcome::Inferred(_)));
    }
}
