//! `image.changed` events enter the database.

use std::panic::catch_unwind;

use deadpool_postgres::Pool;
use tagfleet_shared::broker::{Consumer, Received};
use tagfleet_shared::db::DbError;
use tagfleet_shared::events::{Change, ImageChanged};
use tagfleet_shared::failpoint::{self, Point};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::halt::{Refusal, unpanicked};
use crate::hold::{Hold, Stopped};
use crate::metrics::Metrics;
use crate::patient_publisher::PatientPublisher;
use crate::store;

/// Events in one transaction; the broker sends as many at a time.
pub const AT_ONCE: u16 = 500;

/// Takes changes of pictures, together with other schedulers.
pub struct Intake {
    /// Where they are noted.
    pub pool: Pool,
    /// Where those go that nobody can read.
    pub publisher: PatientPublisher,
    /// Counts what happens.
    pub metrics: Metrics,
    /// Ends it before the next batch, or while one is held: that one goes back to the queue.
    pub stop: CancellationToken,
}

/// An event that was read.
type Read = (Received, ImageChanged);

impl Intake {
    /// Takes events until it is stopped. Each time as many as are waiting: there is no delay to tune.
    pub async fn run(self, mut events: Consumer) {
        while let Some(first) = self.stop.run_until_cancelled(events.next()).await {
            let mut batch = vec![first];
            while batch.len() < usize::from(AT_ONCE)
                && let Some(next) = events.try_next()
            {
                batch.push(next);
            }
            // What is not settled goes back to the queue.
            if self.take(batch).await == Err(Stopped) {
                break;
            }
        }
        events.close().finished().await;
    }

    /// Notes what can be read; the rest goes to a person. An event is acknowledged when it is noted.
    async fn take(&self, batch: Vec<Received>) -> Result<(), Stopped> {
        failpoint::here(Point::ChangesReceived);
        let mut read = Vec::with_capacity(batch.len());
        for received in batch {
            match parse(&received.body) {
                Ok(event) => read.push((received, event)),
                Err(refusal) => self.refuse(received, &refusal).await?,
            }
        }
        self.note(read).await
    }

    /// Notes a batch; if its data are to blame, its halves one by one, so that one event that no row can hold,
    /// or that meets a mistake of ours, harms no other.
    async fn note(&self, mut batch: Vec<Read>) -> Result<(), Stopped> {
        match self.until_noted(&batch).await? {
            Ok(news) => {
                failpoint::here(Point::ChangesNoted);
                self.metrics.changes_noted(&news, batch.len());
                batch.into_iter().for_each(|(received, _)| received.ack());
                Ok(())
            }
            Err(_) if batch.len() > 1 => {
                let second = batch.split_off(batch.len() / 2);
                Box::pin(self.note(batch)).await?;
                Box::pin(self.note(second)).await
            }
            Err(refusal) => match batch.pop() {
                Some((received, _)) => self.refuse(received, &refusal).await,
                None => Ok(()),
            },
        }
    }

    /// Tries until the batch is noted: those that were news; only data that no row can hold end it, and a panic.
    async fn until_noted(&self, batch: &[Read]) -> Result<Result<Vec<Change>, Refusal>, Stopped> {
        let events: Vec<_> = batch.iter().map(|(_, event)| event).collect();
        let mut hold = Hold::new("changes of pictures", &self.metrics, &self.stop);
        loop {
            let end = match unpanicked(self.try_to_note(&events)).await {
                Ok(Err(error)) if error.is_conflict() => continue,
                Ok(Err(error)) if !error.is_about_data() => {
                    hold.wait(error.into()).await?;
                    continue;
                }
                Ok(noted) => noted.map_err(|error| Refusal::of_database(&error)),
                Err(panic) => Err(panic),
            };
            hold.over();
            return Ok(end);
        }
    }

    async fn try_to_note(&self, events: &[&ImageChanged]) -> Result<Vec<Change>, DbError> {
        store::note(&mut *self.pool.get().await?, events).await
    }

    async fn refuse(&self, received: Received, refusal: &Refusal) -> Result<(), Stopped> {
        self.publisher.dead_letter(&received, refusal).await?;
        received.ack();
        Ok(())
    }
}

fn parse(body: &[u8]) -> Result<ImageChanged, Refusal> {
    let parsed = catch_unwind(|| ImageChanged::parse(body)).map_err(|_| Refusal::panic())?;
    let parsed = parsed.map_err(Refusal::malformed)?;
    if !parsed.unknown_fields.is_empty() {
        let fields = parsed.unknown_fields.join(", ");
        warn!(%fields, "fields that nobody knows, they change nothing: {fields}");
    }
    Ok(parsed.value)
}
