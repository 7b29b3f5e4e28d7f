//! Networks that cut, swallow, trickle and forget.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rand::RngExt;

use super::kill::member_name;
use super::{Arena, Fault, Rng, Site};
use crate::chaos::fleet::{Member, SCHEDULERS, WORKERS};
use crate::chaos::proxy::{Mode, Proxy};

/// A fault of the network between two.
pub struct Network {
    mode: Mode,
    /// The far end.
    to: Site,
    /// The near end; none: everybody.
    member: Option<usize>,
}

impl Network {
    /// Between one member, or all, and the broker.
    pub fn to_broker(mode: Mode, rng: &mut Rng) -> Self {
        Self { mode, to: Site::Broker, member: one_or_all(rng) }
    }

    /// Between one member, or all, and the database.
    pub fn to_database(mode: Mode, rng: &mut Rng) -> Self {
        Self { mode, to: Site::Database, member: one_or_all(rng) }
    }

    /// Between the fleet and the host of the pictures.
    pub fn to_origin(mode: Mode) -> Self {
        Self { mode, to: Site::Origin, member: None }
    }

    fn members<'a>(&self, arena: &'a Arena) -> Vec<&'a Member> {
        match self.member {
            Some(member) => vec![&arena.fleet.members[member]],
            None => arena.fleet.members.iter().collect(),
        }
    }

    fn proxies<'a>(&self, arena: &'a Arena) -> Vec<&'a Proxy> {
        let members = self.members(arena).into_iter();
        match self.to {
            Site::Broker => members.map(|member| &member.to_broker).collect(),
            Site::Database => members.map(|member| &member.to_database).collect(),
            Site::Origin | Site::Process(_) => vec![&arena.to_origin],
        }
    }

    fn set(&self, arena: &Arena, mode: Mode) {
        self.proxies(arena).into_iter().for_each(|proxy| proxy.set(mode));
    }
}

impl Fault for Network {
    fn name(&self) -> String {
        let what = match self.mode {
            Mode::Pass => "well",
            Mode::Cut => "cut",
            Mode::BlackHole => "black-holed",
            Mode::Trickle => "slowed to 1 byte/s",
            Mode::HalfOpen => "half-open",
        };
        let whose = self.member.map_or("everybody".to_owned(), member_name);
        format!("TCP of {whose} to {:?} {what}", self.to)
    }

    fn sites(&self) -> Vec<Site> {
        vec![self.to]
    }

    fn begin<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async {
            self.set(arena, self.mode);
            Ok(())
        }
        .boxed()
    }

    fn end<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async {
            self.set(arena, Mode::Pass);
            Ok(())
        }
        .boxed()
    }

    /// Long enough for heartbeats to be missed.
    fn least(&self) -> Duration {
        if self.mode == Mode::Cut { Duration::from_secs(1) } else { Duration::from_secs(5) }
    }

    /// Whoever cannot reach a server.
    ///
    /// New connections to a half-open database pass, and a pool may have room for one: a member is ready then, and
    /// may say so. Its two connections to the broker are there already, and silent until they miss a heartbeat.
    fn unready<'a>(&self, arena: &'a Arena) -> Vec<&'a Member> {
        match (self.to, self.mode) {
            (Site::Origin, _) | (Site::Database, Mode::HalfOpen) => Vec::new(),
            _ => self.members(arena),
        }
    }

    fn spoils(&self) -> &'static [&'static str] {
        if self.to == Site::Origin { &["timeout", "connection", "truncated"] } else { &[] }
    }
}

/// All of them one time in three.
fn one_or_all(rng: &mut Rng) -> Option<usize> {
    let one = rng.random_range(0..SCHEDULERS + WORKERS);
    (rng.random_range(0..3) > 0).then_some(one)
}
