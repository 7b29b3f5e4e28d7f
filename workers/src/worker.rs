//! The loop of the worker: take, run, settle.

#![warn(clippy::large_futures, reason = "every job is one of these, and it is moved when it is spawned")]

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tagfleet_shared::backoff::Backoff;
use tagfleet_shared::broker::{Closing, Lanes, Received};
use tagfleet_shared::db::DbError;
use tagfleet_shared::failpoint::{self, Point};
use tagfleet_shared::jobs::{Job, TagImage};
use tagfleet_shared::lane::Lane;
use tagfleet_shared::shutdown;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, error, info, info_span};

use crate::config::ReturnLimits;
use crate::download::Transient;
use crate::elsewhere::Elsewhere;
use crate::hold::Holder;
use crate::metrics::{InFlight, Metrics};
use crate::outcome::{Outcome, Unfinished};
use crate::pipeline::{Pipeline, Wanted, source_of};
use crate::record::{Ended, Recorder};
use crate::retries::{Again, Retries};
use crate::sets::SetAtWork;

/// What is needed to bring jobs to their end.
pub struct Worker {
    /// The stages.
    pub pipeline: Arc<Pipeline>,
    /// The way of outcomes into the database.
    pub recorder: Recorder,
    /// When a job is tried again.
    pub retries: Retries,
    /// The way to the retry and dead-letter queues.
    pub elsewhere: Elsewhere,
    /// When a job that came back is suspected.
    pub returns: ReturnLimits,
    /// Held by the one suspected job that is at work.
    pub alone: Mutex<()>,
    /// What to do while a server is away.
    pub holder: Holder,
    /// What is counted and timed.
    pub metrics: Metrics,
}

impl Worker {
    /// Works on jobs until `stop`, then lets jobs in flight finish within `grace`.
    ///
    /// At most `prefetch` jobs are at work, whatever the number of lanes.
    pub async fn run(
        self: Arc<Self>,
        mut lanes: Lanes,
        prefetch: u16,
        grace: Duration,
        stop: CancellationToken,
    ) {
        let running = TaskTracker::new();
        let abandon = CancellationToken::new();
        let places = Arc::new(Semaphore::new(usize::from(prefetch)));
        loop {
            let next = async {
                let place = places.clone().acquire_owned().await.ok()?;
                Some((lanes.next().await, place))
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                next = next => match next {
                    Some(((lane, received), place)) => {
                        // In one place from the start: whoever wraps or spawns it moves a pointer.
                        let work = Box::pin(self.clone().work(lane, received, place));
                        running.spawn(abandon.clone().run_until_cancelled_owned(work));
                    }
                    None => break,
                },
            }
        }
        info!(jobs = running.len(), "taking no more jobs");
        let closing = lanes.close();
        shutdown::drain(running, abandon, grace).await;
        // Finished work is acknowledged before its channel closes, so that it
        // is not delivered again.
        futures::future::join_all(closing.into_iter().map(Closing::finished)).await;
    }

    /// Takes one delivery to its settlement, whatever happens.
    async fn work(self: Arc<Self>, lane: Lane, received: Received, _place: OwnedSemaphorePermit) {
        failpoint::here(Point::JobReceived);
        let in_flight = self.metrics.job_received(lane, &received);
        let job = match serde_json::from_slice::<Job>(&received.body) {
            Ok(Job::TagImageV1(image)) => Arc::new(image),
            Err(error) => {
                let detail = error.to_string();
                return self.elsewhere.dead_letter(received, "malformed_job", &detail).await;
            }
        };
        let span = info_span!("job", scrape.id = %job.scrape_id, image.id = %job.image);
        self.settle(lane, received, &job, &in_flight).instrument(span).await;
    }

    /// Takes one job to its settlement.
    async fn settle(&self, lane: Lane, received: Received, job: &Arc<TagImage>, in_flight: &InFlight) {
        if received.returns >= self.returns.give_up_after {
            let detail = format!("came back {} times: its workers died or were stopped", received.returns);
            return self.park(received, job, in_flight, "killed_worker", &detail).await;
        }
        let suspected = received.returns >= self.returns.alone_after;
        let _alone = if suspected { Some(self.alone.lock().await) } else { None };
        let ending = match received.early {
            Some(early) => Ending::Later(self.retries.on_the_way(received.attempt, early), "not_yet"),
            None => unpanicked(self.finish(lane, job, &received, in_flight)).await,
        };
        match ending {
            Ending::Recorded => {
                failpoint::here(Point::Acknowledging);
                received.ack();
            }
            Ending::Later(again, reason) => self.elsewhere.retry(received, again, reason).await,
            Ending::Parked(reason, detail) => self.park(received, job, in_flight, reason, &detail).await,
        }
    }

    /// Brings one job to its outcome and into the database.
    async fn finish(
        &self,
        lane: Lane,
        job: &Arc<TagImage>,
        received: &Received,
        in_flight: &InFlight,
    ) -> Ending {
        let image = Wanted { id: job.image, source: source_of(&job.url), lane, scrape: Some(job.scrape) };
        let (outcome, set) = match self.until_known(&image).await {
            Ok(known) => known,
            Err(transient) => match self.retries.after(received.attempt, received.put_off, &transient) {
                Some(again) => return Ending::Later(again, transient.reason()),
                None => (Outcome::given_up(&transient), self.pipeline.sets.now()),
            },
        };
        let ended = Ended { job: job.clone(), outcome, set };
        failpoint::here(Point::Ended);
        match self.until_recorded(&ended).await {
            Ok(()) => {
                debug!(outcome = %ended.outcome.kind(), "job ended");
                self.metrics.job_ended(&ended.outcome, in_flight.took());
                Ending::Recorded
            }
            Err(error) => Ending::Parked("unrecordable", error.to_string()),
        }
    }

    /// Runs the pipeline until it comes to an end.
    ///
    /// A job is held, not requeued, while the fleet is unwell: with `prefetch`
    /// jobs held the broker sends nothing more, and no job uses up its delivery
    /// limit because Postgres was restarted. Each time it begins anew, with the
    /// model set of that time: a reload may be what makes sick models well.
    async fn until_known(&self, image: &Wanted) -> Result<(Outcome, Arc<SetAtWork>), Transient> {
        let (mut backoff, mut held_by) = (Backoff::for_outage(), None);
        loop {
            let set = self.pipeline.sets.now();
            let end = match self.pipeline.run(&set, image).await {
                Ok(outcome) => Ok((outcome, set)),
                Err(Unfinished::Later(transient)) => Err(transient),
                Err(Unfinished::Outage(outage)) => {
                    held_by = Some(outage.server());
                    self.holder.hold(&outage, outage.server(), &mut backoff).await;
                    continue;
                }
            };
            held_by.inspect(|server| self.holder.over(server));
            return end;
        }
    }

    /// Records until it is recorded; only data that can never be stored end it.
    async fn until_recorded(&self, ended: &Ended) -> Result<(), Arc<DbError>> {
        let mut backoff = Backoff::for_outage();
        loop {
            match self.recorder.record(ended.clone()).await {
                Ok(()) => {
                    self.holder.over("database");
                    return Ok(());
                }
                Err(error) if error.is_about_data() => return Err(error),
                Err(outage) => self.holder.hold(&*outage, "database", &mut backoff).await,
            }
        }
    }

    /// Ends a job that the fleet cannot work on: its image gets the defaults,
    /// with the reason, so that its scrape comes to an end; a person gets a copy.
    async fn park(
        &self,
        received: Received,
        job: &Arc<TagImage>,
        in_flight: &InFlight,
        reason: &'static str,
        detail: &str,
    ) {
        let set = self.pipeline.sets.now();
        let ended = Ended { job: job.clone(), outcome: Outcome::parked(reason), set };
        if let Err(error) = self.until_recorded(&ended).await {
            error!(%error, "not even the defaults of this job can be recorded");
        }
        self.metrics.job_ended(&ended.outcome, in_flight.took());
        self.elsewhere.dead_letter(received, reason, detail).await;
    }
}

/// What becomes of a delivery.
enum Ending {
    /// Its outcome is in the database.
    Recorded,
    /// It is to be tried again later, because of this word.
    Later(Again, &'static str),
    /// The fleet cannot work on it: the reason, and more for a person.
    Parked(&'static str, String),
}

/// A job on which the worker panics is parked: a delivery that is neither
/// acknowledged nor given back keeps its place in the prefetch window for ever.
///
/// Not an `async fn`: that would keep what it is given twice.
fn unpanicked(finish: impl Future<Output = Ending>) -> impl Future<Output = Ending> {
    let panicked = |_| Ending::Parked("panicked", "the worker panicked on this job".into());
    AssertUnwindSafe(finish).catch_unwind().map(move |end| end.unwrap_or_else(panicked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_on_which_the_worker_panics_is_parked() {
        let ending = unpanicked(async { panic!("on this picture") }).await;

        assert!(matches!(ending, Ending::Parked("panicked", _)));
    }
}
