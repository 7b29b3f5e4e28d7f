//! A database that has no connection left.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Arena, Fault, Site};
use crate::chaos::arena::DATABASE;
use crate::chaos::fleet::Member;

/// All connections of the fleet are ended, and every new one is refused: "too many connections".
pub struct Exhausted;

impl Fault for Exhausted {
    fn name(&self) -> String {
        "database connections exhausted".to_owned()
    }

    fn sites(&self) -> Vec<Site> {
        vec![Site::Database]
    }

    fn begin<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async {
            let limit = format!("ALTER ROLE {DATABASE} CONNECTION LIMIT 0");
            arena.execute(&limit).await?;
            let all = format!(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{DATABASE}'"
            );
            arena.count(&all).await.map(drop)
        }
        .boxed()
    }

    fn end<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async { arena.execute(&format!("ALTER ROLE {DATABASE} CONNECTION LIMIT -1")).await }.boxed()
    }

    fn least(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn unready<'a>(&self, arena: &'a Arena) -> Vec<&'a Member> {
        arena.fleet.members.iter().collect()
    }
}
