//! `tagfleet-loadtest soak`: a fleet at full speed for hours grows in nothing.
//!
//! The same fleet, servers and scrapes as those of `chaos`, and no faults.

mod brief;
mod report;
mod rest;
mod sample;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tagfleet_shared::{shutdown, tls};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::report::{History, Report};
use self::sample::Sample;
use crate::chaos::arena::Arena;
use crate::chaos::ending::{self, Open};
use crate::chaos::load::{self, Load, Most};
use crate::origin::Content;
use crate::usage;

/// Samples, report and logs of the last soak.
const FOLDER: &str = "target/soak";
/// Images that are open at any time.
const OPEN: i64 = 3000;
/// Between two samples.
const EVERY: Duration = Duration::from_secs(5);

/// Run a fleet at full speed, and see whether it grows.
#[derive(Debug, Args)]
pub struct SoakArgs {
    /// How long, the warm-up included.
    #[arg(long, default_value_t = 120.0)]
    minutes: f64,
    /// How long memory may grow at first: caches fill, pools open.
    #[arg(long, default_value_t = 20.0)]
    warm_up: f64,
    /// Images of the inventory. One in twelve that a scrape lists is new as long as there are new ones.
    #[arg(long, default_value_t = 200_000)]
    inventory: usize,
    /// Two rounds of work in two minutes: what the fleet holds at rest after the second is held against what it
    /// held after the first. Memory and times are not judged.
    #[arg(long, conflicts_with_all = ["minutes", "warm_up", "inventory"])]
    brief: bool,
}

impl SoakArgs {
    /// Runs it, and writes `report.txt` and `samples.tsv`.
    ///
    /// # Errors
    ///
    /// If a process ends, the fleet cannot be started, or a mark is missed.
    pub async fn run(self) -> anyhow::Result<()> {
        tls::install();
        let stop = shutdown::on_signal()?;
        let folder = Path::new(FOLDER);
        let _ = std::fs::remove_dir_all(folder);
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let soak = async { if self.brief { brief::soak(folder).await } else { self.soak(folder).await } };
        let report = stop.run_until_cancelled(soak).await.context("stopped")??;
        std::fs::write(folder.join("report.txt"), report.to_string())?;
        eprintln!("{report}");
        anyhow::ensure!(report.missed().is_empty(), "a mark is missed; samples and logs are in {FOLDER}");
        Ok(())
    }

    async fn soak(&self, folder: &Path) -> anyhow::Result<Report> {
        let count = self.inventory;
        let inventory = Arc::new(tokio::task::spawn_blocking(move || load::inventory(1, count)).await?);
        let arena = Arc::new(Arena::open(Content::Inventory(inventory.clone()), folder).await?);
        let (open, done) = (Arc::<AtomicI64>::default(), CancellationToken::new());
        let most = Most { images: usize::MAX, open: OPEN };
        let load = tokio::spawn(Load::new(arena.clone(), inventory, 1, most).run(open.clone(), done.clone()));

        let begun = Instant::now();
        let mut histories: Vec<History> =
            arena.fleet.members.iter().map(|member| (member.name.clone(), Vec::new())).collect();
        let (mut servers, mut file) = (Vec::new(), File::create(folder.join("samples.tsv"))?);
        while begun.elapsed().as_secs_f64() < 60.0 * self.minutes {
            tokio::time::sleep(EVERY).await;
            let at = begun.elapsed().as_secs_f64();
            for (member, (name, samples)) in arena.fleet.members.iter().zip(&mut histories) {
                let metrics = member.metrics().await.with_context(|| name.clone())?;
                let mut sample = Sample::read(at, &metrics)?;
                if let Some(id) = member.id().await {
                    // What decodes is a process of its own, with libraries in C.
                    sample.memory = usage::resident_bytes(&id.to_string())? as f64 / 1e6;
                }
                let Sample { memory, descriptors, threads, .. } = sample;
                writeln!(file, "{at:.0}\t{name}\t{memory:.1}\t{descriptors}\t{threads}")?;
                samples.push(sample);
            }
            servers.push((at, ending::open(&arena).await?));
            open.store(still_open(&arena).await?, Ordering::Relaxed);
        }
        done.cancel();
        load.await??;
        let images =
            arena.count("SELECT coalesce(sum(listed), 0)::int8 FROM scrapes WHERE state = 'tagged'").await?;
        arena.fleet.stop().await?;
        Ok(self.report(&histories, &servers, images))
    }

    /// Of what was seen after the warm-up.
    fn report(&self, histories: &[History], servers: &[(f64, Open)], images: i64) -> Report {
        let (warm, pace) = (60.0 * self.warm_up, images as f64 / (60.0 * self.minutes));
        let mut report = Report::new(format!(
            "{images} images in {} minutes, {pace:.0} a second; {} minutes of warm-up",
            self.minutes, self.warm_up
        ));
        for (name, samples) in histories {
            let samples = samples.iter().filter(|sample| sample.at >= warm).cloned().collect();
            report.process(&(name.clone(), samples));
        }
        let looks: Vec<_> = servers.iter().filter(|(at, _)| *at >= warm).map(|(_, open)| *open).collect();
        report.servers(&looks);
        report
    }
}

/// Images that are listed and have no outcome.
async fn still_open(arena: &Arena) -> anyhow::Result<i64> {
    const SQL: &str = "
        SELECT coalesce(sum(s.listed - coalesce((SELECT sum(images) FROM scrape_progress WHERE scrape = s.key), 0)), 0)::int8
          FROM scrapes s WHERE state IN ('fanning_out', 'tagging')";
    arena.count(SQL).await
}
