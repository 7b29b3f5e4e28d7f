//! The fleet's processes, which outlive the demo until `make stop`.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use tagfleet_scheduler::config::SchedulerConfig;
use tagfleet_shared::broker::Broker;
use tagfleet_shared::config;
use tokio::time::Instant;

/// The longest that a process may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the servers are.
pub struct Servers {
    /// Postgres.
    pub database: String,
    /// RabbitMQ.
    pub broker: String,
    /// The ONNX Runtime library.
    pub onnxruntime: String,
    /// Of queues and exchanges.
    pub prefix: String,
}

/// One scheduler, two workers, a console, and at last the host of pictures.
pub struct Processes {
    running: Vec<Running>,
    pids: PathBuf,
}

struct Running {
    name: &'static str,
    child: Child,
    admin: u16,
    /// For people, where it has such a port.
    port: u16,
    log: PathBuf,
}

impl Processes {
    /// Migrates the database, starts the processes, and waits until all are ready.
    pub async fn start(state: &Path, servers: &Servers) -> anyhow::Result<Self> {
        std::fs::create_dir_all(state).with_context(|| state.display().to_string())?;
        let migrated = command("tagfleet-scheduler", servers)?.arg("migrate").output()?;
        if !migrated.status.success() {
            bail!("cannot migrate the database:\n{}", String::from_utf8_lossy(&migrated.stderr));
        }
        // Jobs of an earlier demo name rows of a database that is gone.
        neighbour(servers)?.delete_everything().await?;
        let mut processes = Self { running: Vec::new(), pids: state.join("pids") };
        for (name, binary) in [
            ("scheduler", "tagfleet-scheduler"),
            ("worker-1", "tagfleet-worker"),
            ("worker-2", "tagfleet-worker"),
            ("console", "tagfleet-console"),
        ] {
            processes.running.push(Running::start(name, binary, state, servers)?);
            processes.note()?;
        }
        for running in &mut processes.running {
            running.until_ready().await?;
        }
        Ok(processes)
    }

    /// Ends what an earlier demo has left running.
    pub fn stop_earlier(state: &Path) -> anyhow::Result<usize> {
        let Ok(pids) = std::fs::read_to_string(state.join("pids")) else { return Ok(0) };
        let ours: Vec<&str> = pids.lines().filter(|pid| is_ours(pid)).collect();
        for pid in &ours {
            Command::new("kill").args(["-TERM", pid]).status()?;
        }
        while ours.iter().any(|pid| is_ours(pid)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        std::fs::remove_file(state.join("pids"))?;
        Ok(ours.len())
    }

    /// Where the console is.
    pub fn console(&self) -> String {
        let console = self.running.iter().find(|running| running.name == "console");
        format!("http://127.0.0.1:{}/", console.map_or(0, |running| running.port))
    }

    /// Goes on serving pictures at `address` when this process is gone, so that the console can show them;
    /// `what` are the arguments that name them.
    pub async fn serve(&mut self, address: SocketAddr, what: &[String], state: &Path) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        // Whoever listened there may not be gone yet.
        while TcpListener::bind(address).is_err() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let port = address.port();
        let log = state.join("origin.log");
        let child = Command::new(std::env::current_exe()?)
            .args(["origin", "--port", &port.to_string()])
            .args(what)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).with_context(|| log.display().to_string())?)
            .process_group(0)
            .spawn()?;
        self.running.push(Running { name: "origin", child, admin: 0, port, log });
        self.note()?;
        while tokio::net::TcpStream::connect(address).await.is_err() {
            anyhow::ensure!(Instant::now() < end, "the host of pictures does not answer: see origin.log");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// The admin ports of scheduler and workers.
    pub fn admin_ports(&self) -> [u16; 3] {
        [0, 1, 2].map(|i| self.running.get(i).map_or(0, |running| running.admin))
    }

    /// Lets them run on.
    pub fn leave_running(mut self) -> anyhow::Result<()> {
        self.note()?;
        self.running.clear();
        Ok(())
    }

    /// Notes the process ids for `make stop`.
    fn note(&self) -> anyhow::Result<()> {
        let pids: String = self.running.iter().map(|running| format!("{}\n", running.child.id())).collect();
        Ok(std::fs::write(&self.pids, pids)?)
    }
}

/// A demo that fails leaves nothing running.
impl Drop for Processes {
    fn drop(&mut self) {
        for running in &mut self.running {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}

impl Running {
    fn start(name: &'static str, binary: &str, state: &Path, servers: &Servers) -> anyhow::Result<Self> {
        let (admin, port) = (free_port()?, free_port()?);
        let log = state.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| log.display().to_string())?;
        let mut command = command(binary, servers)?;
        command.arg("run");
        if binary == "tagfleet-console" {
            command.arg("--dev-insecure").env("TAGFLEET__HTTP__LISTEN", format!("127.0.0.1:{port}"));
        }
        let child = command
            .env("TAGFLEET__ADMIN__LISTEN", format!("127.0.0.1:{admin}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            // Ctrl-C ends the demo, not the fleet.
            .process_group(0)
            .spawn()?;
        Ok(Self { name, child, admin, port, log })
    }

    async fn until_ready(&mut self) -> anyhow::Result<()> {
        let url = format!("http://127.0.0.1:{}/readyz", self.admin);
        let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).build()?;
        let end = Instant::now() + PATIENCE;
        loop {
            if let Ok(answer) = client.get(&url).send().await
                && answer.status().is_success()
            {
                return Ok(());
            }
            let ended = self.child.try_wait()?.is_some();
            if ended || Instant::now() > end {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(5).collect();
                let last: Vec<&str> = last.into_iter().rev().collect();
                bail!(
                    "the {} did not become ready; {} ends with:\n{}",
                    self.name,
                    self.log.display(),
                    last.join("\n")
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The broker as a neighbour of the fleet sees it. Its settings need not agree
/// with the fleet's, but it may be the first to declare the queues.
pub fn neighbour(servers: &Servers) -> anyhow::Result<Broker> {
    let defaults = tagfleet_scheduler::config::DEFAULTS;
    let url = ("TAGFLEET__BROKER__URL".to_owned(), servers.broker.clone());
    let prefix = ("TAGFLEET__BROKER__PREFIX".to_owned(), servers.prefix.clone());
    let config = config::load::<SchedulerConfig>(defaults, None, [url, prefix])?.config;
    Ok(Broker::lazy(&config.broker, "tagfleet-demo"))
}

/// A binary beside this one, with the settings of the demo.
fn command(binary: &str, servers: &Servers) -> anyhow::Result<Command> {
    let path = std::env::current_exe()?.with_file_name(binary);
    if !path.is_file() {
        bail!("{} is not built: run `make demo`", path.display());
    }
    let half = std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)).to_string();
    let mut command = Command::new(path);
    command
        .env("TAGFLEET__DATABASE__URL", &servers.database)
        .env("TAGFLEET__BROKER__URL", &servers.broker)
        .env("TAGFLEET__BROKER__PREFIX", &servers.prefix);
    if matches!(binary, "tagfleet-worker" | "tagfleet-console") {
        command.env("TAGFLEET__DOWNLOAD__ALLOW_NETWORKS", "127.0.0.1/32");
    }
    if binary == "tagfleet-worker" {
        command
            .env("TAGFLEET__RUNTIME__LIBRARY", &servers.onnxruntime)
            .env("TAGFLEET__WORK__DECODE_THREADS", &half)
            .env("TAGFLEET__MODELS__SESSIONS", &half);
    }
    Ok(command)
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Whether this process id still belongs to a program of ours: ids are used again.
fn is_ours(pid: &str) -> bool {
    let command_line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let program = command_line.split('\0').next().unwrap_or_default();
    let ours = ["tagfleet-scheduler", "tagfleet-worker", "tagfleet-console", "tagfleet-loadtest"];
    ours.iter().any(|binary| program.ends_with(binary))
}
