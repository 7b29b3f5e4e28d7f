//! `tagfleet-loadtest chaos`: a fleet of real processes survives what a seed says.
//!
//! Scrapes are published all the time; faults begin and end, alone and mixed. What was published and what was
//! written goes into a ledger, and in the end a checker reads it: every image has one outcome, and the right one.

pub(crate) mod arena;
mod checker;
pub(crate) mod ending;
mod faults;
pub(crate) mod fleet;
mod ledger;
pub(crate) mod load;
mod plan;
pub(crate) mod proxy;
mod report;
pub(crate) mod watch;
mod witness;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use futures::future::join_all;
use tagfleet_shared::{shutdown, tls};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::arena::Arena;
use self::ending::Open;
use self::faults::Fault;
use self::ledger::What;
use self::load::{Load, Most};
use self::plan::{Plan, Step};
use self::report::{Measured, Report};
use self::witness::Witness;
use crate::origin::Content;

/// Ledger, report and logs of the last run.
const FOLDER: &str = "target/chaos";
/// Images of which nothing is known yet when the load begins.
const INVENTORY: usize = 20_000;
/// Images that are open while faults begin: half a minute's work.
const OPEN: i64 = 3000;
/// The same where a run is to end soon.
const OPEN_BRIEFLY: i64 = 300;
/// The longest that the fleet may take after the last fault.
const DRAINS_WITHIN: Duration = Duration::from_secs(300);

/// Do to a fleet what a bad night does, and count what becomes of every image.
#[derive(Debug, Args)]
pub struct ChaosArgs {
    /// How long faults begin, in minutes.
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// The schedule: the same seed does the same things in the same order. By the clock where it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Ends after so many steps, each a fault or some together.
    #[arg(long, default_value_t = u32::MAX, hide_default_value = true)]
    steps: u32,
    /// Publishes no more images than this.
    #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
    images: usize,
    /// Leaves out faults that take long, such as a stop of the broker, and keeps few images open.
    #[arg(long)]
    brief: bool,
    /// Judges a ledger of an earlier run, and does nothing else.
    #[arg(long, value_name = "FILE")]
    judge: Option<PathBuf>,
}

impl ChaosArgs {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// If anything is lost, unexpected, doubled or left over: with the command that does it again.
    pub async fn run(self) -> anyhow::Result<()> {
        if let Some(path) = &self.judge {
            let verdict = checker::judge(&ledger::read(path)?);
            verdict.told.iter().for_each(|line| say(line));
            say(&verdict.to_string());
            return if verdict.is_clean() { Ok(()) } else { bail!("the ledger is not clean") };
        }
        tls::install();
        let stop = shutdown::on_signal()?;
        let seed = self.seed.unwrap_or_else(|| jiff::Timestamp::now().as_second().unsigned_abs());
        let again = self.again(seed);
        say(&format!("seed {seed}; the same again: {again}"));
        let run = stop.run_until_cancelled(self.chaos(seed)).await.context("stopped")?;
        let report = run.with_context(|| format!("seed {seed}; the same again: {again}"))?;
        let text = report.text();
        std::fs::write(Path::new(FOLDER).join("report.txt"), format!("seed {seed}\n{text}"))?;
        say(&text);
        if !report.is_clean() {
            bail!("seed {seed} is not clean; ledger and logs are in {FOLDER}; the same again: {again}");
        }
        Ok(())
    }

    /// The command that does the same things in the same order.
    fn again(&self, seed: u64) -> String {
        let mut options = Vec::new();
        if self.brief {
            options.push("--brief".to_owned());
        }
        if self.steps < u32::MAX {
            options.push(format!("--steps {}", self.steps));
        }
        if self.images < usize::MAX {
            options.push(format!("--images {}", self.images));
        }
        let command = format!("make chaos MINUTES={} SEED={seed}", self.minutes);
        if options.is_empty() { command } else { format!("{command} OPTIONS='{}'", options.join(" ")) }
    }

    async fn chaos(&self, seed: u64) -> anyhow::Result<Report> {
        let folder = Path::new(FOLDER);
        // Of an earlier run.
        let _ = std::fs::remove_dir_all(folder);
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let inventory =
            Arc::new(tokio::task::spawn_blocking(move || load::inventory(seed, INVENTORY)).await?);
        say("starting servers and fleet");
        let arena = Arc::new(Arena::open(Content::Inventory(inventory.clone()), folder).await?);
        let open = Arc::<AtomicI64>::default();
        let (done, seen) = (CancellationToken::new(), CancellationToken::new());
        let witness = Witness::begin(arena.clone(), open.clone()).await?;
        let witness = tokio::spawn(witness.run(seen.clone()));
        let most = Most { images: self.images, open: if self.brief { OPEN_BRIEFLY } else { OPEN } };
        let load = Load::new(arena.clone(), inventory, seed, most);
        let load = tokio::spawn(load.run(open.clone(), done.clone()));

        watch::until_consumers_are_back(&arena, Instant::now())
            .await
            .context("the fleet does not consume")?;
        let before = ending::open(&arena).await?;
        let begun = Instant::now();
        let measured = self.faults(&arena, seed, begun).await?;
        let took = begun.elapsed();
        done.cancel();
        load.await??;

        say("faults over, waiting for what is open");
        drained(&arena, &open).await;
        let violations = ending::violations(&arena).await?;
        let (after, leaks) = ending::leaks(&arena, before).await?;
        let mut violations: Vec<String> = violations.into_iter().chain(leaks).collect();
        seen.cancel();
        witness.await??;
        arena.fleet.stop().await?;
        // A connection through the proxy ends on the server's side a moment after it has ended on ours.
        let mut left_open = ending::open(&arena).await?;
        for _ in 0..20 {
            if left_open == Open::default() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            left_open = ending::open(&arena).await?;
        }
        if left_open != Open::default() {
            violations.push(format!("the fleet has stopped and holds open: {left_open:?}"));
        }
        let verdict = checker::judge(&ledger::read(arena.ledger.path())?);
        Ok(Report {
            brief: self.brief,
            measured,
            verdict,
            violations,
            open: (before, after),
            left_open,
            took,
        })
    }

    async fn faults(&self, arena: &Arena, seed: u64, begun: Instant) -> anyhow::Result<Vec<Measured>> {
        let (mut plan, mut measured, mut number) = (Plan::new(seed, self.brief), Vec::new(), 0);
        let end = begun + Duration::from_secs_f64(60.0 * self.minutes);
        for _ in 0..self.steps {
            if Instant::now() > end {
                break;
            }
            let mut step = plan.step();
            measured.push(happen(arena, &mut step, &mut number).await?);
            tokio::time::sleep(step.rest).await;
        }
        Ok(measured)
    }
}

/// Lets the faults of one step begin, last and end, and sees the fleet recover.
async fn happen(arena: &Arena, step: &mut Step, number: &mut u32) -> anyhow::Result<Measured> {
    let first = *number + 1;
    for fault in &step.faults {
        *number += 1;
        let spoils = fault.spoils().iter().map(|&reason| reason.to_owned()).collect();
        let (fault, holds) = (fault.name(), fault.holds());
        arena.ledger.note(What::FaultBegun { number: *number, fault, spoils, holds })?;
    }
    let mut failed = Vec::new();
    let begun = join_all(step.faults.iter_mut().map(|fault| fault.begin(arena))).await;
    let have_begun: Vec<bool> = begun.iter().map(Result::is_ok).collect();
    for ((number, fault), begun) in (first..).zip(&step.faults).zip(begun) {
        if let Err(error) = begun {
            let error = format!("{error:#}");
            say(&format!("     a fault did not begin: {}: {error}", fault.name()));
            failed.push(format!("{}: {error}", fault.name()));
            arena.ledger.note(What::FaultFailed { number, error })?;
        }
    }
    let violations: Vec<_> = step.faults.iter().filter_map(|fault| fault.violation()).collect();
    violations.iter().for_each(|violation| say(&format!("     {violation}")));
    let names: Vec<String> = step.faults.iter().map(|fault| fault.name()).collect();
    say(&format!("{number:>4} {}", names.join(" + ")));

    let begun = Instant::now();
    let least = step.faults.iter().map(|fault| fault.least()).max().unwrap_or_default();
    let processes: Vec<_> = step.faults.iter().flat_map(|fault| fault.sites()).collect();
    let is_alive = |name: &str| !processes.iter().any(|site| site.is_process(name));
    let mut unready: Vec<_> = step.faults.iter().flat_map(|fault| fault.unready(arena)).collect();
    unready.retain(|member| is_alive(&member.name));
    let told = if unready.is_empty() || !failed.is_empty() {
        None
    } else {
        Some(watch::until_they_say(&unready, false, Duration::from_secs(10)).await)
    };
    tokio::time::sleep_until(begun + step.lasts.max(least)).await;

    for ended in join_all(step.faults.iter_mut().map(|fault| end(arena, fault.as_mut()))).await {
        ended?;
    }
    let ended = Instant::now();
    let names: Vec<String> = step.faults.iter().map(|fault| fault.name()).collect();
    for (number, name) in (first..).zip(&names) {
        arena.ledger.note(What::FaultEnded { number, note: name.clone() })?;
    }
    let have_begun = step.faults.iter().zip(have_begun).filter(|(_, begun)| *begun);
    let nothing = have_begun.filter_map(|(fault, _)| Some(format!("{}, {}", fault.name(), fault.nothing()?)));
    let nothing: Vec<String> = nothing.inspect(|line| say(&format!("     {line}"))).collect();
    let consumers = watch::until_consumers_are_back(arena, ended).await;
    let everybody: Vec<_> = arena.fleet.members.iter().collect();
    let ready = watch::until_they_say(&everybody, true, watch::PATIENCE).await;
    Ok(Measured { faults: names, failed, nothing, violations, consumers, unready: told, ready })
}

/// Ends a fault. The servers' own tools may fail in the middle of all this: what they were asked for is asked
/// again, or the rest of the run would be one long fault.
async fn end(arena: &Arena, fault: &mut dyn Fault) -> anyhow::Result<()> {
    const TIMES: u32 = 5;
    for _ in 1..TIMES {
        match fault.end(arena).await {
            Ok(()) => return Ok(()),
            Err(error) => say(&format!("     a fault did not end, again: {error:#}")),
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    fault.end(arena).await
}

/// Waits until every image that was published has an outcome and every scrape is announced; not for ever,
/// for what is lost never comes.
async fn drained(arena: &Arena, open: &AtomicI64) {
    const UNANNOUNCED: &str = "SELECT count(*) FROM scrapes WHERE announced_at IS NULL";
    let end = Instant::now() + DRAINS_WITHIN;
    while Instant::now() < end {
        let waiting = arena.broker.depth(&arena.broker.topology().finished_queue()).await;
        let unannounced = arena.count(UNANNOUNCED).await;
        if open.load(Ordering::Relaxed) <= 0 && matches!((waiting, unannounced), (Ok((0, _)), Ok(0))) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Tells the person who waits.
fn say(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        chaos: ChaosArgs,
    }

    /// Brief runs draw from fewer kinds of faults: without the options the seed is another schedule.
    #[test]
    fn the_command_that_is_told_does_the_same_again() {
        let told = |line: &str| Line::parse_from(line.split(' ')).chaos.again(7);

        assert_eq!(told("chaos --minutes 60"), "make chaos MINUTES=60 SEED=7");
        assert_eq!(
            told("chaos --brief --steps 8 --images 9000"),
            "make chaos MINUTES=5 SEED=7 OPTIONS='--brief --steps 8 --images 9000'"
        );
    }
}
