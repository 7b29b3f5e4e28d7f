//! The ways of a job out of this worker: to be tried again later, or to a person.

use tagfleet_shared::broker::{Outgoing, Publisher, Received};
use tagfleet_shared::failpoint::{self, Point};
use tracing::error;

use crate::hold::OutageLog;
use crate::metrics::Metrics;
use crate::retries::Retry;

/// The queues that a job may go to.
pub struct Elsewhere {
    /// The way there.
    pub publisher: Publisher,
    /// What to do while the broker is away.
    pub outages: OutageLog,
    /// Counts what goes where.
    pub metrics: Metrics,
}

impl Elsewhere {
    /// Sends the job to a retry queue, because of `reason`.
    pub async fn retry(&self, received: Received, retry: Retry, reason: &str) {
        if retry.attempt == received.attempt {
            self.metrics.job_put_off(reason);
        } else {
            self.metrics.job_retried(reason);
        }
        let copy = Outgoing::retry(self.publisher.topology(), &received, retry.delay, retry.attempt);
        let copy = match retry.not_before {
            Some(wait) => copy.not_before(wait),
            None => copy,
        };
        self.move_away(received, copy).await;
    }

    /// Sends the job to where it is tried alone.
    pub async fn suspect(&self, received: Received) {
        self.metrics.job_suspected();
        let copy = Outgoing::suspect(self.publisher.topology(), &received);
        self.move_away(received, copy).await;
    }

    /// Sends the job back to where it came from, as if nobody had taken it. The
    /// broker's own ways to do that all count as a return.
    pub async fn give_back(&self, received: Received) {
        self.metrics.job_given_back();
        let copy = Outgoing::given_back(self.publisher.topology(), &received);
        self.move_away(received, copy).await;
    }

    /// Sends a copy of the job to where a person looks, with the reason.
    pub async fn dead_letter(&self, received: Received, reason: &str, detail: &str) {
        error!(reason, detail, queue = %received.queue, "dead-lettered a job");
        self.metrics.job_dead_lettered(reason);
        let copy = Outgoing::dead_letter(self.publisher.topology(), &received, reason, detail);
        self.move_away(received, copy).await;
    }

    /// Acknowledges a job once its copy is confirmed elsewhere: it may then be
    /// there twice for a moment, but never not at all.
    async fn move_away(&self, received: Received, copy: Outgoing) {
        let mut hold = self.outages.hold();
        let copy = [copy];
        while let Err(error) = Box::pin(self.publisher.publish(&copy)).await {
            hold.wait(&error, "broker").await;
        }
        hold.done_by("broker");
        failpoint::here(Point::MovedAway);
        received.ack();
    }
}
