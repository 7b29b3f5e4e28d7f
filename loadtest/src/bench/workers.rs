//! Several workers on the same cores: what they cost each other.

use futures::future::try_join_all;
use tagfleet_shared::events::ListedImage;
use tokio::task::block_in_place;

use super::cached::{self, remember, rescrape};
use super::fleet::Fleet;
use super::locks::Watch;
use super::pictures::{Pictures, unseen};
use super::process::{Process, Setting, setting};
use super::results::{Mark, Row};
use super::{Bench, progress};

/// Workers with a tiny prefetch.
const MANY: usize = 16;

/// The smallest that a worker takes: two batches of its models.
const TINY: &str = "16";

/// Two workers against one, and sixteen that hold few jobs each against two; on pictures that
/// nobody has seen before, and on known ones. Meanwhile the locks of the database are watched.
///
/// Batches are no larger than the prefetch. So that it can be told what small batches cost and what
/// many workers do, sixteen are held against two of the same small prefetch as well.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let row = |name: &str, unit: &str| Row::new(9, name, unit).mark(Mark::RatioAtLeast(0.95));
    let mut two_uncached = row("two workers against one, uncached", "images/s");
    let mut many_uncached = row("sixteen workers against two, uncached", "images/s");
    let mut two_cached = row("two workers against one, cached", "jobs/s");
    let mut many_cached = row("sixteen workers against two, cached", "jobs/s");
    let mut many_like_few =
        row("sixteen workers against two, both with the small prefetch, cached", "jobs/s");
    let mut locks = Row::peak(9, "sessions that wait for a lock", "%").mark(Mark::AtMost(1.0));
    let tiny = [setting("work.prefetch", TINY)];
    let known = unseen("workers", cached::IMAGES * bench.images);
    let mut pictures = block_in_place(|| Pictures::draw(4 * bench.runs * bench.images))?;
    let mut fleet = bench.fleet().await?;

    for run in 1..=bench.runs {
        let mut team = |count, own| Team { count, own, pictures: pictures.list(bench.images), known: &known };
        let (one, two, many, few) = (team(1, &[]), team(2, &[]), team(MANY, &tiny), team(2, &tiny));
        let one = one.work(&mut fleet, run == 1).await?;
        let watch = Watch::start(fleet.pool.clone());
        let two = two.work(&mut fleet, false).await?;
        let many = many.work(&mut fleet, false).await?;
        let waiting = watch.end().await?;
        let few = few.work(&mut fleet, false).await?;
        progress(&format!(
            "workers {run}/{}: uncached {:.0} (one), {:.0} (two), {:.0} ({MANY}); cached {:.0}, {:.0}, {:.0}, \
             {:.0} (two, prefetch {TINY}); {waiting:.2} % of the sessions wait for a lock",
            bench.runs,
            one.uncached,
            two.uncached,
            many.uncached,
            one.cached,
            two.cached,
            many.cached,
            few.cached,
        ));
        two_uncached.measured(two.uncached, one.uncached);
        many_uncached.measured(many.uncached, two.uncached);
        two_cached.measured(two.cached, one.cached);
        many_cached.measured(many.cached, two.cached);
        many_like_few.measured(many.cached, few.cached);
        locks.reached(waiting);
    }
    fleet.end().await?;
    Ok(vec![two_uncached, many_uncached, two_cached, many_cached, many_like_few, locks])
}

/// Workers that share the work.
struct Team<'a> {
    count: usize,
    own: &'a [Setting],
    /// Nobody has seen them before.
    pictures: Vec<ListedImage>,
    /// The database has their tags.
    known: &'a [ListedImage],
}

/// Per second.
struct Pace {
    uncached: f64,
    cached: f64,
}

impl Team<'_> {
    async fn work(self, fleet: &mut Fleet, remember_first: bool) -> anyhow::Result<Pace> {
        let workers = try_join_all((0..self.count).map(|_| fleet.start_worker_with(self.own))).await?;
        if remember_first {
            remember(fleet, self.known).await?;
        }
        let scrape = fleet.publish(self.pictures).await?;
        fleet.until_tagged(&scrape, "inferred").await?;
        let uncached = fleet.pace(&scrape).await?;
        let all: Vec<&Process> = workers.iter().collect();
        let cached = rescrape(fleet, &all, self.known).await?;
        try_join_all(workers.into_iter().map(Process::stop)).await?;
        Ok(Pace { uncached, cached })
    }
}
