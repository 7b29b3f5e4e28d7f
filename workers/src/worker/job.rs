//! One job, from its delivery to what becomes of it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use tagfleet_shared::broker::Received;
use tagfleet_shared::db::DbError;
use tagfleet_shared::failpoint::{self, Point};
use tagfleet_shared::jobs::Trust;
use tagfleet_shared::traces::{self, TARGET};
use tracing::{Instrument, debug, info_span};

use super::{AtWork, Trial, Worker};
use crate::outcome::{Outcome, Unfinished};
use crate::pipeline::{Wanted, source_of};
use crate::record::Ended;
use crate::retries::Retry;
use crate::sets::SetAtWork;

impl Worker {
    /// Brings one job to its outcome and into the database.
    pub(super) async fn finish(&self, received: &Received, at_work: &AtWork) -> Ending {
        let AtWork { job, lane, trial, .. } = at_work;
        let suspected = *trial == Trial::AmongOthers && received.returns >= self.config.returns.alone_after;
        let source = source_of(&job.url);
        let (lane, scrape, trust) = (*lane, Some(job.scrape), received.trust);
        let image = Wanted { id: job.image, source, lane, scrape, suspected, trust };
        let (end, set) = self.until_known(&image).await;
        let outcome = match end {
            Ok(outcome) => outcome,
            Err(Unfinished::Later(transient)) => {
                match self.retries.after(received.attempt, received.put_off, &transient) {
                    Some(retry) => return Ending::Later(retry, transient.reason()),
                    None => Outcome::given_up(&transient),
                }
            }
            Err(Unfinished::Poison(poison)) => return Ending::Parked(poison.reason(), poison.to_string()),
            Err(Unfinished::Suspected) => return Ending::Suspected,
        };
        let ended = at_work.ended(received, outcome, set);
        failpoint::here(Point::Ended);
        match self.until_recorded(&ended).instrument(info_span!(target: TARGET, "record")).await {
            Ok(()) => {
                debug!(outcome = %ended.outcome.kind(), "job ended");
                note(received, &ended.outcome);
                self.metrics.job_ended(&ended, &at_work.in_flight);
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
    async fn until_known(&self, image: &Wanted) -> (Result<Outcome, Unfinished>, Arc<SetAtWork>) {
        let mut hold = self.outages.hold();
        loop {
            let set = self.pipeline.sets.now();
            match self.pipeline.run(&set, image).await {
                Ok(end) => {
                    hold.done();
                    return (end, set);
                }
                Err(outage) => hold.wait(&outage, outage.server()).await,
            }
        }
    }

    /// Records until it is recorded; only data that can never be stored end it.
    pub(super) async fn until_recorded(&self, ended: &Ended) -> Result<(), Arc<DbError>> {
        let mut hold = self.outages.hold();
        loop {
            match self.recorder.record(ended.clone()).await {
                Ok(()) => {
                    hold.done_by("database");
                    return Ok(());
                }
                Err(error) if error.is_about_data() => return Err(error),
                Err(outage) => hold.wait(&*outage, outage.server()).await,
            }
        }
    }
}

impl AtWork {
    /// This job, which has come to its end.
    pub(super) fn ended(&self, received: &Received, outcome: Outcome, set: Arc<SetAtWork>) -> Ended {
        let is_replaced = received.trust == Trust::Nothing;
        Ended { job: self.job.clone(), outcome, set, began: self.began, is_replaced }
    }
}

/// Says of the job's span how its image ended.
pub(super) fn note(received: &Received, outcome: &Outcome) {
    traces::note(received, "outcome", outcome.kind().as_str());
    if let Some(failure) = outcome.failure() {
        traces::note(received, "reason", failure.reason.clone());
    }
}

/// What becomes of a delivery.
pub(super) enum Ending {
    /// Its outcome is in the database.
    Recorded,
    /// It is to be tried where it is alone.
    Suspected,
    /// It goes back to where it came from, as if it had not been begun.
    GivenBack,
    /// It is to be tried again later, because of this word.
    Later(Retry, &'static str),
    /// The fleet cannot work on it: the reason, and more for a person.
    Parked(&'static str, String),
    /// It was parked before, for this reason, and its dead letter may not have arrived.
    ParkedBefore(&'static str),
}

impl Ending {
    /// Says it of the job's span.
    pub(super) fn note(&self, received: &Received) {
        let (ending, reason) = match self {
            Self::Recorded => ("recorded", None),
            Self::Suspected => ("suspected", None),
            Self::GivenBack => ("given_back", None),
            Self::Later(_, reason) => ("put_off", Some(*reason)),
            Self::Parked(reason, _) | Self::ParkedBefore(reason) => ("parked", Some(*reason)),
        };
        traces::note(received, "ending", ending);
        reason.inspect(|reason| traces::note(received, "reason", *reason));
    }

    /// Whether its image is to be tried again somewhere.
    pub(super) fn has_no_outcome(&self) -> bool {
        matches!(self, Self::Suspected | Self::GivenBack | Self::Later(..))
    }
}

/// A job on which the worker panics is parked: a delivery that is neither
/// acknowledged nor given back keeps its place in the prefetch window for ever.
///
/// Not an `async fn`: that would keep what it is given twice.
pub(super) fn unpanicked(finish: impl Future<Output = Ending>) -> impl Future<Output = Ending> {
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
