//! From the start of a process until it says that it is ready.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use tagfleet_worker::config::{TaggingConfig, WorkerConfig};
use tokio::process::Command;

use super::process::Process;
use super::results::{Mark, Row};
use super::{Bench, progress};

/// A worker and a scheduler, first with their files out of the page cache and then with them in it.
/// The servers run, and have the tables and queues.
///
/// Cold are the files that the process itself reads: the binary, the ONNX Runtime library, the
/// model set. The C library and what else every program of the machine needs stay where they are.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let mark = Mark::AtMost(1.5);
    let mut worker_cold = Row::new(10, "worker's start to ready, cold files", "s").mark(mark);
    let mut worker_warm = Row::new(10, "worker's start to ready, warm files", "s").mark(mark);
    let mut scheduler_cold = Row::new(10, "scheduler's start to ready, cold files", "s").mark(mark);
    let files = files()?;
    // Makes the queues; the scheduler that is measured is a second one.
    let fleet = bench.fleet().await?;

    for run in 1..=bench.runs {
        // A file that a running process has mapped stays in the cache: no worker runs now, and this
        // process and the fleet's scheduler keep only what they use of theirs.
        drop_from_cache(&files).await?;
        let left = cached_mb(&files).await;
        let cold = seconds(fleet.start_worker().await?).await?;
        let warm = seconds(fleet.start_worker().await?).await?;
        drop_from_cache(&files).await?;
        let scheduler = seconds(fleet.start_scheduler().await?).await?;
        let left = left.map_or("unknown".to_owned(), |mb| format!("{mb:.1} MB"));
        progress(&format!(
            "cold_start {run}/{}: worker {cold:.2} s ({left} of its files still cached), warm {warm:.2} s; scheduler {scheduler:.2} s",
            bench.runs
        ));
        worker_cold.reached(cold);
        worker_warm.reached(warm);
        scheduler_cold.reached(scheduler);
    }
    fleet.end().await?;
    Ok(vec![worker_cold, worker_warm, scheduler_cold])
}

/// What a process took to be ready; stops it.
async fn seconds(process: Process) -> anyhow::Result<f64> {
    let seconds = process.started_in().as_secs_f64();
    process.stop().await?;
    Ok(seconds)
}

/// What worker and scheduler read when they start.
fn files() -> anyhow::Result<Vec<PathBuf>> {
    let TaggingConfig(WorkerConfig { models, runtime, .. }) = TaggingConfig::load(None)?.config;
    let beside = std::env::current_exe()?;
    let mut files =
        vec![beside.with_file_name("tagfleet-worker"), beside.with_file_name("tagfleet-scheduler")];
    let library = tagfleet_shared::config::foreign_variable("ORT_DYLIB_PATH").map(PathBuf::from);
    let library = if runtime.library.as_os_str().is_empty() { library } else { Some(runtime.library) };
    files.push(
        library.context("neither runtime.library nor ORT_DYLIB_PATH names ONNX Runtime")?.canonicalize()?,
    );
    below(&models.dir, &mut files)?;
    Ok(files)
}

fn below(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() { below(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

/// Has the kernel forget the pages of each file: GNU dd asks for it (`POSIX_FADV_DONTNEED`), without
/// reading or writing anything.
async fn drop_from_cache(files: &[PathBuf]) -> anyhow::Result<()> {
    for file in files {
        let mut of = std::ffi::OsString::from("if=");
        of.push(file);
        let dropped =
            Command::new("dd").arg(of).args(["iflag=nocache", "count=0", "status=none"]).status().await?;
        anyhow::ensure!(dropped.success(), "dd cannot drop {} from the page cache", file.display());
    }
    Ok(())
}

/// What of the files is still in the page cache; `None` where the machine has no `fincore`.
async fn cached_mb(files: &[PathBuf]) -> Option<f64> {
    let mut fincore = Command::new("fincore");
    fincore.args(["--bytes", "--noheadings", "--output", "RES"]).args(files).stderr(Stdio::null());
    let output = fincore.output().await.ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let bytes = text.lines().map(|line| line.trim().parse::<f64>()).collect::<Result<Vec<_>, _>>().ok()?;
    Some(bytes.iter().sum::<f64>() / 1e6)
}
