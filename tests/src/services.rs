//! The servers that tests talk to.

use std::path::PathBuf;

use tagfleet_loadtest::private;
pub use tagfleet_loadtest::private::repository;
use tagfleet_shared::config::foreign_variable;

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
    pair: private::Private,
    /// Where they are.
    pub services: Services,
}

impl Private {
    /// Starts both.
    pub fn start(name: &str) -> Self {
        let pair = private::Private::start(name).unwrap();
        let services = Services {
            database_url: pair.database_url.clone(),
            amqp_url: pair.amqp_url.clone(),
            onnxruntime: pair.onnxruntime.clone(),
        };
        Self { pair, services }
    }

    /// Runs one of the fault verbs of `scripts/services.sh`.
    pub async fn fault(&self, verb: &'static str) {
        self.pair.run(&[verb]).await.unwrap();
    }

    /// Runs `rabbitmqctl` with these arguments.
    pub async fn rabbitmqctl(&self, arguments: &[&str]) {
        self.pair.run(&[&["rabbitmqctl"], arguments].concat()).await.unwrap();
    }
}
