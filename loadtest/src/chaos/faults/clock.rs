//! A wall clock that jumps by an hour and back, as a wrong time server has it.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rand::RngExt;
use tagfleet_shared::wall_clock;

use super::kill::member_name;
use super::{Arena, Fault, Rng, Site};
use crate::chaos::fleet::{SCHEDULERS, WORKERS};

/// The clock of one process is an hour wrong.
pub struct Jump {
    member: usize,
    /// Where the admin port is asked for it.
    to: &'static str,
}

impl Jump {
    /// Of any process.
    pub fn draw(to: &'static str, rng: &mut Rng) -> Self {
        Self { member: rng.random_range(0..SCHEDULERS + WORKERS), to }
    }
}

impl Fault for Jump {
    fn name(&self) -> String {
        let way = if self.to == wall_clock::AHEAD { "ahead" } else { "behind" };
        format!("clock of {} an hour {way}", member_name(self.member))
    }

    fn sites(&self) -> Vec<Site> {
        vec![Site::Process(self.member)]
    }

    fn begin<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async { arena.fleet.members[self.member].post(self.to).await }.boxed()
    }

    fn end<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async { arena.fleet.members[self.member].post(wall_clock::RIGHT).await }.boxed()
    }

    /// Long enough for jobs and events to be read by it, and for others to read what it wrote.
    fn least(&self) -> Duration {
        Duration::from_secs(2)
    }
}
