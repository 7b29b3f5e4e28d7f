//! The worker's settings. Their manual, with all defaults, is `config.toml`.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use tagfleet_download::DownloadConfig;
use tagfleet_shared::admin::AdminConfig;
use tagfleet_shared::broker::BrokerConfig;
use tagfleet_shared::config::{self, Check, ConfigError, Loaded, LogConfig};
use tagfleet_shared::db::DatabaseConfig;
use tagfleet_shared::lane::LaneWeights;
use tagfleet_shared::traces;

use crate::decode::DecodeLimits;
use crate::decoders::DecodersConfig;
use crate::known::CacheConfig;
use crate::model::RuntimeConfig;
use crate::report::ReportConfig;

/// The defaults, and the manual.
pub const DEFAULTS: &str = include_str!("../config.toml");

/// Every setting of the worker.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerConfig {
    /// Logs.
    pub log: LogConfig,
    /// The port for operators.
    pub admin: AdminConfig,
    /// RabbitMQ.
    pub broker: BrokerConfig,
    /// Postgres.
    pub database: DatabaseConfig,
    /// How the lanes share the worker.
    pub lanes: LaneWeights,
    /// How many jobs are at work, and for how long.
    pub work: WorkConfig,
    /// What the worker tells of itself.
    pub report: ReportConfig,
    /// The first cache tier.
    pub cache: CacheConfig,
    /// Limits of a download.
    pub download: DownloadConfig,
    /// Limits of a picture.
    pub decode: DecodeLimits,
    /// The processes that decode.
    pub decoders: DecodersConfig,
    /// The model set, and how it is run.
    pub models: ModelsConfig,
    /// ONNX Runtime.
    pub runtime: RuntimeConfig,
    /// Traces of jobs.
    pub traces: TracesConfig,
}

/// How many jobs are at work, and for how long.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkConfig {
    /// Jobs at work at once.
    pub prefetch: u16,
    /// Pictures at once, from the download to the end of decoding; not those that their hosts keep waiting.
    pub pictures: usize,
    /// Threads that decode; 0 for one per core.
    pub decode_threads: usize,
    /// How long a lasting failure is remembered.
    #[serde(with = "humantime_serde")]
    pub remember_failures: Duration,
    /// When a job that came back is suspected.
    pub returns: ReturnLimits,
    /// How long a job may be at work or held before it is given back.
    #[serde(with = "humantime_serde")]
    pub give_back_after: Duration,
    /// How long jobs in flight may take after a stop was asked for.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
}

/// How often a job may come back because its worker died or lost the broker.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReturnLimits {
    /// After so many returns it is tried alone.
    pub alone_after: u32,
    /// After so many attempts, the first one among others and the rest alone, it is not tried any more.
    pub give_up_after: u32,
}

/// The model set, and how it is run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelsConfig {
    /// The folder with `manifest.toml`.
    pub dir: PathBuf,
    /// Copies of the models, each on a thread of its own; 0 for the best
    /// number for the device.
    pub sessions: usize,
    /// Pictures in one run of the models at most.
    pub max_batch: usize,
    /// Whether the embeddings of pictures that the models look at are stored.
    pub store_embeddings: bool,
}

/// Traces of jobs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracesConfig {
    /// The collector; empty where there is none.
    pub endpoint: SecretString,
}

impl WorkerConfig {
    /// Loads defaults, `file` and environment.
    ///
    /// # Errors
    ///
    /// Lists every problem.
    pub fn load(file: Option<PathBuf>) -> Result<Loaded<Self>, ConfigError> {
        config::load(DEFAULTS, config::file(file).as_deref(), config::environment())
    }
}

impl Check for WorkerConfig {
    fn check(&self, problems: &mut Vec<String>) {
        self.log.check(problems);
        self.broker.check(problems);
        self.database.check(problems);
        traces::check(&self.traces.endpoint, problems);
        check_tagging(self, problems);
        let LaneWeights { express, standard, bulk } = self.lanes;
        if [express, standard, bulk] == [0, 0, 0] {
            problems.push("lanes: all weights are 0, the worker would take no jobs".into());
        }
        let (give_up, limit) = (self.work.returns.give_up_after, self.broker.delivery_limit);
        if self.work.returns.alone_after == 0 || give_up < 2 {
            problems.push(
                "work.returns: alone_after must be at least 1 and give_up_after at least 2, or no job is tried among others"
                    .into(),
            );
        }
        if self.work.give_back_after.is_zero() {
            problems.push("work.give_back_after must be longer than nothing".into());
        }
        if self.report.every.is_zero() {
            problems.push("report.every must be longer than nothing".into());
        }
        if give_up > limit {
            problems.push(format!(
                "work.returns.give_up_after ({give_up}) must not exceed broker.delivery_limit ({limit}), or the broker parks the job without an outcome"
            ));
        }
        let (prefetch, max_batch) = (self.work.prefetch, self.models.max_batch);
        if usize::from(prefetch) < 2 * max_batch {
            problems.push(format!(
                "work.prefetch ({prefetch}) must be at least twice models.max_batch ({max_batch}), or the models wait for jobs"
            ));
        }
    }
}

/// What `tagfleet-worker tag` needs: no broker and no database.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct TaggingConfig(pub WorkerConfig);

impl TaggingConfig {
    /// Loads defaults, `file` and environment.
    ///
    /// # Errors
    ///
    /// Lists every problem.
    pub fn load(file: Option<PathBuf>) -> Result<Loaded<Self>, ConfigError> {
        config::load(DEFAULTS, config::file(file).as_deref(), config::environment())
    }
}

impl Check for TaggingConfig {
    fn check(&self, problems: &mut Vec<String>) {
        check_tagging(&self.0, problems);
    }
}

fn check_tagging(config: &WorkerConfig, problems: &mut Vec<String>) {
    problems.extend(config.download.problems());
    config.decoders.check(problems);
    if config.models.max_batch == 0 {
        problems.push("models.max_batch must be at least 1".into());
    }
    if config.work.prefetch == 0 {
        problems.push("work.prefetch must be at least 1".into());
    }
    let (pictures, max_batch) = (config.work.pictures, config.models.max_batch);
    if pictures < 2 * max_batch {
        problems.push(format!(
            "work.pictures ({pictures}) must be at least twice models.max_batch ({max_batch}), or the models wait for downloads"
        ));
    }
    if config.decode.max_memory_bytes == 0 {
        problems.push("decode.max_memory_bytes must be at least 1".into());
    }
    if config.decode.max_pixels == 0 {
        problems.push("decode.max_pixels must be at least 1".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variables: &[(&str, &str)]) -> Result<Loaded<WorkerConfig>, ConfigError> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        config::load(DEFAULTS, None, variables)
    }

    #[test]
    fn the_defaults_lack_only_the_servers() {
        let config = load(&[]).unwrap().config;
        let urls = [("broker.url", &config.broker.url), ("database.url", &config.database.url)];
        let error = config::require(&urls).unwrap_err();
        assert_eq!(error.0[0], "broker.url is required (TAGFLEET__BROKER__URL)");
        assert_eq!(error.0[1], "database.url is required (TAGFLEET__DATABASE__URL)");
    }

    #[test]
    fn a_small_prefetch_is_told_with_its_reason() {
        let error = load(&[
            ("TAGFLEET__BROKER__URL", "amqp://localhost/%2f"),
            ("TAGFLEET__DATABASE__URL", "postgres://localhost/tagfleet"),
            ("TAGFLEET__WORK__PREFETCH", "4"),
            ("TAGFLEET__MODELS__MAX_BATCH", "8"),
        ])
        .unwrap_err();
        assert_eq!(error.0.len(), 1, "{error}");
        assert!(error.0[0].starts_with("work.prefetch (4) must be at least twice models.max_batch (8)"));
    }
}
