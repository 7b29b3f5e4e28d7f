//! Scrapes whose inventory cannot be read, or not to its end.

use std::sync::Arc;

use jiff::{Timestamp, ToSpan};
use tagfleet_loadtest::origin::Response;
use tagfleet_scheduler::config::{DEFAULTS, SchedulerConfig};
use tagfleet_scheduler::fan_out::FanOut;
use tagfleet_scheduler::manifest::Manifests;
use tagfleet_scheduler::metrics::Metrics;
use tagfleet_scheduler::patient_publisher::PatientPublisher;
use tagfleet_scheduler::sampling::Sampling;
use tagfleet_shared::events::ScrapeFinished;
use tagfleet_shared::lane::Lane;
use tagfleet_shared::{config, db};
use tagfleet_tests::{Fleet, Options, listed, looked_at, scrape};
use tokio_util::sync::CancellationToken;
use tracing::instrument::WithSubscriber;
use tracing::{Event, Level, Metadata, Subscriber, span};

/// A scrape with a manifest instead of images.
fn behind_manifest(fleet: &Fleet, path: &str) -> ScrapeFinished {
    let manifest_url = Some(fleet.origin.url(path));
    ScrapeFinished { images: None, manifest_url, ..scrape("dealer", Vec::new()) }
}

/// A manifest of pictures that are there.
fn lines(fleet: &Fleet, count: usize) -> String {
    let line = |url| serde_json::to_string(&listed(url)).unwrap() + "\n";
    fleet.pictures(count).into_iter().map(line).collect()
}

fn manifest(text: String) -> Response {
    Response::Bytes { content_type: "application/x-ndjson", body: text.into() }
}

/// It keeps nobody waiting, and its event can be sent again.
#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_of_which_nothing_can_be_read_is_refused_until_its_event_comes_again() {
    let fleet = Fleet::start().await;
    let event = behind_manifest(&fleet, "/late.ndjson");
    fleet.publish(&event).await;
    fleet.dead_letter().await;
    assert_eq!(fleet.count("SELECT count(*) FROM scrapes WHERE state = 'refused'").await, 1);
    fleet.execute("UPDATE scrapes SET day = '2020-01-01'; SELECT ensure_partition('2020-01-01')").await;
    assert_eq!(fleet.count("SELECT drop_partitions_before(now()::date)::int8").await, 1);

    fleet.origin.put("/late.ndjson", manifest(lines(&fleet, 1)));
    fleet.publish(&event).await;

    assert_eq!(fleet.announced(&event.scrape_id).await.outcomes["inferred"], 1);
    fleet.end().await;
}

/// Nothing of its first try stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_scrape_is_open_again_as_if_it_had_never_come_before() {
    let fleet = Fleet::start().await;
    let newer = scrape("dealer", fleet.pictures(1).into_iter().map(listed).collect());
    fleet.tag(&newer).await;
    let mut event = behind_manifest(&fleet, "/late.ndjson");
    event.finished_at = newer.finished_at - 1.hour();
    fleet.publish(&event).await;
    fleet.dead_letter().await;
    fleet.execute("UPDATE scrapes SET received_at = '2020-01-01' WHERE state = 'refused'").await;

    fleet.origin.put("/late.ndjson", manifest(lines(&fleet, 1)));
    event.finished_at = Timestamp::now();
    event.lane = Some(Lane::Bulk);
    let tagged = fleet.tag(&event).await;

    assert_eq!((tagged.outcomes["inferred"], tagged.superseded_by), (1, None));
    assert_eq!(tagged.finished_at.as_microsecond(), event.finished_at.as_microsecond());
    assert!(tagged.received_at > newer.finished_at, "{}", tagged.received_at);
    assert_eq!(fleet.count("SELECT count(*) FROM scrapes WHERE lane = 'bulk'").await, 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_listed_of_a_manifest_that_breaks_off_comes_to_its_end() {
    let settings = vec![
        ("TAGFLEET__FAN_OUT__PAGE_SIZE", "2".to_owned()),
        ("TAGFLEET__FAN_OUT__MANIFEST_PATIENCE", "1ms".to_owned()),
    ];
    let fleet = Fleet::with(Options { settings, ..Options::default() }).await;
    let body = lines(&fleet, 5);
    let broken_off = Response::LyingLength { claimed: body.len() as u64 + 100, body: body.into() };
    fleet.origin.put("/half.ndjson", broken_off);
    let event = behind_manifest(&fleet, "/half.ndjson");
    let tagged = fleet.tag(&event).await;

    assert_eq!((tagged.images, looked_at(&tagged)), (5, 5));
    let (reason, error, _) = fleet.dead_letter().await;
    assert_eq!(reason, "manifest_unavailable");
    assert!(error.starts_with("manifest_url: broke off"), "{error}");
    fleet.end().await;
}

/// Nobody reads it again once it is fanned out, so a scheduler that dies in between
/// must not take the only word of the rest with it.
#[tokio::test(flavor = "multi_thread")]
async fn the_dead_letter_of_a_manifest_that_breaks_off_comes_before_its_end() {
    let settings = vec![("TAGFLEET__FAN_OUT__MANIFEST_PATIENCE", "1ms".to_owned())];
    let fleet = Fleet::with(Options { settings, ..Options::default() }).await;
    let outage = "CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql AS
                  $$ BEGIN RAISE EXCEPTION 'away' USING ERRCODE = '57P03'; END $$;
                  CREATE TRIGGER away BEFORE UPDATE ON scrapes FOR EACH ROW
                  WHEN (NEW.state = 'tagging') EXECUTE FUNCTION away()";
    fleet.execute(outage).await;
    let body = lines(&fleet, 5);
    let broken_off = Response::LyingLength { claimed: body.len() as u64 + 100, body: body.into() };
    fleet.origin.put("/half.ndjson", broken_off);
    let event = behind_manifest(&fleet, "/half.ndjson");
    fleet.publish(&event).await;

    assert_eq!(fleet.dead_letter().await.0, "manifest_unavailable");
    assert_eq!(fleet.count("SELECT count(*) FROM scrapes WHERE state = 'fanning_out'").await, 1);

    fleet.execute("DROP TRIGGER away ON scrapes").await;
    assert_eq!(looked_at(&fleet.announced(&event.scrape_id).await), 5);
    fleet.end().await;
}

/// Makes the scheduler panic where it would tell of a malformed line.
struct Panicking;

impl Subscriber for Panicking {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN && metadata.target() == "tagfleet_scheduler::manifest"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {
        panic!("a mistake in the scheduler");
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// The fan-outs of a scheduler of this fleet.
fn fan_outs(fleet: &Fleet) -> FanOut {
    let settings = fleet.settings_of_scheduler();
    let config = config::load::<SchedulerConfig>(DEFAULTS, None, settings).unwrap().config;
    let metrics = Metrics::register(&Default::default()).unwrap();
    let stop = CancellationToken::new();
    FanOut {
        pool: db::pool(&config.database).unwrap(),
        publisher: PatientPublisher::new(&fleet.broker, metrics.clone(), stop.clone()),
        manifests: Manifests::new(&config.fan_out).unwrap(),
        lanes: config.lanes,
        page_size: config.fan_out.page_size,
        sampling: Sampling::of(&config.traces),
        metrics,
        stop,
    }
}

/// An event on which the scheduler panics is dead-lettered; its scrape is
/// refused where nothing of it is listed, and comes to its end otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_meets_a_mistake_leaves_no_open_scrape_and_its_neighbours_are_unharmed() {
    let settings = vec![("TAGFLEET__FAN_OUT__PAGE_SIZE", "2".to_owned())];
    let mut fleet = Fleet::with(Options { schedulers: 0, settings, ..Options::default() }).await;
    fleet.origin.put("/half.ndjson", manifest(lines(&fleet, 4) + "{\"url\":7}\n"));
    fleet.origin.put("/none.ndjson", manifest("{\"url\":7}\n".to_owned()));
    let (half, none) = (behind_manifest(&fleet, "/half.ndjson"), behind_manifest(&fleet, "/none.ndjson"));
    let neighbour = scrape("another dealer", fleet.pictures(5).into_iter().map(listed).collect());
    let mut events = fleet.broker.consume(fleet.broker.topology().finished_queue(), 3);
    let fan_outs = Arc::new(fan_outs(&fleet));
    let mut working = Vec::new();
    for event in [&half, &none, &neighbour] {
        fleet.publish(event).await;
        let (fan_outs, received) = (fan_outs.clone(), events.next().await);
        working.push(async move { fan_outs.work(received).await }.with_subscriber(Panicking));
    }
    futures::future::join_all(working).await;
    events.close().finished().await;

    for _ in [&half, &none] {
        assert_eq!(fleet.dead_letter().await.0, "panicked");
    }
    fleet.start_scheduler().await;
    assert_eq!(fleet.announced(&neighbour.scrape_id).await.outcomes["inferred"], 5);
    assert_eq!(looked_at(&fleet.announced(&half.scrape_id).await), 4);
    let refused = format!("scrape_id = '{}' AND state = 'refused'", none.scrape_id);
    assert_eq!(fleet.count(&format!("SELECT count(*) FROM scrapes WHERE {refused}")).await, 1);
    fleet.end().await;
}
