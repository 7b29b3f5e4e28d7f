//! A broker that is short of memory: whoever publishes is blocked.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Arena, Fault, Site};

/// The memory alarm.
pub struct Alarm;

impl Fault for Alarm {
    fn name(&self) -> String {
        "memory alarm of the broker".to_owned()
    }

    fn sites(&self) -> Vec<Site> {
        vec![Site::Broker]
    }

    fn begin<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async { watermark(arena, "0.0001").await }.boxed()
    }

    fn end<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async { watermark(arena, "0.3").await }.boxed()
    }

    fn least(&self) -> Duration {
        Duration::from_secs(2)
    }
}

async fn watermark(arena: &Arena, share: &str) -> anyhow::Result<()> {
    arena.servers.run(&["rabbitmqctl", "set_vm_memory_high_watermark", share]).await.map(drop)
}
