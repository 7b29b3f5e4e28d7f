//! A worker's own cache and recorder, with models that can be told from one another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use deadpool_postgres::Pool;
use prometheus::Registry;
use tagfleet_download::permits::Permits;
use tagfleet_shared::ids::BytesHash;
use tagfleet_shared::jobs::{TagImage, Trust};
use tagfleet_shared::lane::{Lane, LaneWeights};
use tagfleet_shared::tags::Tags;
use tagfleet_worker::config::TaggingConfig;
use tagfleet_worker::decoders::DecodeThreads;
use tagfleet_worker::inference::Inference;
use tagfleet_worker::known::{CacheConfig, Found, KnownImages};
use tagfleet_worker::lookup::Lookup;
use tagfleet_worker::metrics::Metrics;
use tagfleet_worker::model::{Answer, OnnxModel};
use tagfleet_worker::outcome::{Known, Outcome, Stop};
use tagfleet_worker::pipeline::Wanted;
use tagfleet_worker::record::{Ended, Recorder};
use tagfleet_worker::sets::SetAtWork;
use tagfleet_worker::source::Source;

use super::ATTRIBUTES;

/// Bytes of the first tier: a few dozen images, of thousands.
const CACHE: u64 = 128 << 10;

/// What a worker writes, by attribute; none: nothing, or null.
#[derive(Clone, Debug)]
pub struct Said(pub [Option<String>; ATTRIBUTES.len()]);

/// Everything of a worker but downloads and models.
pub struct Worker {
    set: Arc<SetAtWork>,
    recorder: Recorder,
}

impl Worker {
    /// A worker with the model set `name`.
    pub async fn start(pool: &Pool, name: &str) -> anyhow::Result<Self> {
        const SQL: &str = "INSERT INTO model_sets (digest, name) VALUES ($1, $1) RETURNING id";
        let id = pool.get().await?.query_one(SQL, &[&name]).await?.get(0);
        let metrics = Metrics::register(&Registry::new())?;
        let config = TaggingConfig::load(None)?.config.0;
        let lookup = Lookup::new(pool.clone(), id, None, metrics.clone());
        let weights = LaneWeights { express: 1, standard: 1, bulk: 1 };
        let defaults =
            ATTRIBUTES.iter().map(|attribute| (*attribute, Some(format!("default of {name}")))).collect();
        let cache = CacheConfig { max_bytes: CACHE, revalidate_after: Duration::ZERO };
        let set = SetAtWork {
            name: name.to_owned(),
            digest: name.to_owned(),
            provider: "none".to_owned(),
            id,
            defaults,
            known: KnownImages::new(&cache, Some(lookup), metrics.clone()),
            looks: Permits::new(1, weights),
            decoder: DecodeThreads::start(0, &[], &config.decode, &config.decoders, &metrics)?,
            models: Inference::start(Vec::<OnnxModel>::new(), &[], 1, &metrics)?,
        };
        let recorder = Recorder::new(pool.clone(), Duration::from_secs(60), metrics);
        Ok(Self { set: set.into(), recorder })
    }

    /// Cached, or what the models say; a few cannot be had or read.
    pub async fn find_out(&self, job: &TagImage) -> anyhow::Result<(Said, Outcome)> {
        let source = Source::Unreadable;
        let wanted = Wanted {
            id: job.image,
            source,
            lane: Lane::Express,
            scrape: Some(job.scrape),
            suspected: false,
            trust: Trust::Memory,
        };
        let known = self.set.known.find(&wanted).await.map_err(|stop| match stop {
            Stop::Outage(outage) => anyhow::Error::from(outage),
            other => anyhow::anyhow!("an image that nobody gave up: {other:?}"),
        })?;
        let outcome = match (known, job.seq % 16) {
            (_, 3) => Outcome::parked("killed_worker"),
            (_, 7) => Outcome::superseded(),
            (Found::Known(known) | Found::Due(known), _) => Outcome::Cached(known),
            (Found::Nothing, _) => Outcome::Inferred(Arc::new(self.look(job))),
        };
        let tags = match &outcome {
            Outcome::Defaulted(_) => self.set.defaults.clone(),
            Outcome::Skipped(_) => Tags::default(),
            other => other.known().context("it is known")?.answer.tags.clone(),
        };
        Ok((Said(ATTRIBUTES.map(|attribute| tags.get(attribute).map(str::to_owned))), outcome))
    }

    /// What this set says of an image, always the same.
    fn look(&self, job: &TagImage) -> Known {
        let says =
            |attribute: &&'static str| (*attribute, Some(format!("{} of {}", attribute, self.set.name)));
        let answer = Answer { tags: ATTRIBUTES.iter().map(says).collect(), ..Answer::default() };
        Known { answer, bytes: BytesHash(job.image.0), width: 1, height: 1, last_look: None }
    }

    /// Writes an outcome, as a worker does: until it is written.
    pub async fn record(&self, job: &Arc<TagImage>, outcome: Outcome) -> anyhow::Result<()> {
        let ended = Ended {
            job: job.clone(),
            outcome,
            set: self.set.clone(),
            began: Instant::now(),
            is_replaced: false,
        };
        loop {
            match self.recorder.record(ended.clone()).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
