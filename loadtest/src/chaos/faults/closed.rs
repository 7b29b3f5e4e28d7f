//! Channels and connections that somebody else closes.

use futures::FutureExt;
use futures::future::BoxFuture;
use rand::RngExt;

use super::{Arena, Fault, Rng, Site};

/// One channel or connection of the fleet is closed by the broker.
pub struct Closed {
    what: &'static str,
    /// Which one, of those that there are then.
    which: usize,
}

impl Closed {
    /// Any channel.
    pub fn channel(rng: &mut Rng) -> Self {
        Self { what: "channel", which: rng.random_range(0..1000) }
    }

    /// Any connection.
    pub fn connection(rng: &mut Rng) -> Self {
        Self { what: "connection", which: rng.random_range(0..1000) }
    }
}

impl Fault for Closed {
    fn name(&self) -> String {
        format!("{} closed from outside", self.what)
    }

    fn sites(&self) -> Vec<Site> {
        vec![Site::Broker]
    }

    fn begin<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async {
            let (all, close) = match self.what {
                "channel" => (
                    "rabbit_channel:list()",
                    "exit(P, {amqp_error, precondition_failed, \"closed from outside\", none})",
                ),
                _ => ("rabbit_networking:connections()", "rabbit_networking:close_connection(P, \"chaos\")"),
            };
            let which = self.which;
            let close = format!(
                "case {all} of [] -> ok; L -> P = lists:nth(1 + {which} rem length(L), L), {close}, ok end."
            );
            arena.erlang(&close).await.map(drop)
        }
        .boxed()
    }

    fn end<'a>(&'a mut self, _: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async { Ok(()) }.boxed()
    }
}
