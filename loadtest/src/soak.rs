//! `tagfleet-loadtest soak`: a fleet at full speed for hours grows in nothing.
//!
//! The same fleet, servers and scrapes as those of `chaos`, and no faults.

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

use self::sample::{Sample, slope_per_hour};
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
/// Memory may grow by so many MB an hour.
const GROWTH: f64 = 1.0;

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
}

/// What the report says of a mark that was not kept.
const MISSED: &str = "missed";

/// A process, and every look at it.
type History = (String, Vec<Sample>);

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
        let report = stop.run_until_cancelled(self.soak(folder)).await.context("stopped")??;
        std::fs::write(folder.join("report.txt"), &report)?;
        eprintln!("{report}");
        anyhow::ensure!(!report.contains(MISSED), "a mark is missed; samples and logs are in {FOLDER}");
        Ok(())
    }

    async fn soak(&self, folder: &Path) -> anyhow::Result<String> {
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
            servers.push(ending::open(&arena).await?);
            open.store(still_open(&arena).await?, Ordering::Relaxed);
        }
        done.cancel();
        load.await??;
        let images =
            arena.count("SELECT coalesce(sum(listed), 0)::int8 FROM scrapes WHERE state = 'tagged'").await?;
        arena.fleet.stop().await?;
        Ok(self.report(&histories, &servers, images))
    }

    fn report(&self, histories: &[History], servers: &[Open], images: i64) -> String {
        let (warm, pace) = (60.0 * self.warm_up, images as f64 / (60.0 * self.minutes));
        let mut lines = vec![format!(
            "{images} images in {} minutes, {pace:.0} a second; {} minutes of warm-up",
            self.minutes, self.warm_up
        )];
        for (name, samples) in histories {
            let samples: Vec<&Sample> = samples.iter().filter(|sample| sample.at >= warm).collect();
            let points: Vec<_> = samples.iter().map(|sample| (sample.at, sample.memory)).collect();
            let slope = slope_per_hour(&points);
            let mark = if slope < GROWTH { "kept" } else { MISSED };
            let ends = |of: fn(&Sample) -> f64| match (samples.first(), samples.last()) {
                (Some(first), Some(last)) => format!("{} to {}", of(first), of(last)),
                _ => "none".to_owned(),
            };
            let half = samples.get(samples.len() / 2);
            let p99 = half.zip(samples.first().zip(samples.last())).map(|(half, (first, last))| {
                (half.p99_since(first).unwrap_or_default(), last.p99_since(half).unwrap_or_default())
            });
            lines.push(format!(
                "{name}: memory {} MB, {slope:+.1} MB/h (mark {GROWTH}, {mark}); descriptors {}; threads {}{}",
                ends(|sample| sample.memory.round()),
                ends(|sample| sample.descriptors),
                ends(|sample| sample.threads),
                match p99 {
                    Some((first, second)) if second > 0.0 => {
                        format!("; 99 % of jobs within {first} s in the first half, {second} s in the second")
                    }
                    _ => String::new(),
                }
            ));
        }
        let most = |of: fn(&Open) -> usize| {
            let (first, second) = servers.split_at(servers.len() / 2);
            let most = |half: &[Open]| half.iter().map(of).max().unwrap_or_default();
            format!("{} and {}", most(first), most(second))
        };
        lines.push(format!(
            "most in the first and in the second half: connections to the broker {}; channels {}; to the database {}",
            most(|open| open.connections),
            most(|open| open.channels),
            most(|open| open.sessions)
        ));
        lines.join("\n") + "\n"
    }
}

/// Images that are listed and have no outcome.
async fn still_open(arena: &Arena) -> anyhow::Result<i64> {
    const SQL: &str = "
        SELECT coalesce(sum(s.listed - coalesce((SELECT sum(images) FROM scrape_progress WHERE scrape = s.key), 0)), 0)::int8
          FROM scrapes s WHERE state IN ('fanning_out', 'tagging')";
    arena.count(SQL).await
}
