//! Running models alone, on pictures that are decoded already.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::Context;
use bytes::Bytes;
use tagfleet_worker::config::{TaggingConfig, WorkerConfig};
use tagfleet_worker::decode::{Decoder, Pixels};
use tagfleet_worker::model::{Model, ModelSet, OnnxModel, Runtime};

use crate::usage::cpu_seconds;

/// Pictures in one run of the models.
const BATCH: usize = 8;

/// A model set, with a copy for each core.
pub struct BareInference {
    decoder: Decoder,
    cores: Vec<OnnxModel>,
}

impl BareInference {
    /// Loads the set in the folder `set`.
    pub fn load(set: &Path) -> anyhow::Result<Self> {
        let TaggingConfig(WorkerConfig { runtime, decode, .. }) = TaggingConfig::load(None)?.config;
        let (set, runtime) = (ModelSet::load(set)?, Runtime::open(&runtime)?);
        let cores =
            (0..thread::available_parallelism()?.get()).map(|_| OnnxModel::load(&set, &runtime, BATCH));
        Ok(Self { decoder: Decoder::new(set.input_sizes(), decode), cores: cores.collect::<Result<_, _>>()? })
    }

    /// What the models are shown of each file.
    pub fn decode(&self, files: &[Bytes]) -> anyhow::Result<Vec<Pixels>> {
        Ok(files.iter().map(|file| self.decoder.decode(file)).collect::<Result<_, _>>()?)
    }

    /// Asks the models about every picture, on all cores. Returns the CPU seconds of a picture.
    pub fn run(&mut self, pictures: &[Pixels]) -> anyhow::Result<f64> {
        let begun = cpu_seconds("self")?;
        let next = AtomicUsize::new(0);
        let work = |model: &mut OnnxModel| -> anyhow::Result<()> {
            while let Some(batch) = pictures.chunks(BATCH).nth(next.fetch_add(1, Ordering::Relaxed)) {
                model.run(&batch.iter().collect::<Vec<_>>())?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let threads: Vec<_> = self.cores.iter_mut().map(|model| scope.spawn(|| work(model))).collect();
            threads.into_iter().try_for_each(|thread| thread.join().ok().context("a thread panicked")?)
        })?;
        Ok((cpu_seconds("self")? - begun) / pictures.len() as f64)
    }
}
