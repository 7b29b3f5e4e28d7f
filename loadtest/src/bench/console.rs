//! People at the console: many who look, some who correct, and the story of one picture among millions.

mod past;
mod people;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;

use self::past::Past;
use self::people::{Caller, Samples};
use super::growth::shown;
use super::process::{Process, free_port, setting};
use super::results::{Mark, Row, percentile_95};
use super::{Bench, progress};

/// People who look through the grid.
const READERS: usize = 200;

/// People who correct one picture after the other.
const EDITORS: usize = 20;

/// What is not counted, at the beginning of a run: connections are made, pages of the tables are read.
const WARM_UP: Duration = Duration::from_secs(10);

/// How long a run is measured.
const MEASURED: Duration = Duration::from_secs(60);

/// Stories in a run.
const STORIES: usize = 300;

/// A real console on a database with a past: `console_rows` has the images for the grid, and those for the stories.
///
/// Readers and editors are there at the same time and think between two requests (`people.rs`); then the past grows,
/// and one reader asks for the stories of images from all over it, one after the other. A time is that from the request
/// until the whole answer has come.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let &[listed, told] = &*bench.console_rows else {
        anyhow::bail!("console needs --console-rows with two sizes: for the grid, and for the stories");
    };
    ensure!(listed <= told, "--console-rows: first the smaller size");
    let fleet = bench.fleet().await?;
    // Its model set is the one that knows the images.
    fleet.start_worker().await?.stop().await?;
    let mut past = Past::new(fleet.pool.clone()).await?;
    progress(&format!("console: filling the tables with {} rows", shown(listed)));
    past.grow(listed).await?;
    let address = format!("127.0.0.1:{}", free_port()?);
    let mut settings = bench.servers()?.settings();
    settings.push(setting("http.listen", &address));
    let console = Process::start("tagfleet-console", &settings, &bench.logs).await?;

    let of = |name: String, most: f64| Row::new(15, name, "ms").mark(Mark::AtMost(most));
    let mut grid = of(format!("first page of the grid, {} images, p95", shown(listed)), 100.0);
    let mut more = of("more of the grid, p95".into(), 100.0);
    let mut fix = of("a fix, p95".into(), 50.0);
    for run in 1..=bench.runs {
        let samples = crowd(&address, &past, run as u64).await?;
        progress(&format!("console {run}/{}: {samples}; {}", bench.runs, load()));
        for (row, times) in [(&mut grid, &samples.grid), (&mut more, &samples.more), (&mut fix, &samples.fix)]
        {
            row.reached(percentile_95(times).context("nothing was asked for")?);
        }
    }

    progress(&format!("console: filling the tables with {} rows", shown(told)));
    past.grow(told).await?;
    let mut story = of(format!("a story, {} images, p95", shown(told)), 50.0);
    for run in 1..=bench.runs {
        let times = stories(&address, &past, run as u64).await?;
        let p95 = percentile_95(&times).context("no story was asked for")?;
        progress(&format!(
            "console {run}/{}: p95 of {} stories {p95:.1} ms; {}",
            bench.runs,
            times.len(),
            load()
        ));
        story.reached(p95);
    }
    console.stop().await?;
    fleet.end().await?;
    Ok(vec![grid, more, fix, story])
}

/// Everybody at once, for one run. Whoever is answered anything but what they asked for ends it.
async fn crowd(address: &str, past: &Past, run: u64) -> anyhow::Result<Samples> {
    let mut callers = Vec::new();
    for number in 0..READERS + EDITORS {
        callers.push(Caller::new(address, past.token(number).await?)?);
    }
    let counted = Instant::now() + WARM_UP;
    let until = counted + MEASURED;
    let mut people = JoinSet::new();
    for (number, caller) in callers.into_iter().enumerate() {
        let rng = Xoshiro256PlusPlus::seed_from_u64((run << 32) | number as u64);
        if number < READERS {
            people.spawn(people::read(caller, past.advertisers(), rng, counted..until));
        } else {
            let advertiser = (number - READERS) % past.advertisers();
            people.spawn(people::correct(caller, advertiser, rng, counted..until));
        }
    }
    let mut all = Samples::default();
    while let Some(samples) = people.join_next().await {
        all.extend(samples??);
    }
    Ok(all)
}

/// Milliseconds of each.
async fn stories(address: &str, past: &Past, run: u64) -> anyhow::Result<Vec<f64>> {
    let reader = Caller::new(address, past.token(0).await?)?;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(run);
    let mut times = Vec::with_capacity(STORIES);
    for _ in 0..STORIES {
        let image = Past::image(rng.random_range(0..past.images()));
        times.push(reader.get(&format!("/v1/images/{image}")).await?.ms);
    }
    Ok(times)
}

/// How busy the machine is with everything that runs on it.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("load {} on {cores} cores", text.split(' ').next().unwrap_or("unknown"))
}
