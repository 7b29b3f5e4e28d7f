//! The servers that tests talk to.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tagfleet_shared::config::foreign_variable;

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Whether this machine has a GPU that CUDA could use.
pub fn has_gpu() -> bool {
    let devices = std::fs::read_dir("/dev").into_iter().flatten().filter_map(Result::ok);
    devices.map(|device| device.file_name()).any(|name| {
        let number = name.to_str().and_then(|name| name.strip_prefix("nvidia"));
        name == "dxg" || number.is_some_and(|number| number.parse::<u16>().is_ok())
    })
}

/// Where the servers are.
#[derive(Clone, Debug)]
pub struct Services {
    /// Postgres.
    pub database_url: String,
    /// RabbitMQ.
    pub amqp_url: String,
    /// The ONNX Runtime library.
    pub onnxruntime: PathBuf,
}

impl Services {
    /// Those that `make test` has started, or that were given by URL.
    pub fn shared() -> Self {
        let need = |name: &str| {
            foreign_variable(name).unwrap_or_else(|| {
                panic!("{name} is not set: run `make test`, or `eval \"$(scripts/services.sh env)\"`")
            })
        };
        Self {
            database_url: need("TAGFLEET_DATABASE_URL"),
            amqp_url: need("TAGFLEET_AMQP_URL"),
            onnxruntime: need("ORT_DYLIB_PATH").into(),
        }
    }
}

/// A RabbitMQ and a Postgres of one test's own, to be stopped and killed at
/// will. Removed with the value.
pub struct Private {
    name: String,
    /// Where they are.
    pub services: Services,
}

impl Private {
    /// Starts both.
    pub fn start(name: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        script(&name, "start");
        let exports = script(&name, "env");
        let read = |variable: &str| {
            let prefix = format!("export {variable}=");
            let line = exports.lines().find_map(|line| line.strip_prefix(&prefix));
            line.unwrap_or_else(|| panic!("services.sh env tells no {variable}"))
                .trim_matches('\'')
                .to_owned()
        };
        let services = Services {
            database_url: read("TAGFLEET_DATABASE_URL"),
            amqp_url: read("TAGFLEET_AMQP_URL"),
            onnxruntime: read("ORT_DYLIB_PATH").into(),
        };
        Self { name, services }
    }

    /// Runs one of the fault verbs of `scripts/services.sh`.
    pub async fn fault(&self, verb: &'static str) {
        let name = self.name.clone();
        tokio::task::spawn_blocking(move || script(&name, verb)).await.unwrap();
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        script(&self.name, "remove");
    }
}

/// Servers given by URL are for everybody: these start their own all the same.
fn script(instance: &str, verb: &str) -> String {
    let output = Command::new("bash")
        .arg(repository().join("scripts/services.sh"))
        .arg(verb)
        .env("TAGFLEET_INSTANCE", instance)
        .env_remove("TAGFLEET_DATABASE_URL")
        .env_remove("TAGFLEET_AMQP_URL")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("bash is there");
    assert!(output.status.success(), "services.sh {verb} failed");
    String::from_utf8(output.stdout).unwrap()
}
