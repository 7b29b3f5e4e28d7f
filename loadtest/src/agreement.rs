//! Whether the fast decode and a full one come to the same answers.
//!
//! A worker decodes a JPEG at the smallest scale that its models can do with. Here every picture is
//! decoded both ways, and the models are asked about both.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::Context;
use bytes::Bytes;
use tagfleet_worker::config::{TaggingConfig, WorkerConfig};
use tagfleet_worker::decode::Decoder;
use tagfleet_worker::model::{Answer, Model, ModelSet, OnnxModel, Runtime};

/// What came of some pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Agreement {
    /// JPEGs that could be decoded: only these are ever scaled.
    pub pictures: usize,
    /// Of these, those with the same likeliest class of every attribute.
    pub agree: usize,
    /// The largest difference of a score, of 1, among those that agree.
    pub largest_difference: f32,
}

impl Agreement {
    /// How many of a hundred agree.
    pub fn percent(&self) -> f64 {
        100.0 * self.agree as f64 / self.pictures.max(1) as f64
    }

    fn add(&mut self, other: &Self) {
        self.pictures += other.pictures;
        self.agree += other.agree;
        self.largest_difference = self.largest_difference.max(other.largest_difference);
    }

    fn count(&mut self, fast: &Answer, full: &Answer) {
        self.pictures += 1;
        if fast.tags == full.tags {
            self.agree += 1;
            let scores = fast.scores.0.values().zip(full.scores.0.values());
            let largest = scores.map(|(fast, full)| (fast - full).abs()).fold(0.0, f32::max);
            self.largest_difference = self.largest_difference.max(largest);
        }
    }
}

/// Compares the two ways on `count` files, with the settings of a worker and a thread for each core.
/// `file` gives the file of a number, or nothing where there is none.
///
/// # Errors
///
/// If the models cannot be loaded, or fail.
pub fn compare(count: usize, file: impl Fn(usize) -> Option<Bytes> + Sync) -> anyhow::Result<Agreement> {
    let TaggingConfig(config) = TaggingConfig::load(None)?.config;
    compare_with(&config, count, file)
}

/// The same with other settings.
///
/// # Errors
///
/// If the models cannot be loaded, or fail.
pub fn compare_with(
    config: &WorkerConfig,
    count: usize,
    file: impl Fn(usize) -> Option<Bytes> + Sync,
) -> anyhow::Result<Agreement> {
    // A threshold turns a small difference into another tag; here the likeliest class counts.
    let set = ModelSet::load(&config.models.dir)?.without_thresholds();
    let runtime = Runtime::open(&config.runtime)?;
    let fast = Decoder::new(set.input_sizes(), config.decode.clone());
    let full = Decoder::in_full(set.input_sizes(), config.decode.clone());

    let next = AtomicUsize::new(0);
    let work = || -> anyhow::Result<Agreement> {
        let mut model = OnnxModel::load(&set, &runtime, 2)?;
        let mut agreement = Agreement::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(agreement);
            }
            let Some(file) = file(number).filter(|file| file.starts_with(b"\xff\xd8")) else { continue };
            let (Ok(fast), Ok(full)) = (fast.decode(&file), full.decode(&file)) else { continue };
            if let [fast, full] = &model.run(&[&fast, &full])?[..] {
                agreement.count(fast, full);
            }
        }
    };
    let mut agreement = Agreement::default();
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..thread::available_parallelism()?.get()).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            agreement.add(&thread.join().ok().context("a thread panicked")??);
        }
        Ok(agreement)
    })
}
