//! `kill -9`, anywhere and at named points.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rand::RngExt;
use tagfleet_shared::failpoint::Point;

use super::{Arena, Fault, Rng, Site};
use crate::chaos::fleet::{SCHEDULERS, WORKERS};
use crate::chaos::report::NOT_MET;
use crate::origin::Response;

/// A point that no job comes to within this time is not waited for any longer.
const COMES_WITHIN: Duration = Duration::from_secs(8);
/// The same where a point that is missed fails the run: a busy machine may take long.
const COMES_SURELY: Duration = Duration::from_secs(40);

/// The death of a process when it comes to a point.
pub struct At {
    point: Point,
    member: usize,
    waits: Duration,
    came: bool,
}

impl At {
    /// Of any process that knows the point.
    pub fn draw(point: Point, brief: bool, rng: &mut Rng) -> Self {
        let schedulers = point.name().starts_with("scheduler.");
        let members = if schedulers { 0..SCHEDULERS } else { SCHEDULERS..SCHEDULERS + WORKERS };
        let waits = if brief { COMES_SURELY } else { COMES_WITHIN };
        Self { point, member: rng.random_range(members), waits, came: false }
    }

    /// No job is tried again where nothing fails.
    fn needs_failures(&self) -> bool {
        self.point == Point::MovedAway
    }
}

impl Fault for At {
    fn name(&self) -> String {
        let missed = if self.came { "" } else { NOT_MET };
        format!("kill -9 at {} of {}{missed}", self.point, member_name(self.member))
    }

    fn sites(&self) -> Vec<Site> {
        let process = Site::Process(self.member);
        if self.needs_failures() { vec![process, Site::Origin] } else { vec![process] }
    }

    fn begin<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async {
            let member = &arena.fleet.members[self.member];
            if self.needs_failures() {
                arena.origin.overrule(Some(Response::Status(503)));
            }
            member.arm(self.point).await?;
            self.came = member.ends_within(self.waits).await;
            member.kill().await
        }
        .boxed()
    }

    fn end<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async {
            if self.needs_failures() {
                arena.origin.overrule(None);
            }
            arena.fleet.members[self.member].start().await
        }
        .boxed()
    }

    fn spoils(&self) -> &'static [&'static str] {
        if self.needs_failures() { &["server_error", "timeout"] } else { &[] }
    }
}

/// The death of a process, wherever it is.
pub struct Anywhere {
    member: usize,
}

impl Anywhere {
    /// Of any process.
    pub fn draw(rng: &mut Rng) -> Self {
        Self { member: rng.random_range(0..SCHEDULERS + WORKERS) }
    }
}

impl Fault for Anywhere {
    fn name(&self) -> String {
        format!("kill -9 of {}", member_name(self.member))
    }

    fn sites(&self) -> Vec<Site> {
        vec![Site::Process(self.member)]
    }

    fn begin<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async { arena.fleet.members[self.member].kill().await }.boxed()
    }

    fn end<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async { arena.fleet.members[self.member].start().await }.boxed()
    }
}

/// What the fleet calls its member at this place.
pub fn member_name(member: usize) -> String {
    match member.checked_sub(SCHEDULERS) {
        None => format!("scheduler-{}", member + 1),
        Some(worker) => format!("worker-{}", worker + 1),
    }
}
