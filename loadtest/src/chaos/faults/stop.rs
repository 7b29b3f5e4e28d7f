//! A stop as an orchestrator asks for it, under load.

use futures::FutureExt;
use futures::future::BoxFuture;
use rand::RngExt;

use super::kill::member_name;
use super::{Arena, Fault, Rng, Site};
use crate::chaos::fleet::{SCHEDULERS, WORKERS};

/// SIGTERM, a good end within the grace period, and a new process.
pub struct Stop {
    member: usize,
    /// What was wrong with its end.
    failed: Option<String>,
}

impl Stop {
    /// Of any process.
    pub fn draw(rng: &mut Rng) -> Self {
        Self { member: rng.random_range(0..SCHEDULERS + WORKERS), failed: None }
    }
}

impl Fault for Stop {
    fn name(&self) -> String {
        format!("graceful stop of {}", member_name(self.member))
    }

    fn sites(&self) -> Vec<Site> {
        vec![Site::Process(self.member)]
    }

    fn begin<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async {
            self.failed =
                arena.fleet.members[self.member].stop().await.err().map(|error| format!("{error:#}"));
            Ok(())
        }
        .boxed()
    }

    fn end<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async { arena.fleet.members[self.member].start().await }.boxed()
    }

    /// A stop that fails is the fleet's own failure.
    fn violation(&self) -> Option<String> {
        self.failed.as_ref().map(|failed| format!("{}: {failed}", self.name()))
    }
}
