//! A process that is not run for longer than the broker waits: its timers jump, and its connections are gone.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rand::RngExt;

use super::kill::member_name;
use super::{Arena, Fault, Rng, Site};
use crate::chaos::fleet::{SCHEDULERS, WORKERS};

/// SIGSTOP and SIGCONT.
pub struct Pause {
    member: usize,
}

impl Pause {
    /// Of any process.
    pub fn draw(rng: &mut Rng) -> Self {
        Self { member: rng.random_range(0..SCHEDULERS + WORKERS) }
    }
}

impl Fault for Pause {
    fn name(&self) -> String {
        format!("SIGSTOP of {}", member_name(self.member))
    }

    fn sites(&self) -> Vec<Site> {
        vec![Site::Process(self.member)]
    }

    fn begin<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async { arena.fleet.members[self.member].pause().await }.boxed()
    }

    fn end<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async { arena.fleet.members[self.member].resume().await }.boxed()
    }

    /// It may have some in its hands.
    fn holds(&self) -> bool {
        true
    }

    /// Three heartbeats: the broker takes a connection for dead after two.
    fn least(&self) -> Duration {
        Duration::from_secs(6)
    }
}
