//! From a model set's folder to threads that answer.

use std::thread::available_parallelism;

use tagfleet_download::permits::Permits;

use super::SetAtWork;
use crate::config::WorkerConfig;
use crate::decoders::DecodeThreads;
use crate::freshness::Freshness;
use crate::inference::Inference;
use crate::known::KnownImages;
use crate::lookup::Lookup;
use crate::metrics::Metrics;
use crate::model::{Loaded, Loader, ManifestError, Runtime};

/// Brings the configured model set to work, as often as it is asked to.
pub struct SetLoader {
    loader: Loader,
    config: WorkerConfig,
    metrics: Metrics,
}

impl SetLoader {
    /// Opens ONNX Runtime.
    ///
    /// # Errors
    ///
    /// If it is missing or too old, or the device cannot be had.
    pub fn open(config: &WorkerConfig, metrics: &Metrics) -> anyhow::Result<Self> {
        let runtime = Runtime::open(&config.runtime)?;
        let sessions = match config.models.sessions {
            0 if runtime.provider() != "cpu" => 1,
            0 => cores(),
            sessions => sessions,
        };
        let loader = Loader {
            runtime,
            sessions,
            max_batch: config.models.max_batch,
            embeddings: config.models.store_embeddings,
            limits: config.decode.clone(),
        };
        Ok(Self { loader, config: config.clone(), metrics: metrics.clone() })
    }

    /// Loads and tests what is in the folder now. Blocks for as long as that takes.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the set, at once.
    pub fn load(&self) -> Result<Loaded, ManifestError> {
        self.loader.load(&self.config.models.dir)
    }

    /// How long what the set said is taken for granted.
    pub fn freshness(&self) -> Option<Freshness> {
        Freshness::after(self.config.cache.revalidate_after)
    }

    /// Gives `loaded` its threads and empty caches. Without `lookup`, and with
    /// the id 0, for a pipeline without a database.
    ///
    /// # Errors
    ///
    /// If the operating system gives no more threads.
    pub fn start(&self, loaded: Loaded, id: i32, lookup: Option<Lookup>) -> std::io::Result<SetAtWork> {
        let Self { loader, config, metrics } = self;
        let Loaded { set, models } = loaded;
        let sizes = set.input_sizes();
        let threads = if config.work.decode_threads == 0 { cores() } else { config.work.decode_threads };
        // For every thread the next work is there when it ends this one.
        let looks = 2 * (threads + loader.sessions * loader.max_batch);
        Ok(SetAtWork {
            name: set.name().to_owned(),
            digest: set.digest().to_owned(),
            provider: loader.runtime.provider().to_owned(),
            id,
            defaults: set.defaults(),
            known: KnownImages::new(&config.cache, lookup, metrics.clone()),
            looks: Permits::new(looks, config.lanes),
            decoder: DecodeThreads::start(threads, &sizes, &config.decode, &config.decoders, metrics)?,
            models: Inference::start(models, &sizes, loader.max_batch, metrics)?,
        })
    }
}

fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}
