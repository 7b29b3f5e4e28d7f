//! One process of the fleet: started, paused, measured, stopped.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::usage;

/// The longest that a process may take until it is ready, or until it has ended.
const PATIENCE: Duration = Duration::from_secs(60);

/// A setting: an environment variable and its value.
pub type Setting = (String, String);

/// The setting that `config.toml` calls `section.key`.
pub fn setting(key: &str, value: &str) -> Setting {
    (format!("TAGFLEET__{}", key.to_uppercase().replace('.', "__")), value.to_owned())
}

/// A running binary of the fleet. Killed when it is dropped.
pub struct Process {
    name: &'static str,
    child: Child,
    pid: u32,
    log: PathBuf,
    admin: String,
    client: reqwest::Client,
    started_in: Duration,
}

impl Process {
    /// Its number.
    pub fn id(&self) -> u32 {
        self.pid
    }

    /// Starts `binary run` and waits until it is ready. Its log goes into `logs`.
    pub async fn start(binary: &'static str, settings: &[Setting], logs: &Path) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let mut process = Self::spawn(binary, settings, logs, format!("127.0.0.1:{}", free_port()?))?;
        process.until_ready().await?;
        process.started_in = begun.elapsed();
        Ok(process)
    }

    /// Starts `binary run` with its admin port at `admin`.
    pub fn spawn(
        binary: &'static str,
        settings: &[Setting],
        logs: &Path,
        admin: String,
    ) -> anyhow::Result<Self> {
        let log = logs.join(format!("{binary}.log"));
        let file = File::options().create(true).append(true).open(&log);
        let mut command = command(binary, settings)?;
        let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).build()?;
        let child = command
            .arg("run")
            .env("TAGFLEET__ADMIN__LISTEN", &admin)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file.with_context(|| log.display().to_string())?)
            // Ctrl-C is for the benchmark, which then ends its processes itself.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().context("it has ended already")?;
        Ok(Self { name: binary, child, pid, log, admin, client, started_in: Duration::ZERO })
    }

    /// Waits until it says that it is ready.
    pub async fn until_ready(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.client.get(format!("http://{}/readyz", self.admin)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if self.child.try_wait()?.is_some() || Instant::now() > end {
                bail!("{} did not become ready: see {}", self.name, self.log.display());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The time from the start of the process until it said that it is ready.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// The sum of all series of its metrics whose line begins with `series`, such as
    /// `tagfleet_worker_stage_seconds_sum{stage="infer"}`.
    pub async fn metric(&self, series: &str) -> anyhow::Result<f64> {
        let answer = self.client.get(format!("http://{}/metrics", self.admin)).send().await?;
        let text = answer.text().await?;
        let values = text.lines().filter_map(|line| line.strip_prefix(series)?.rsplit(' ').next());
        let values = values.map(str::parse::<f64>).collect::<Result<Vec<_>, _>>()?;
        anyhow::ensure!(!values.is_empty(), "{} has no metric {series}", self.name);
        Ok(values.iter().sum())
    }

    /// Keeps it from running until [`Self::resume`]: for seconds only, or the broker takes it for
    /// dead.
    pub async fn pause(&self) -> anyhow::Result<()> {
        self.signal("STOP").await
    }

    /// Lets it run on.
    pub async fn resume(&self) -> anyhow::Result<()> {
        self.signal("CONT").await
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.signal("TERM").await?;
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = ended.with_context(|| format!("{} did not end", self.name))??;
        anyhow::ensure!(status.success(), "{} failed: see {}", self.name, self.log.display());
        Ok(())
    }

    /// `kill -9`, and waits for its end.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Whether it has ended, in whatever way.
    pub fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits for its end, in whatever way.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        self.child.wait().await?;
        Ok(())
    }

    /// A POST to its admin port.
    pub async fn post(&self, path: &str) -> anyhow::Result<()> {
        let answer = self.client.post(format!("http://{}{path}", self.admin)).send().await?;
        anyhow::ensure!(answer.status().is_success(), "POST {path} to {}: {}", self.name, answer.status());
        Ok(())
    }

    async fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let status = Command::new("kill").args([format!("-{signal}"), self.pid.to_string()]).status().await?;
        anyhow::ensure!(status.success(), "{} has ended: see {}", self.name, self.log.display());
        Ok(())
    }

    /// The most memory that it and its children have had at any time, in MB (10^6 bytes).
    pub fn peak_memory(&self) -> anyhow::Result<f64> {
        Ok(usage::peak_bytes(&self.pid.to_string())? as f64 / 1e6)
    }

    /// CPU time that it and its children have used so far, in seconds.
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        usage::cpu_seconds(&self.pid.to_string())
    }

    /// CPU time that its threads of this name have used so far, in seconds.
    pub fn thread_cpu_seconds(&self, name: &str) -> anyhow::Result<f64> {
        let tasks = format!("/proc/{}/task", self.pid);
        let mut seconds = 0.0;
        for task in std::fs::read_dir(&tasks).with_context(|| tasks.clone())? {
            let path = task?.path();
            if std::fs::read_to_string(path.join("comm"))?.trim() == name {
                seconds += nanoseconds_run(&path)? / 1e9;
            }
        }
        anyhow::ensure!(seconds > 0.0, "{} has no thread {name:?} that has run", self.name);
        Ok(seconds)
    }
}

/// Time on a CPU, by the scheduler's own clock, which is finer than that of `stat`.
fn nanoseconds_run(task: &Path) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(task.join("schedstat"))?;
    Ok(text.split_whitespace().next().context("schedstat is empty")?.parse()?)
}

/// A binary of the same build, beside this one.
pub fn command(binary: &str, settings: &[Setting]) -> anyhow::Result<Command> {
    let path = std::env::current_exe()?.with_file_name(binary);
    if !path.is_file() {
        bail!("{} is not built: run `make bench`", path.display());
    }
    let mut command = Command::new(path);
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    Ok(command)
}

/// A port that nobody listens on.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
