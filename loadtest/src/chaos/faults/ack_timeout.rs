//! A broker that loses its patience with deliveries that stay unacknowledged.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::connections::Exhausted;
use super::{Arena, Fault, Site};
use crate::chaos::fleet::Member;

/// The database is away for longer than the broker's `consumer_timeout`, so that held jobs cost their channel.
/// The usual time-out is half an hour; here it is eight seconds.
pub struct AckTimeout;

impl Fault for AckTimeout {
    fn name(&self) -> String {
        "consumer ack time-out".to_owned()
    }

    fn sites(&self) -> Vec<Site> {
        vec![Site::Broker, Site::Database]
    }

    fn begin<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async {
            patience(arena, 8000, 1000).await?;
            Exhausted.begin(arena).await
        }
        .boxed()
    }

    fn end<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async {
            Exhausted.end(arena).await?;
            patience(arena, 1_800_000, 60_000).await
        }
        .boxed()
    }

    fn least(&self) -> Duration {
        Duration::from_secs(12)
    }

    fn unready<'a>(&self, arena: &'a Arena) -> Vec<&'a Member> {
        Exhausted.unready(arena)
    }
}

/// Channels keep the time-out that held when they were opened, so all are opened again.
async fn patience(arena: &Arena, timeout_ms: u32, tick_ms: u32) -> anyhow::Result<()> {
    let set = format!(
        "application:set_env(rabbit, consumer_timeout, {timeout_ms}),
         application:set_env(rabbit, channel_tick_interval, {tick_ms}),
         [rabbit_networking:close_connection(P, \"chaos\") || P <- rabbit_networking:connections()], ok."
    );
    arena.erlang(&set).await.map(drop)
}
