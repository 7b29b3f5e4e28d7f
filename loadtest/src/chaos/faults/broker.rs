//! A broker that goes away and comes back.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Arena, Fault, Site};
use crate::chaos::fleet::Member;

/// RabbitMQ is not there.
pub struct Away {
    verb: &'static str,
}

impl Away {
    /// It was stopped as it should be.
    pub fn stopped() -> Self {
        Self { verb: "stop-rabbitmq" }
    }

    /// `kill -9`.
    pub fn killed() -> Self {
        Self { verb: "kill-rabbitmq" }
    }
}

impl Fault for Away {
    fn name(&self) -> String {
        self.verb.to_owned()
    }

    fn sites(&self) -> Vec<Site> {
        vec![Site::Broker]
    }

    fn begin<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async { arena.servers.run(&[self.verb]).await.map(drop) }.boxed()
    }

    fn end<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async { arena.servers.run(&["start-rabbitmq"]).await.map(drop) }.boxed()
    }

    fn unready<'a>(&self, arena: &'a Arena) -> Vec<&'a Member> {
        arena.fleet.members.iter().collect()
    }
}
