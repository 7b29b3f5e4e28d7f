//! ONNX Runtime, and the device that it computes on.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider};
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use serde::Deserialize;
use tagfleet_shared::config::foreign_variable;
use tracing::{debug, error, warn};

use super::Device;

/// The variable that names the library where the settings do not.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// A model of 467 bytes that needs what every model needs of a GPU.
const PROBE: &[u8] = include_bytes!("probe.onnx");

/// How ONNX Runtime is found and used.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeConfig {
    /// The library `libonnxruntime.so`, 1.24 or newer; empty for the one that the
    /// variable `ORT_DYLIB_PATH` names.
    pub library: PathBuf,
    /// Where models run.
    pub device: Device,
    /// Threads inside one run of a model; 0 for one per core. With a session per
    /// core more than one only get into each other's way.
    pub threads: usize,
}

/// ONNX Runtime, loaded, and a device that works.
#[derive(Clone, Debug)]
pub struct Runtime {
    environment: Environment,
    /// The GPU, or `None` for the CPU.
    gpu: Option<u16>,
    provider: String,
    threads: usize,
}

/// Why ONNX Runtime cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Neither the settings nor the environment name a library.
    #[error(
        "no ONNX Runtime library: set runtime.library or {LIBRARY_VARIABLE} to the path of libonnxruntime.so"
    )]
    NoLibrary,
    /// The library is not there.
    #[error("the ONNX Runtime library {}: {error}", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// Why it cannot be read.
        error: std::io::Error,
    },
    /// The library is no ONNX Runtime, or one that is too old.
    #[error("the ONNX Runtime library {}: {error}", path.display())]
    Unusable {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        error: ort::LoadDynamicError,
    },
    /// There can be one library in a process.
    #[error("this process uses the ONNX Runtime library {} already, it cannot use {}", open.display(), path.display())]
    Another {
        /// The library in use.
        open: PathBuf,
        /// The one that was asked for.
        path: PathBuf,
    },
    /// The library is there but does not start.
    #[error("ONNX Runtime does not start: {0}")]
    Start(ort::Error),
    /// The device that was asked for cannot be had.
    #[error("{device} cannot be had: {error}")]
    NoDevice {
        /// The device.
        device: Device,
        /// What ONNX Runtime says.
        error: ort::Error,
    },
}

/// ONNX Runtime allows one library and one environment in a process, for its
/// whole life: whoever comes second shares them.
static OPENED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

impl Runtime {
    /// Loads the library and finds the device.
    ///
    /// # Errors
    ///
    /// If there is no library that can be used, or a GPU that was asked for by
    /// its number does not work: ONNX Runtime would take the CPU without a word.
    pub fn open(config: &RuntimeConfig) -> Result<Self, RuntimeError> {
        let environment = open_library(&library(&config.library)?)?;
        let mut runtime =
            Self { environment, gpu: None, provider: Device::Cpu.to_string(), threads: config.threads };
        match config.device {
            Device::Cpu => {}
            Device::Cuda(number) => {
                let no_device = |error| RuntimeError::NoDevice { device: config.device, error };
                runtime.use_gpu(number).map_err(no_device)?;
            }
            Device::Auto if ep::CUDA::is_available().map_err(RuntimeError::Start)? => {
                if let Err(error) = runtime.use_gpu(0) {
                    warn!(%error, "the ONNX Runtime library could use a GPU but none works, using the CPU");
                }
            }
            Device::Auto => debug!("the ONNX Runtime library is built for the CPU only"),
        }
        Ok(runtime)
    }

    /// What models run on: `cpu`, `cuda:0`. Always what is in use, never what was
    /// asked for. On a GPU single operators may still be the CPU's.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Loads a model onto the device.
    pub(super) fn session(&self, file: &Path) -> Result<Session, ort::Error> {
        self.builder(self.gpu)?.commit_from_file(file)
    }

    /// Takes the GPU if a model runs on it. That proves device, driver, CUDA and
    /// cuDNN; it does not prove that CUDA has every operator of a set. Those that it
    /// lacks, and those on shapes, ONNX Runtime leaves to the CPU, and says so in the
    /// log; to forbid that altogether would forbid most graphs that tools export.
    fn use_gpu(&mut self, number: u16) -> Result<(), ort::Error> {
        let mut session = self.builder(Some(number))?.commit_from_memory(PROBE)?;
        let picture = ort::value::Tensor::from_array(([1, 8, 8, 3], vec![0_u8; 8 * 8 * 3]))?;
        session.run(ort::inputs![picture])?;
        self.gpu = Some(number);
        self.provider = Device::Cuda(number).to_string();
        Ok(())
    }

    fn builder(&self, gpu: Option<u16>) -> Result<SessionBuilder, ort::Error> {
        let builder = Session::builder(&self.environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(self.threads)?;
        let Some(number) = gpu else { return Ok(builder) };
        // Batches differ in size, and the exhaustive search is done anew for each.
        let cuda = ep::CUDA::default()
            .with_device_id(number.into())
            .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic);
        Ok(builder.with_execution_providers([cuda.build().error_on_failure()])?)
    }
}

/// The path of the library, from the settings or else the environment.
fn library(configured: &Path) -> Result<PathBuf, RuntimeError> {
    let path = if configured.as_os_str().is_empty() {
        foreign_variable(LIBRARY_VARIABLE).ok_or(RuntimeError::NoLibrary)?.into()
    } else {
        configured.to_path_buf()
    };
    path.canonicalize().map_err(|error| RuntimeError::Missing { path, error })
}

fn open_library(path: &Path) -> Result<Environment, RuntimeError> {
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    match &*opened {
        Some((open, environment)) if open == path => Ok(environment.clone()),
        Some((open, _)) => Err(RuntimeError::Another { open: open.clone(), path: path.into() }),
        None => {
            let environment = ort::init_from(path)
                .map_err(|error| RuntimeError::Unusable { path: path.into(), error })?
                .with_name("tagfleet")
                .with_telemetry(false)
                .with_logger(Arc::new(|level, _, _, _, message| log(level, message)))
                .build()
                .map_err(RuntimeError::Start)?;
            environment.set_log_level(LogLevel::Warning);
            *opened = Some((path.into(), environment.clone()));
            Ok(environment)
        }
    }
}

/// ONNX Runtime writes to stderr by itself; its messages belong in our log.
fn log(level: LogLevel, message: &str) {
    match level {
        LogLevel::Error | LogLevel::Fatal => error!("ONNX Runtime: {message}"),
        LogLevel::Warning => warn!("ONNX Runtime: {message}"),
        LogLevel::Verbose | LogLevel::Info => debug!("ONNX Runtime: {message}"),
    }
}
