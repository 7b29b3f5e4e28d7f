//! The real binaries, to be killed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// One process of the fleet. Killed with the value.
pub struct Process {
    child: Child,
    /// Where it logs, as JSON.
    pub log: PathBuf,
}

impl Process {
    /// Starts `binary run` with these settings on top of its defaults.
    pub fn run(binary: &str, settings: &[(String, String)]) -> Self {
        Self::start(binary, &["run"], settings)
    }

    /// Starts `binary` with these arguments, and these settings on top of its defaults.
    pub fn start(binary: &str, arguments: &[&str], settings: &[(String, String)]) -> Self {
        Self::start_program(&path_of(binary), arguments, settings)
    }

    /// The same of a program of another version.
    pub fn start_program(program: &Path, arguments: &[&str], settings: &[(String, String)]) -> Self {
        let binary = program.file_name().unwrap().to_string_lossy();
        let log = logs().join(format!("{binary}-{}.log", uuid::Uuid::new_v4().simple()));
        let file = std::fs::File::create(&log).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .envs(settings.iter().cloned())
            .current_dir(super::repository())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{binary} cannot be started: {error}"));
        Self { child, log }
    }

    /// A binary with whatever arguments.
    pub fn command(binary: &str) -> Command {
        let mut command = Command::new(path_of(binary));
        command.current_dir(super::repository()).stdin(Stdio::null());
        command
    }

    /// What it has logged so far.
    pub fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The most memory that it and its children have taken so far.
    pub fn peak_bytes(&self) -> Option<u64> {
        tagfleet_loadtest::usage::peak_bytes(&self.child.id().to_string()).ok()
    }

    /// Where its admin port is, once it is open.
    pub async fn admin(&self) -> SocketAddr {
        crate::eventually("the admin port is open", || {
            let log = self.logged();
            let address = log.split("admin port open on ").nth(1);
            std::future::ready(address.and_then(|rest| rest.split('"').next()?.parse().ok()))
        })
        .await
    }

    /// The processes that it has started and that are there now.
    pub fn children(&self) -> Vec<u32> {
        let own = self.child.id();
        let stats = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            Some((pid, std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
        });
        // After the name: the state and the parent.
        let parent = |stat: &str| stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok();
        stats.filter(|(_, stat)| parent(stat) == Some(own)).map(|(pid, _)| pid).collect()
    }

    /// SIGKILL: it can do nothing about it.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits for its end: its exit code.
    pub async fn exit_code(self) -> Option<i32> {
        let child = std::sync::Mutex::new(self);
        crate::eventually("the process ends", || {
            let ended = child.lock().unwrap().child.try_wait().unwrap();
            std::future::ready(ended.map(|status| status.code()))
        })
        .await
    }

    /// SIGTERM, and waits for its end. True if it ended well.
    pub async fn terminate(self) -> bool {
        self.signal("-TERM");
        self.exit_code().await == Some(0)
    }
}

/// Sends a signal to the process `pid`, one that a test has started.
pub fn signal(pid: u32, name: &str) {
    Command::new("kill").args([name, &pid.to_string()]).status().unwrap();
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A binary of the workspace, beside the test's own.
pub(crate) fn path_of(binary: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let directory = test.ancestors().find(|dir| dir.join(binary).is_file());
    directory
        .map(|dir| dir.join(binary))
        .unwrap_or_else(|| panic!("{binary} is not built: cargo build --bins"))
}

/// The program of a worker, for one that is not a process of its own.
pub fn program() -> PathBuf {
    path_of("tagfleet-worker")
}

fn logs() -> PathBuf {
    let dir = super::repository().join("target/fleet-logs");
    std::fs::create_dir_all(&dir).unwrap();
    dir
}
