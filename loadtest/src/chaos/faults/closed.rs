//! Channels and connections that somebody else closes.

use anyhow::Context;
use futures::FutureExt;
use futures::future::BoxFuture;
use rand::RngExt;
use reqwest::Method;

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

    /// As the broker does where a client has made a mistake. No tool of the broker's closes a channel.
    async fn close_channel(&self, arena: &Arena) -> anyhow::Result<()> {
        let which = self.which;
        let close = format!(
            "case rabbit_channel:list() of [] -> none; L ->
                 exit(lists:nth(1 + {which} rem length(L), L),
                      {{amqp_error, precondition_failed, \"closed from outside\", none}}) end."
        );
        arena.erlang(&close).await.map(drop)
    }

    async fn close_connection(&self, arena: &Arena) -> anyhow::Result<()> {
        let open = arena.manage(Method::GET, &["connections"]).await?;
        let names: Vec<&str> =
            open.as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).collect();
        let name = names.get(self.which % names.len().max(1)).context("no connection is open")?;
        // It may be gone by itself meanwhile.
        let _ = arena.manage(Method::DELETE, &["connections", name]).await;
        Ok(())
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
            match self.what {
                "channel" => self.close_channel(arena).await,
                _ => self.close_connection(arena).await,
            }
        }
        .boxed()
    }

    fn end<'a>(&'a mut self, _: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async { Ok(()) }.boxed()
    }
}
