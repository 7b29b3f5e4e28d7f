//! `tagfleet-loadtest bench`: how near the fleet comes to what the machine can do.
//!
//! Each speed is held against a bare loop that does the same with nothing around it. Fleet and
//! loop are measured in turns, so what slows down the machine for a while slows down both.

mod cached;
mod decode_agreement;
mod fan_out;
mod fleet;
mod limits;
mod memory;
mod pictures;
mod process;
mod servers;
mod table;
mod uncached;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use tagfleet_shared::{shutdown, tls};

use self::fleet::Fleet;
use self::process::Setting;
use self::servers::Servers;
use self::table::Row;

/// Where results and logs are left.
const RESULTS: &str = "target/bench";

/// Measure the whole fleet against the machine's own limits.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to measure; everything where nothing is named.
    #[arg(value_enum)]
    scenarios: Vec<Scenario>,
    /// Runs of each; the medians count.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Pictures in an uncached run. A cached run has 30 times as many, a fan-out 100 times.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(100..=10_000))]
    images: u32,
    /// A folder with pictures of your own, for `decode_agreement`.
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
    /// A setting of the worker, to see what it is good for, such as `work.prefetch=64`.
    #[arg(long, value_name = "SETTING=VALUE", value_parser = worker_setting)]
    worker: Vec<Setting>,
}

fn worker_setting(text: &str) -> Result<Setting, &'static str> {
    let (key, value) = text.split_once('=').ok_or("not SETTING=VALUE")?;
    Ok(process::setting(key, value))
}

/// What can be measured, in the order in which it is: a file each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Scenario {
    /// Pictures that nobody has seen before.
    Uncached,
    /// The same inventory again.
    Cached,
    /// From the event to the last confirmed job.
    FanOut,
    /// Peak memory, with jobs queued and in what was measured before.
    Memory,
    /// Whether the models say the same of a scaled and of a full decode.
    DecodeAgreement,
}

impl Scenario {
    async fn measure(self, bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
        match self {
            Self::Uncached => uncached::measure(bench).await,
            Self::Cached => cached::measure(bench).await,
            Self::FanOut => fan_out::measure(bench).await,
            Self::Memory => memory::measure(bench).await,
            Self::DecodeAgreement => decode_agreement::measure(bench).await,
        }
    }
}

/// What every scenario is given.
struct Bench {
    fleet: Fleet,
    runs: usize,
    /// Pictures in an uncached run.
    images: usize,
    /// A folder with pictures of the user's own.
    pictures: Option<PathBuf>,
}

impl BenchArgs {
    /// Measures, prints the table and writes `results.json`.
    ///
    /// # Errors
    ///
    /// If something could not be measured. A mark that is missed is a result like any other.
    pub async fn run(self) -> anyhow::Result<()> {
        tls::install();
        let stop = shutdown::on_signal()?;
        let servers = Servers::prepare().await?;
        // Whatever ends it, its processes end with it.
        let rows = stop.run_until_cancelled(self.measure(&servers)).await;
        servers.remove().await;
        table::publish(&rows.context("stopped")??, Path::new(RESULTS))
    }

    async fn measure(self, servers: &Servers) -> anyhow::Result<Vec<Row>> {
        let Self { mut scenarios, runs, images, pictures, worker } = self;
        if scenarios.is_empty() {
            scenarios = Scenario::value_variants().to_vec();
        }
        scenarios.sort_unstable();
        scenarios.dedup();

        let fleet = Fleet::start(servers, worker, Path::new(RESULTS)).await?;
        let mut bench = Bench { fleet, runs: runs as usize, images: images as usize, pictures };
        let mut rows = Vec::new();
        for scenario in scenarios {
            let measured = scenario.measure(&mut bench).await;
            rows.extend(measured.with_context(|| format!("{scenario:?} could not be measured"))?);
        }
        Ok(rows)
    }
}

/// Tells the person who waits how far it is.
fn progress(line: &str) {
    eprintln!("{line}");
}
