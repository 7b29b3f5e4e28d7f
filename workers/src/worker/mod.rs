//! The loop of the worker: take, run, settle.
//!
//! # What a job that comes back means
//!
//! The broker counts how often it delivered a job that was not settled. That says nothing about the
//! job: its worker was killed, or lost its connection, or held it for longer than the broker's
//! `consumer_timeout` in an outage, and thousands of others were in its hands. So:
//!
//! - What cannot be done in time after a stop is *given back*: a copy goes to the end of its lane with
//!   all that is known of it, and only then is it acknowledged. A roll-out parks nothing. So is
//!   what takes longer than `work.give_back_after`, parked jobs and waiting suspects included, and so no
//!   outage of the database is long enough to be counted. Where the broker is away too, the job just
//!   comes back.
//! - A job that comes back all the same is *suspected*. What is known of its image is used; what is
//!   not known is found out in a queue of its own, from which each worker holds one job at a time, and
//!   tries it when no other job that came back is left in its hands. Whoever dies of it then takes jobs
//!   with it that never came back before: the others wait in the queue, where nothing counts. So a
//!   neighbour of a poison comes back once.
//! - Only a worker that dies while it tries the job is held against it ([`Trials`]). After
//!   `work.returns.give_up_after` attempts, the first one among others included, it is parked. For a good
//!   job to be parked, its workers have to die for other reasons again and again in just the moment that
//!   they work on it.
//!
//! What a picture does to a decoder is none of this: that happens in a process of its own (`decoders`),
//! and its job is parked at once.

#![warn(clippy::large_futures, reason = "every job is one of these, and it is moved when it is spawned")]

mod job;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tagfleet_shared::broker::{Closing, Consumer, Lanes, Received, Returned};
use tagfleet_shared::events::unquoted;
use tagfleet_shared::failpoint::{self, Point};
use tagfleet_shared::jobs::{Job, TagImage};
use tagfleet_shared::lane::Lane;
use tagfleet_shared::{shutdown, traces};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error, info, info_span};

use self::job::{Ending, unpanicked};
use crate::config::WorkConfig;
use crate::elsewhere::Elsewhere;
use crate::hold::OutageLog;
use crate::metrics::{InFlight, Metrics};
use crate::outcome::Outcome;
use crate::pipeline::Pipeline;
use crate::record::Recorder;
use crate::retries::Retries;
use crate::trials::{Begun, Trials};

/// How long jobs may take to be given back when the grace period is over.
const GIVING_BACK: Duration = Duration::from_secs(3);

/// What a dead letter says beside its reason, where another worker has recorded the defaults.
const PARKED_BEFORE: &str = "it was parked before, and its dead letter may not have arrived";

/// Before a suspect is tried, no other job that came back was in this worker's hands for so long. Longer
/// than the broker needs to deliver all of those, and to hear where they went.
const QUIET: Duration = Duration::from_secs(1);

/// What is needed to bring jobs to their end.
pub struct Worker {
    /// Brings an image to its outcome.
    pub pipeline: Arc<Pipeline>,
    /// The way of outcomes into the database.
    pub recorder: Recorder,
    /// When a job is tried again.
    pub retries: Retries,
    /// The way to the other queues.
    pub elsewhere: Elsewhere,
    /// What is noted of suspects.
    pub trials: Trials,
    /// How many jobs are at work, for how long, and when one that came back is suspected.
    pub config: WorkConfig,
    /// What to do while a server is away.
    pub outages: OutageLog,
    /// What is counted and timed.
    pub metrics: Metrics,
}

/// Where the jobs of a worker come from.
pub struct Sources {
    /// The lanes.
    pub lanes: Lanes,
    /// The queue of suspects, one at a time.
    pub suspects: Consumer,
}

/// How a job is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trial {
    /// With thousands of others.
    AmongOthers,
    /// With no other job that came back.
    Alone,
}

/// How a worker stops: first softly, then hard.
struct Stopping {
    /// Nothing more is begun.
    stop: CancellationToken,
    /// What is at work is given back.
    abandon: CancellationToken,
    /// What could not even be given back by now is left to the broker.
    cut: CancellationToken,
}

/// A job in the hands of this worker.
struct AtWork {
    job: Arc<TagImage>,
    lane: Lane,
    trial: Trial,
    /// Whether this trial is noted in the row of its image.
    noted: AtomicBool,
    /// When the work on it began.
    began: Instant,
    in_flight: InFlight,
}

impl Worker {
    /// Works on jobs until `stop`, then lets jobs in flight finish within
    /// `work.grace` and gives the others back.
    ///
    /// At most `work.prefetch` jobs are at work, whatever the number of lanes.
    pub async fn run(self: Arc<Self>, sources: Sources, stop: CancellationToken) {
        let Sources { mut lanes, suspects } = sources;
        let running = TaskTracker::new();
        let (abandon, cut) = (CancellationToken::new(), CancellationToken::new());
        let stopping = Stopping { stop: stop.clone(), abandon: abandon.clone(), cut: cut.clone() };
        running.spawn(self.clone().try_suspects(suspects, lanes.returned(), stopping));
        let permits = Arc::new(Semaphore::new(usize::from(self.config.prefetch)));
        loop {
            let next = async {
                let permit = permits.clone().acquire_owned().await.ok()?;
                Some((lanes.next().await, permit))
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                next = next => match next {
                    Some(((lane, received), permit)) => {
                        let trial = Trial::AmongOthers;
                        // In one place from the start: whoever wraps or spawns it moves a pointer.
                        let work =
                            Box::pin(self.clone().work(lane, received, trial, abandon.clone(), Some(permit)));
                        running.spawn(cut.clone().run_until_cancelled_owned(work));
                    }
                    None => break,
                },
            }
        }
        info!(jobs = running.len().saturating_sub(1), "taking no more jobs");
        let (mut closing, mut left) = lanes.close();
        // A broker that does not answer has nothing to be given back to.
        let not_begun = closing.iter_mut().map(|lane| tokio::time::timeout(GIVING_BACK, lane.left()));
        for lane in futures::future::join_all(not_begun).await {
            left.extend(lane.unwrap_or_default());
        }
        // What was not begun is for others to begin, now.
        for received in left {
            let worker = self.clone();
            let back = async move { worker.elsewhere.give_back(received).await };
            running.spawn(cut.clone().run_until_cancelled_owned(Box::pin(back)));
        }
        tokio::spawn({
            let abandon = abandon.clone();
            async move {
                abandon.cancelled().await;
                tokio::time::sleep(GIVING_BACK).await;
                cut.cancel();
            }
        });
        shutdown::drain(running, abandon, self.config.grace).await;
        // Finished work is acknowledged before its channel closes, so that it
        // is not delivered again.
        futures::future::join_all(closing.into_iter().map(Closing::finished)).await;
    }

    /// Tries one suspect after the other until it is stopped.
    async fn try_suspects(
        self: Arc<Self>,
        mut suspects: Consumer,
        others: Returned,
        Stopping { stop, abandon, cut }: Stopping,
    ) {
        while let Some(received) = stop.run_until_cancelled(suspects.next()).await {
            let lane = Lane::of_word(&received.routing_key);
            // Those that came back with it may still be on their way to the suspects.
            let alone = tokio::time::timeout(self.config.give_back_after, others.none_for(QUIET));
            match stop.run_until_cancelled(alone).await {
                Some(Ok(())) => {
                    let work =
                        Box::pin(self.clone().work(lane, received, Trial::Alone, abandon.clone(), None));
                    cut.run_until_cancelled(work).await;
                }
                Some(Err(_)) => {
                    info!("others that came back are at work for long, a suspect is given back untried");
                    cut.run_until_cancelled(self.elsewhere.give_back(received)).await;
                }
                None => {
                    cut.run_until_cancelled(self.elsewhere.give_back(received)).await;
                    break;
                }
            }
        }
        let mut closing = suspects.close();
        for received in closing.left().await {
            cut.run_until_cancelled(self.elsewhere.give_back(received)).await;
        }
        closing.finished().await;
    }

    /// Takes one delivery to its settlement, whatever happens.
    async fn work(
        self: Arc<Self>,
        lane: Lane,
        received: Received,
        trial: Trial,
        abandon: CancellationToken,
        _permit: Option<OwnedSemaphorePermit>,
    ) {
        failpoint::here(Point::JobReceived);
        let in_flight = self.metrics.job_received(lane, &received);
        let job = match serde_json::from_slice::<Job>(&received.body) {
            Ok(Job::TagImageV1(image)) => Arc::new(image),
            Err(error) => {
                let detail = unquoted(&error);
                return self.elsewhere.dead_letter(received, "malformed_job", &detail).await;
            }
        };
        let span = info_span!("job", scrape.id = %job.scrape_id, image.id = %job.image);
        traces::follow(&span, &received);
        let (noted, began) = (AtomicBool::new(false), Instant::now());
        let at_work = AtWork { job, lane, trial, noted, began, in_flight };
        self.settle(received, &at_work, &abandon).instrument(span).await;
    }

    /// Takes one job to its settlement: what is not at its end in time is given back.
    async fn settle(&self, received: Received, at_work: &AtWork, abandon: &CancellationToken) {
        let ending = match received.early {
            Some(early) => Ending::Later(self.retries.on_the_way(received.attempt, early), "not_yet"),
            None => tokio::select! {
                biased;
                ending = self.until_ended(&received, at_work) => ending,
                () = abandon.cancelled() => Ending::GivenBack,
                () = tokio::time::sleep(self.config.give_back_after) => Ending::GivenBack,
            },
        };
        ending.note(&received);
        if at_work.noted.load(Ordering::Relaxed) && ending.has_no_outcome() {
            self.trials.survived(&at_work.job).await;
        }
        match ending {
            Ending::Recorded => {
                failpoint::here(Point::Acknowledging);
                received.ack();
            }
            Ending::Suspected => self.elsewhere.suspect(received).await,
            Ending::GivenBack => self.elsewhere.give_back(received).await,
            Ending::Later(retry, reason) => self.elsewhere.retry(received, retry, reason).await,
            Ending::Parked(reason, detail) => self.elsewhere.dead_letter(received, reason, &detail).await,
            Ending::ParkedBefore(reason) => {
                self.elsewhere.dead_letter(received, reason, PARKED_BEFORE).await;
            }
        }
    }

    /// Brings a job to its end. The defaults of one that is parked are in the database then,
    /// written and counted by whoever parked it first.
    async fn until_ended(&self, received: &Received, at_work: &AtWork) -> Ending {
        let ending = unpanicked(self.attempt(received, at_work)).await;
        if let Ending::Parked(reason, _) = ending {
            self.record_defaults(received, at_work, reason).await;
        }
        ending
    }

    /// Brings a job to its outcome, unless it has killed too many workers.
    async fn attempt(&self, received: &Received, at_work: &AtWork) -> Ending {
        if at_work.trial == Trial::Alone {
            let before = match self.trials.begin(&at_work.job).await {
                Begun::Noted(before) => before,
                Begun::Ended => return Ending::Recorded,
                // Told once more, with the same id: once too often harms nobody, and never would.
                Begun::Parked(reason) => return Ending::ParkedBefore(reason),
            };
            at_work.noted.store(true, Ordering::Relaxed);
            // The first attempt was among others.
            let attempts = 1 + before;
            if attempts >= self.config.returns.give_up_after {
                let detail = format!("its worker died in each of {attempts} attempts");
                return Ending::Parked("killed_worker", detail);
            }
        }
        self.finish(received, at_work).await
    }

    /// The image of a job that the fleet cannot work on gets the defaults, with
    /// the reason, so that its scrape comes to an end.
    async fn record_defaults(&self, received: &Received, at_work: &AtWork, reason: &'static str) {
        let set = self.pipeline.sets.now();
        let ended = at_work.ended(received, Outcome::parked(reason), set);
        if let Err(error) = self.until_recorded(&ended).await {
            error!(%error, "not even the defaults of this job can be recorded");
        }
        self.metrics.job_ended(&ended, &at_work.in_flight);
        job::note(received, &ended.outcome);
    }
}
