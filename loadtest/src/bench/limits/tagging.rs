//! Decoding and inference alone: what the cores of this machine can do at best.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::Context;
use bytes::Bytes;
use tagfleet_worker::config::{TaggingConfig, WorkerConfig};
use tagfleet_worker::decode::Decoder;
use tagfleet_worker::model::{Model, ModelSet, OnnxModel, Runtime};

use crate::usage::cpu_seconds;

/// A decoder and a model for each core, with the settings of a worker.
pub struct BareTagging {
    cores: Vec<(Decoder, OnnxModel)>,
    batch: usize,
}

/// What the loop made of some pictures.
pub struct Pace {
    /// Pictures per second.
    pub per_second: f64,
    /// CPU time of a picture, in seconds.
    pub cpu_seconds: f64,
}

impl BareTagging {
    /// Loads the models.
    pub fn load() -> anyhow::Result<Self> {
        let TaggingConfig(WorkerConfig { models, runtime, decode, .. }) = TaggingConfig::load(None)?.config;
        let set = ModelSet::load(&models.dir)?;
        let runtime = Runtime::open(&runtime)?;
        let core = |_| {
            let decoder = Decoder::new(set.input_sizes(), decode.clone());
            Ok((decoder, OnnxModel::load(&set, &runtime, models.max_batch)?))
        };
        let cores = thread::available_parallelism()?.get();
        Ok(Self { cores: (0..cores).map(core).collect::<anyhow::Result<_>>()?, batch: models.max_batch })
    }

    /// Tags every file: a thread per core, each of which takes a batch, decodes it and asks the
    /// models.
    pub fn run(&mut self, files: &[Bytes]) -> anyhow::Result<Pace> {
        let (begun, cpu) = (Instant::now(), cpu_seconds("self")?);
        let (next, size) = (AtomicUsize::new(0), self.batch);
        let work = |(decoder, model): &mut (Decoder, OnnxModel)| -> anyhow::Result<()> {
            while let Some(batch) = files.chunks(size).nth(next.fetch_add(1, Ordering::Relaxed)) {
                let pixels = batch.iter().map(|file| decoder.decode(file)).collect::<Result<Vec<_>, _>>()?;
                model.run(&pixels.iter().collect::<Vec<_>>())?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let threads: Vec<_> = self.cores.iter_mut().map(|core| scope.spawn(|| work(core))).collect();
            threads.into_iter().try_for_each(|thread| thread.join().ok().context("a thread panicked")?)
        })?;
        let count = files.len() as f64;
        Ok(Pace {
            per_second: count / begun.elapsed().as_secs_f64(),
            cpu_seconds: (cpu_seconds("self")? - cpu) / count,
        })
    }
}
