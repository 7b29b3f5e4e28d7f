//! A database that takes no writes, as after a fail-over to a replica.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Arena, Fault, Site};
use crate::chaos::fleet::Member;

/// Every new transaction is read-only.
pub struct ReadOnly;

impl Fault for ReadOnly {
    fn name(&self) -> String {
        "database read-only".to_owned()
    }

    fn sites(&self) -> Vec<Site> {
        vec![Site::Database]
    }

    fn begin<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async { set(arena, "on").await }.boxed()
    }

    fn end<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async { set(arena, "off").await }.boxed()
    }

    fn unready<'a>(&self, arena: &'a Arena) -> Vec<&'a Member> {
        arena.fleet.members.iter().collect()
    }
}

/// `ALTER SYSTEM` may not be part of a transaction, so a call for each.
async fn set(arena: &Arena, value: &str) -> anyhow::Result<()> {
    arena.execute(&format!("ALTER SYSTEM SET default_transaction_read_only = {value}")).await?;
    arena.execute("SELECT pg_reload_conf()").await
}
