//! A RabbitMQ and a Postgres of one's own, to be stopped and killed at will.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// The root of the repository, where the scripts are.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A pair of servers that nobody else uses. Removed with the value.
#[derive(Debug)]
pub struct Private {
    name: String,
    /// Postgres, as its superuser.
    pub database_url: String,
    /// RabbitMQ, as its administrator.
    pub amqp_url: String,
    /// RabbitMQ's HTTP API, as its administrator.
    pub management_url: String,
    /// The ONNX Runtime library.
    pub onnxruntime: PathBuf,
}

impl Private {
    /// Starts both. Blocks until they answer.
    ///
    /// # Errors
    ///
    /// If one does not start.
    pub fn start(name: &str) -> anyhow::Result<Self> {
        let name = format!("{name}-{}", std::process::id());
        // There from the start, so that a start that fails leaves nothing behind.
        let mut pair = Self {
            name,
            database_url: String::new(),
            amqp_url: String::new(),
            management_url: String::new(),
            onnxruntime: PathBuf::new(),
        };
        script(&pair.name, &["start"])?;
        let exports = script(&pair.name, &["env"])?;
        let read = |variable: &str| {
            let prefix = format!("export {variable}=");
            let line = exports.lines().find_map(|line| line.strip_prefix(&prefix));
            let line = line.with_context(|| format!("services.sh env tells no {variable}"))?;
            Ok::<_, anyhow::Error>(line.trim_matches('\'').to_owned())
        };
        pair.database_url = read("TAGFLEET_DATABASE_URL")?;
        pair.amqp_url = read("TAGFLEET_AMQP_URL")?;
        pair.management_url = read("TAGFLEET_RABBITMQ_MANAGEMENT_URL")?;
        pair.onnxruntime = read("ORT_DYLIB_PATH")?.into();
        Ok(pair)
    }

    /// Runs `scripts/services.sh` with these arguments, such as `kill-postgres` or `rabbitmqctl list_queues`.
    ///
    /// # Errors
    ///
    /// If it fails; with what it said.
    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let name = self.name.clone();
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let run = move || script(&name, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(run).await?
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = script(&self.name, &["remove"]);
    }
}

/// Servers given by URL are for everybody: these start their own all the same.
fn script(instance: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("bash")
        .arg(repository().join("scripts/services.sh"))
        .args(arguments)
        .env("TAGFLEET_INSTANCE", instance)
        .env_remove("TAGFLEET_DATABASE_URL")
        .env_remove("TAGFLEET_AMQP_URL")
        .stdin(Stdio::null())
        .output()
        .context("bash is not there")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "services.sh {} failed: {said}", arguments.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
