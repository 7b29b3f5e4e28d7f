//! The pipeline with models that never answer.

use std::time::Duration;

use prometheus::Registry;
use tagfleet_shared::tags::Tags;

use self::server::{Server, ok};
use super::*;
use crate::config::WorkerConfig;
use crate::decoders::DecodeThreads;
use crate::inference::Inference;
use crate::known::{CacheConfig, KnownImages};
use crate::model::OnnxModel;

#[path = "../../../download/src/tests/server.rs"]
#[allow(dead_code, reason = "the downloader's own tests use all of it")]
mod server;

/// A picture of one pixel.
fn bmp() -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    for word in [58u32, 0, 54, 40, 1, 1, 1 | 24 << 16, 0, 4, 0, 0, 0, 0, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes
}

/// Without a thread that runs them, the models are as sick as can be.
fn sick(config: &WorkerConfig, metrics: &Metrics) -> SetAtWork {
    let nothing = String::new;
    let limits = crate::decode::DecodeLimits { max_pixels: 100, max_memory_bytes: 1_000_000 };
    SetAtWork {
        name: nothing(),
        digest: nothing(),
        provider: nothing(),
        id: 0,
        defaults: Tags::default(),
        known: KnownImages::new(
            &CacheConfig { max_bytes: 1000, revalidate_after: Duration::ZERO },
            None,
            metrics.clone(),
        ),
        looks: Permits::new(1, config.lanes),
        decoder: DecodeThreads::start(1, &[], &limits, &config.decoders, metrics).unwrap(),
        models: Inference::start(Vec::<OnnxModel>::new(), &[], 1, metrics).unwrap(),
    }
}

/// Their jobs are held, and tried again and again: that costs no downloads.
#[tokio::test]
async fn while_the_models_are_sick_nothing_is_downloaded() {
    let server = Server::start(|_| ok(&bmp())).await;
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let settings = [
        ("TAGFLEET__DOWNLOAD__ALLOW_NETWORKS", "127.0.0.1/32"),
        ("TAGFLEET__DECODERS__ISOLATED", "false"),
        ("TAGFLEET__BROKER__URL", "amqp://x"),
        ("TAGFLEET__DATABASE__URL", "postgres://x"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let defaults = crate::config::DEFAULTS;
    let config: WorkerConfig = tagfleet_shared::config::load(defaults, None, settings).unwrap().config;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pipeline = crate::app::build_pipeline(&config, sick(&config, &metrics), metrics).unwrap();
    let set = pipeline.sets.now();

    for path in ["/1.bmp", "/2.bmp", "/3.bmp", "/1.bmp"] {
        let source = Source::Url(server.url(path));
        let image = Wanted {
            id: ImageId::of(None, path),
            source,
            lane: Lane::Standard,
            scrape: None,
            suspected: false,
            trust: Trust::Memory,
        };
        let end = pipeline.run(&set, &image).await;
        assert!(matches!(end, Err(Outage::Models(_))), "{end:?}");
    }

    assert_eq!(server.requests().len(), 1, "the first one finds out");
}
