//! A queue of jobs that is deleted, with the jobs in it.

use futures::FutureExt;
use futures::future::BoxFuture;
use rand::RngExt;
use reqwest::Method;
use tagfleet_shared::lane::Lane;

use super::{Arena, Fault, Rng, Site};

/// The queue of a lane is gone. The fleet declares it again, and the sweep publishes its jobs again.
pub struct Deleted {
    lane: Lane,
}

impl Deleted {
    /// Of any lane.
    pub fn draw(rng: &mut Rng) -> Self {
        Self { lane: Lane::ALL[rng.random_range(0..Lane::ALL.len())] }
    }
}

impl Fault for Deleted {
    fn name(&self) -> String {
        format!("queue of {} deleted", self.lane)
    }

    fn sites(&self) -> Vec<Site> {
        vec![Site::Broker]
    }

    fn begin<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async {
            let queue = arena.broker.topology().lane_queue(self.lane);
            arena.manage(Method::DELETE, &["queues", "/", &queue]).await.map(drop)
        }
        .boxed()
    }

    fn end<'a>(&'a mut self, _: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async { Ok(()) }.boxed()
    }
}
