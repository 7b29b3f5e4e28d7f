//! Statements that take longer than they may.

use std::time::Duration;

use deadpool_postgres::Object;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Arena, Fault, Site};

/// Somebody holds a lock on the table of images for longer than `database.statement_timeout`.
#[derive(Default)]
pub struct SlowStatement {
    /// The connection that has the lock.
    holding: Option<Object>,
}

impl Fault for SlowStatement {
    fn name(&self) -> String {
        "statement time-outs".to_owned()
    }

    fn sites(&self) -> Vec<Site> {
        vec![Site::Database]
    }

    fn begin<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async {
            let client = arena.database.get().await?;
            client.batch_execute("BEGIN; LOCK TABLE scrape_images IN ACCESS EXCLUSIVE MODE").await?;
            self.holding = Some(client);
            Ok(())
        }
        .boxed()
    }

    fn end<'a>(&'a mut self, _: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async {
            if let Some(client) = self.holding.take() {
                client.batch_execute("ROLLBACK").await?;
            }
            Ok(())
        }
        .boxed()
    }

    /// More than `database.statement_timeout` of the fleet.
    fn least(&self) -> Duration {
        Duration::from_millis(4500)
    }
}
