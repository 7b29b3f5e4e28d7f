//! The fleet, its faults one after the other, and what Prometheus made of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use tokio::time::Instant;

use super::gate::Gate;
use super::prometheus::{Prometheus, Target};
use super::rules::Rules;
use super::watch::{PATIENCE, Watch};
use super::{faults, now, say};
use crate::chaos::arena::Arena;
use crate::chaos::fleet::Member;
use crate::chaos::load;
use crate::origin::{Content, Origin};

/// Logs, models and Prometheus' own files of the last run.
pub const FOLDER: &str = "target/monitoring";
/// How long nothing may fire before the first fault: longer than any window and `for`, those of a day left out.
const WELL: Duration = Duration::from_secs(25);

/// A fleet under load, and a Prometheus that looks at it.
pub struct Proof {
    /// The fleet and its servers.
    pub arena: Arc<Arena>,
    /// A worker of the pool with GPUs, that has none. Not started.
    pub spare: Member,
    /// The folder of the model set that can be exchanged: that of the last worker.
    pub models: PathBuf,
    /// A host of pictures beside that of the load, with a mood of its own.
    pub other_host: Origin,
    /// The load.
    pub gate: Gate,
    /// What fires.
    pub watch: Watch,
    begun: f64,
}

impl Proof {
    /// Starts everything.
    pub async fn begin(program: &Path, rules: &Rules) -> anyhow::Result<Self> {
        let folder = Path::new(FOLDER);
        // Of an earlier run.
        let _ = std::fs::remove_dir_all(folder);
        std::fs::create_dir_all(folder)?;
        say("starting servers, fleet and Prometheus");
        let models = faults::copy_of_the_set(folder)?;
        let inventory = Arc::new(tokio::task::spawn_blocking(|| load::inventory(10, 2000)).await?);
        let own = |name: &str| faults::settings(name, &models);
        let content = Content::Inventory(inventory.clone());
        let arena = Arc::new(Arena::with(content, folder, &own).await?);
        let spare = arena.worker(4, folder, &own).await?;
        let other_host = Origin::start(Content::Nothing)?;
        faults::cluster(&arena, 0.5, now() + 1e7);
        let prometheus =
            Prometheus::start(program, &folder.join("prometheus"), rules, &targets(&arena, &spare)).await?;
        let (gate, watch) = (Gate::open(arena.clone(), inventory), Watch::new(prometheus));
        Ok(Self { arena, spare, models, other_host, gate, watch, begun: now() })
    }

    /// From when to when everything is asked.
    pub fn span(&self) -> (f64, f64) {
        (self.begun, now())
    }

    /// Does to the fleet what each alert is about. Returns which did not fire or did not end, and which fired
    /// without their fault.
    pub async fn alerts(&self, rules: &Rules) -> anyhow::Result<Vec<String>> {
        self.is_well().await?;
        let (well, until) = (now(), Instant::now() + WELL);
        self.everyday_trouble().await?;
        tokio::time::sleep_until(until).await;
        say(&format!("all was well for {:.0} s, but for everyday trouble", now() - well));
        self.sources_go_bad().await?;
        self.models_go_bad().await?;
        self.database_goes_away().await?;
        self.broker_goes_away().await?;
        self.workers_go_away().await?;
        self.schedulers_go_away().await?;
        self.watch.problems(rules, well).await
    }

    /// Waits until Prometheus knows every process, and no condition holds: before the first scrape nobody can
    /// be seen.
    async fn is_well(&self) -> anyhow::Result<()> {
        let seen = "count(tagfleet_scheduler_build_info or tagfleet_worker_build_info)";
        let (begun, members) = (Instant::now(), self.arena.fleet.members.len());
        let prometheus = self.watch.prometheus();
        while prometheus.value(seen).await? as usize != members || !prometheus.active().await?.is_empty() {
            if begun.elapsed() > PATIENCE {
                bail!(
                    "the fleet is not well after {} s: {:?}",
                    PATIENCE.as_secs(),
                    prometheus.active().await?
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Waits until an expression gives something else than 0.
    pub async fn until(&self, expr: &str) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.watch.prometheus().value(expr).await? == 0.0 {
            if begun.elapsed() > PATIENCE {
                bail!("nothing within {} s: {expr}", PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Stops everything.
    pub async fn end(self) -> anyhow::Result<()> {
        self.gate.close();
        self.arena.fleet.stop().await
    }
}

/// The fleet as a cluster would label it, and what the cluster itself would tell.
fn targets(arena: &Arena, spare: &Member) -> Vec<Target> {
    let target = |address: String, pod: &str, pool: Option<&str>| {
        let mut labels = BTreeMap::from([("namespace", "fleet".to_owned()), ("pod", pod.to_owned())]);
        labels.extend(pool.map(|pool| ("pool", pool.to_owned())));
        Target { address, labels }
    };
    let mut targets: Vec<_> = arena
        .fleet
        .members
        .iter()
        .map(|member| {
            let pool = member.name.starts_with("worker").then_some("cpu");
            target(member.admin.clone(), &member.name, pool)
        })
        .collect();
    targets.push(target(spare.admin.clone(), &spare.name, Some("gpu")));
    targets.push(target(arena.origin.address().to_string(), "cluster", None));
    targets
}
