//! `tagfleet-loadtest fixes`: a person's fix is final.
//!
//! People fix and withdraw, for one advertiser and for everybody, while advertisers list the same images again
//! and again, two workers with different models write them back through their own cache and recorder, and
//! the cache loses what it knew. Whoever fixes looks at all rows of the image at once, and in the end every
//! row is looked at again: what is in it must be what the precedence says, at any moment between the
//! beginning and the end of the look (see [`ledger`]).

pub mod arena;
pub mod counts;
pub mod ledger;
pub mod workers;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use deadpool_postgres::Pool;
use tagfleet_shared::config::foreign_variable;
use tagfleet_shared::db::{self, DatabaseConfig};
use url::Url;

use self::arena::Arena;
use self::counts::Counts;
use self::workers::Worker;

/// What is fought over.
pub const ATTRIBUTES: [&str; 2] = ["color", "image_type"];
/// Who shares the images.
pub const ADVERTISERS: usize = 3;

/// Race people against the machine, and see that people win.
#[derive(Debug, Args)]
pub struct FixesArgs {
    /// Fixes, withdrawals, scrapes, outcomes written back and evictions, all together, at least.
    #[arg(long, default_value_t = 1_000_000)]
    operations: u64,
    /// What happens; the same seed, the same deeds, but never quite at the same time.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Spoil one row in each arena, as a worker would that does not know of fixes: it must be found.
    #[arg(long, hide = true)]
    plant: bool,
}

/// A race.
#[derive(Clone, Copy, Debug)]
pub struct Race {
    /// Operations at least.
    pub operations: u64,
    /// What happens.
    pub seed: u64,
    /// Whether a row is spoilt in each arena.
    pub plant: bool,
}

/// What all arenas share.
pub struct Shared {
    race: Race,
    pool: Pool,
    workers: [Worker; 2],
    counts: Counts,
}

/// Arenas at the same time.
const ARENAS: usize = 3;
/// Connections of the race.
const CONNECTIONS: usize = 24;

impl FixesArgs {
    /// Races in a database of its own on the server of `TAGFLEET_DATABASE_URL`.
    ///
    /// # Errors
    ///
    /// If there is a single violation, or the server is away.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self { operations, seed, plant } = self;
        let server = foreign_variable("TAGFLEET_DATABASE_URL")
            .context("TAGFLEET_DATABASE_URL is not set: eval \"$(scripts/services.sh env)\"")?;
        let name = format!("tagfleet_fixes_{}", std::process::id());
        let mut url: Url = server.parse().context("TAGFLEET_DATABASE_URL")?;
        url.set_path(&name);
        let own = pool(&server, 1)?;
        own.get().await?.batch_execute(&format!("CREATE DATABASE {name}")).await?;
        let begun = Instant::now();
        let raced = async {
            db::migrate(&pool(url.as_str(), 1)?).await?;
            race(url.as_str(), Race { operations, seed, plant }).await
        };
        let raced = raced.await;
        own.get().await?.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
        let counts = raced?;
        counts.print(seed, begun.elapsed())?;
        anyhow::ensure!(counts.violations() == 0, "{} violations, with the seed {seed}", counts.violations());
        Ok(())
    }
}

/// Races in a database that is migrated and has no scrapes.
///
/// # Errors
///
/// If the database is away. Violations are no errors: they are counted.
pub async fn race(url: &str, race: Race) -> anyhow::Result<Counts> {
    // The race is about who sees what, which no disk has a say in.
    let mut url: Url = url.parse().context("the database's URL")?;
    url.query_pairs_mut().append_pair("options", "-c synchronous_commit=off");
    let url = url.as_str().replace('+', "%20");
    let pool = pool(&url, CONNECTIONS)?;
    let workers = [Worker::start(&pool, "first").await?, Worker::start(&pool, "second").await?];
    let day = pool
        .get()
        .await?
        .query_one("SELECT d, ensure_partition(d) FROM (SELECT now()::date d) t", &[])
        .await?;
    let day = day.get(0);
    let shared = Shared { race, pool, workers, counts: Counts::default() };
    let next = AtomicUsize::new(0);
    let fights = (0..ARENAS).map(async |_| {
        while shared.counts.operations() < race.operations {
            Arena::new(&shared, next.fetch_add(1, Ordering::Relaxed), day).fight().await?;
        }
        anyhow::Ok(())
    });
    futures::future::try_join_all(fights).await?;
    Ok(shared.counts)
}

fn pool(url: &str, connections: usize) -> anyhow::Result<Pool> {
    db::pool(&DatabaseConfig {
        url: url.into(),
        pool_size: connections,
        timeout: Duration::from_secs(60),
        statement_timeout: Duration::from_secs(60),
    })
}
