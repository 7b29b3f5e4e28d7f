//! `tagfleet-loadtest bench`: how near the fleet comes to what the machine can do.
//!
//! Each speed is held against a bare loop that does the same with nothing around it, or against
//! the same fleet without what is put to the test. Both are measured in turns, so what slows down
//! the machine for a while slows down both. docs/PERFORMANCE.md says what the rows mean.

mod cached;
mod cold_start;
mod console;
mod decode_agreement;
mod express;
mod fan_out;
mod fleet;
mod growth;
mod hostile;
mod hosts;
mod limits;
mod locks;
mod manifests;
mod memory;
mod memory_watch;
mod peer;
mod pictures;
pub(crate) mod process;
mod results;
mod servers;
mod stages;
mod uncached;
mod workers;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use tagfleet_shared::{shutdown, tls};

use self::fleet::{Fleet, Peaks};
use self::process::Setting;
use self::results::{Results, Row};
use self::servers::Servers;

/// Where results and logs are left.
const RESULTS: &str = "target/bench";

/// Measure the whole fleet against the machine's own limits.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to measure; everything where nothing is named.
    #[arg(value_enum)]
    scenarios: Vec<Scenario>,
    /// What to leave out, such as `growth`, which fills a database with millions of rows.
    #[arg(long, value_enum, value_name = "SCENARIO")]
    without: Vec<Scenario>,
    /// Runs of each; the medians count.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Pictures in an uncached run. A cached run has 30 times as many, a fan-out 100 times.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(100..=10_000))]
    images: u32,
    /// A folder with pictures of your own, for `decode_agreement`.
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
    /// Known images in the databases of `growth`, the smallest first.
    #[arg(long, value_name = "ROWS", value_delimiter = ',', default_values_t = [10_000, 1_000_000, 10_000_000])]
    rows: Vec<u32>,
    /// Images in the database of `console`: for the grid and the fixes, and for the stories.
    #[arg(long, value_name = "ROWS", value_delimiter = ',', default_values_t = [1_000_000, 10_000_000])]
    console_rows: Vec<u32>,
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
    /// A small scrape behind a large one.
    Express,
    /// Good hosts beside one that is slow, and beside one that is down.
    Hosts,
    /// Three models on one picture.
    Stages,
    /// With millions of known images.
    Growth,
    /// Several workers.
    Workers,
    /// From the start of a process until it is ready.
    ColdStart,
    /// What a Python team would run.
    Peer,
    /// Whether the models say the same of a scaled and of a full decode.
    DecodeAgreement,
    /// Good pictures while every twentieth is made to hurt.
    Hostile,
    /// People who look and correct, with millions of images.
    Console,
}

impl Scenario {
    async fn measure(self, bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
        match self {
            Self::Uncached => uncached::measure(bench).await,
            Self::Cached => cached::measure(bench).await,
            Self::FanOut => fan_out::measure(bench).await,
            Self::Memory => memory::measure(bench).await,
            Self::Express => express::measure(bench).await,
            Self::Hosts => hosts::measure(bench).await,
            Self::Stages => stages::measure(bench).await,
            Self::Growth => growth::measure(bench).await,
            Self::Workers => workers::measure(bench).await,
            Self::ColdStart => cold_start::measure(bench).await,
            Self::Peer => peer::measure(bench).await,
            Self::DecodeAgreement => decode_agreement::measure(bench).await,
            Self::Hostile => hostile::measure(bench).await,
            Self::Console => console::measure(bench).await,
        }
    }

    /// As it is called on the command line.
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// What every scenario is given.
struct Bench {
    runs: usize,
    /// Pictures in an uncached run.
    images: usize,
    /// A folder with pictures of the user's own.
    pictures: Option<PathBuf>,
    /// Known images in the databases of `growth`.
    rows: Vec<usize>,
    /// Images in the database of `console`.
    console_rows: Vec<usize>,
    /// The most memory that processes with the default settings had so far.
    peaks: Peaks,
    worker: Vec<Setting>,
    logs: PathBuf,
    /// The databases and queues of the scenario that is measured.
    servers: Vec<Servers>,
    /// Of all scenarios so far.
    prepared: usize,
}

impl Bench {
    /// A fleet with a database and queues of its own, gone when the scenario has ended.
    async fn fleet(&mut self) -> anyhow::Result<Fleet> {
        self.prepared += 1;
        self.servers.push(Servers::prepare(self.prepared).await?);
        Fleet::start(self.servers()?, self.worker.clone(), self.logs.clone()).await
    }

    /// Those of the fleet that was made last.
    fn servers(&self) -> anyhow::Result<&Servers> {
        self.servers.last().context("no fleet was made yet")
    }

    async fn remove_servers(&mut self) {
        for servers in self.servers.drain(..) {
            servers.remove().await;
        }
    }
}

impl BenchArgs {
    /// Measures, prints the table and writes `results.json` and `results.svg`.
    ///
    /// # Errors
    ///
    /// If something could not be measured; the rest is measured all the same. A mark that is missed
    /// is a result like any other.
    pub async fn run(self) -> anyhow::Result<()> {
        tls::install();
        let stop = shutdown::on_signal()?;
        let results = Results::open(Path::new(RESULTS))?;
        let scenarios = self.scenarios();
        let mut bench = Bench {
            runs: self.runs as usize,
            images: self.images as usize,
            pictures: self.pictures,
            rows: self.rows.iter().map(|&rows| rows as usize).collect(),
            console_rows: self.console_rows.iter().map(|&rows| rows as usize).collect(),
            peaks: Peaks::default(),
            worker: self.worker,
            logs: PathBuf::new(),
            servers: Vec::new(),
            prepared: 0,
        };
        let mut failed = Vec::new();
        for scenario in scenarios {
            let name = scenario.name();
            bench.logs = results.logs(&name)?;
            // Whatever ends it, its processes end with it.
            let measured = stop.run_until_cancelled(scenario.measure(&mut bench)).await;
            bench.remove_servers().await;
            match measured.context("stopped")? {
                Ok(rows) => results.keep(&name, rows)?,
                Err(error) => {
                    progress(&format!("{name} could not be measured: {error:#}"));
                    failed.push(name);
                }
            }
        }
        let all: Vec<_> = Scenario::value_variants().iter().map(|scenario| scenario.name()).collect();
        results.publish(all.iter().map(String::as_str))?;
        anyhow::ensure!(failed.is_empty(), "could not be measured: {}", failed.join(", "));
        Ok(())
    }

    fn scenarios(&self) -> Vec<Scenario> {
        let named = if self.scenarios.is_empty() { Scenario::value_variants() } else { &self.scenarios };
        let mut scenarios: Vec<_> =
            named.iter().filter(|scenario| !self.without.contains(scenario)).copied().collect();
        scenarios.sort_unstable();
        scenarios.dedup();
        scenarios
    }
}

/// Tells the person who waits how far it is.
fn progress(line: &str) {
    eprintln!("{line}");
}
