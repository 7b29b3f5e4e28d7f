//! A queue of jobs that is deleted, with the jobs in it.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rand::RngExt;
use reqwest::Method;
use tagfleet_shared::lane::Lane;

use super::kill::member_name;
use super::{Arena, Fault, Rng, Site};
use crate::chaos::arena::RETRY_DELAYS;
use crate::chaos::fleet::{SCHEDULERS, WORKERS};
use crate::origin::Response;

/// A queue is gone. The fleet declares it again, and the sweep publishes its jobs again.
pub struct Deleted {
    queue: Queue,
    /// Whether there were jobs in it: in the queue of a lane there are nearly always, and it has consumers.
    filled: bool,
}

#[derive(Clone, Copy)]
enum Queue {
    Lane(Lane),
    /// Of the first delay, while the host of the pictures is down: jobs are in it, and more are on their way to it.
    Retry,
    /// Once jobs are in it, because this member was killed.
    Suspects(usize),
}

/// How long jobs may take on their way to a queue that has none without a reason.
const ARRIVES_WITHIN: Duration = Duration::from_secs(10);

impl Deleted {
    /// Any lane's, that of a retry, or that of suspects.
    pub fn draw(rng: &mut Rng) -> Self {
        let lanes = Lane::ALL.len();
        let queue = match rng.random_range(0..lanes + 2) {
            lane if lane < lanes => Queue::Lane(Lane::ALL[lane]),
            retry if retry == lanes => Queue::Retry,
            _ => Queue::Suspects(SCHEDULERS + rng.random_range(0..WORKERS)),
        };
        Self { queue, filled: false }
    }

    fn is_of_retries(&self) -> bool {
        matches!(self.queue, Queue::Retry)
    }

    fn queue_name(&self, arena: &Arena) -> String {
        let topology = arena.broker.topology();
        match self.queue {
            Queue::Lane(lane) => topology.lane_queue(lane),
            Queue::Retry => topology.retry(RETRY_DELAYS[0]),
            Queue::Suspects(_) => topology.suspects(),
        }
    }

    /// Sees that the queue has jobs in it, or had time for it. Returns whether any came.
    async fn fill(&self, arena: &Arena) -> anyhow::Result<bool> {
        match self.queue {
            Queue::Lane(_) => return Ok(true),
            Queue::Retry => arena.origin.overrule(Some(Response::Status(503))),
            Queue::Suspects(member) => {
                arena.fleet.members[member].kill().await?;
                arena.fleet.members[member].start().await?;
            }
        }
        let queue = self.queue_name(arena);
        let arrived = async {
            while !matches!(arena.broker.depth(&queue).await, Ok((1.., _))) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        Ok(tokio::time::timeout(ARRIVES_WITHIN, arrived).await.is_ok())
    }
}

impl Fault for Deleted {
    fn name(&self) -> String {
        match self.queue {
            Queue::Lane(lane) => format!("queue of {lane} deleted"),
            Queue::Retry => "queue of retries deleted".to_owned(),
            Queue::Suspects(member) => {
                format!("queue of suspects deleted after {} died", member_name(member))
            }
        }
    }

    fn sites(&self) -> Vec<Site> {
        match self.queue {
            Queue::Lane(_) => vec![Site::Broker],
            Queue::Retry => vec![Site::Broker, Site::Origin],
            Queue::Suspects(member) => vec![Site::Broker, Site::Process(member)],
        }
    }

    fn begin<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async {
            self.filled = self.fill(arena).await?;
            arena.manage(Method::DELETE, &["queues", "/", &self.queue_name(arena)]).await.map(drop)
        }
        .boxed()
    }

    fn end<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async {
            if self.is_of_retries() {
                arena.origin.overrule(None);
            }
            Ok(())
        }
        .boxed()
    }

    /// A queue that nobody consumes is declared again by whoever wants to publish to it.
    fn least(&self) -> Duration {
        if self.is_of_retries() { Duration::from_secs(2) } else { Duration::ZERO }
    }

    fn spoils(&self) -> &'static [&'static str] {
        if self.is_of_retries() { &["server_error", "timeout"] } else { &[] }
    }

    fn nothing(&self) -> Option<&'static str> {
        (!self.filled).then_some("to which no job had come")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_was_deleted_empty_did_nothing() {
        let deleted = |filled| Deleted { queue: Queue::Retry, filled };

        assert_eq!(deleted(false).nothing(), Some("to which no job had come"));
        assert_eq!(deleted(true).nothing(), None);
    }
}
