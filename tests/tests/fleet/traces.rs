//! Traces: one for each scrape, through every process that has to do with it.

use std::collections::BTreeSet;

use tagfleet_loadtest::origin::Response;
use tagfleet_shared::broker::{Outgoing, Received, SCRAPE_FINISHED, SCRAPE_TAGGED};
use tagfleet_shared::dead;
use tagfleet_shared::events::ScrapeFinished;
use tagfleet_shared::lane::Lane;
use tagfleet_shared::traces::ScrapeTrace;
use tagfleet_tests::{Collector, Fleet, Options, Process, TracedSpan, jpeg, listed, scrape};

/// The trace of somebody who publishes an event.
const PIPELINE: (&str, &str) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");

/// A fleet whose scheduler and worker are processes: a process has one log, and one way to a collector.
async fn fleet(settings: Vec<(&'static str, String)>) -> Fleet {
    Fleet::with(Options { schedulers: 0, workers: 0, settings, ..Options::default() }).await
}

/// Stops them, so that all of their spans are sent.
async fn stop(processes: [Process; 2]) {
    for process in processes {
        assert!(process.terminate().await, "a stop is not a failure");
    }
}

/// A good picture, one whose host is unwell for a moment, and a dead link.
fn three_fates(fleet: &Fleet) -> ScrapeFinished {
    let unwell =
        Response::StatusThenBytes { status: 503, times: 1, headers: Vec::new(), body: jpeg().into() };
    fleet.origin.put("/unwell.jpg", unwell);
    let urls = [fleet.picture("/good.jpg"), fleet.origin.url("/unwell.jpg"), fleet.origin.url("/gone.jpg")];
    scrape("dealer", urls.map(listed).to_vec())
}

/// The jobs of the images that ended like this, the earlier first.
fn jobs<'a>(spans: &'a [TracedSpan], outcome: &str) -> Vec<&'a TracedSpan> {
    let ended = spans.iter().filter(|span| span.says("outcome") == outcome);
    let images: BTreeSet<_> = ended.map(|span| span.says("image.id")).collect();
    let mut jobs: Vec<_> =
        spans.iter().filter(|span| span.name == "job" && images.contains(span.says("image.id"))).collect();
    jobs.sort_by_key(|span| span.times);
    jobs
}

/// The names of the spans below this one.
fn below<'a>(spans: &'a [TracedSpan], parent: &TracedSpan) -> BTreeSet<&'a str> {
    spans.iter().filter(|span| span.parent == parent.id).map(|span| &*span.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_is_one_trace_from_its_event_to_its_announcement() {
    let collector = Collector::start().await;
    let fleet = fleet(collector.settings("1")).await;
    let mut listener = fleet.broker.listen(SCRAPE_TAGGED).await.unwrap();
    let processes = [fleet.spawn_scheduler(), fleet.spawn_worker()];
    let event = three_fates(&fleet);
    let (body, id) = (serde_json::to_vec(&event).unwrap(), event.scrape_id.to_string());
    let pipeline = format!("00-{}-{}-01", PIPELINE.0, PIPELINE.1);
    let outgoing =
        Outgoing::event(fleet.broker.topology(), SCRAPE_FINISHED, id, body).traced(Some(&pipeline));
    fleet.broker.publisher().publish(&[outgoing]).await.unwrap();
    fleet.announced(&event.scrape_id).await;
    let announcement = listener.next().await;
    collector.has("scrape").await;
    stop(processes).await;

    let spans = collector.spans();
    let header = ScrapeTrace::of(&event.scrape_id).header();
    let roots: Vec<_> = spans.iter().filter(|span| span.parent.is_empty()).collect();
    let [root] = roots[..] else { panic!("{roots:#?}") };
    assert_eq!((&*root.name, &*root.service), ("scrape", "tagfleet-scheduler"));
    assert_eq!(format!("00-{}-{}-01", root.trace, root.id), header);
    assert_eq!(announcement.header("traceparent"), Some(header));
    announcement.ack();
    listener.close().finished().await;
    let said = ["scrape.id", "lane", "images", "images.inferred", "images.skipped"].map(|key| root.says(key));
    assert_eq!(said, [&*event.scrape_id.0, "express", "3", "2", "1"]);

    // The chain of parents holds, and nothing is outside of the scrape.
    let ids: BTreeSet<_> = spans.iter().map(|span| &span.id).collect();
    assert_eq!(ids.len(), spans.len(), "no span came twice");
    for span in &spans {
        assert_eq!(span.trace, root.trace, "{span:#?}");
        assert!(span.parent.is_empty() || ids.contains(&span.parent), "{span:#?}");
        assert!(span.times.0 <= span.times.1, "{span:#?}");
        assert!(!span.said.values().any(|said| said.contains("://")), "{span:#?}");
    }
    assert_eq!(below(&spans, root), ["announce", "fan_out", "job"].into());
    let fan_out = spans.iter().find(|span| span.name == "fan_out").unwrap();
    assert_eq!(fan_out.links, [format!("{}-{}", PIPELINE.0, PIPELINE.1)]);
    assert_eq!(below(&spans, fan_out), ["list", "publish"].into());

    let inferred = jobs(&spans, "inferred");
    let put_off: Vec<_> = inferred.iter().filter(|job| job.says("ending") == "put_off").collect();
    let [retried] = put_off[..] else { panic!("{inferred:#?}") };
    assert_eq!((retried.says("attempt"), retried.says("reason")), ("0", "server_error"));
    assert_eq!(below(&spans, retried), ["download", "lookup", "turn"].into());
    let done: Vec<_> = inferred.iter().filter(|job| job.says("ending") == "recorded").collect();
    assert_eq!(done.len(), 2);
    for job in &done {
        let stages = ["decode", "download", "infer", "lookup", "match", "record", "turn"];
        assert_eq!(below(&spans, job), stages.into());
        assert_eq!((&*job.service, job.says("lane")), ("tagfleet-worker", "express"));
    }
    let again = done.iter().find(|job| job.says("image.id") == retried.says("image.id")).unwrap();
    assert_eq!(again.says("attempt"), "1");
    let [skipped] = jobs(&spans, "skipped")[..] else { panic!("{spans:#?}") };
    assert_eq!((skipped.says("ending"), skipped.says("reason")), ("recorded", "gone"));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_of_a_scrape_that_is_not_sampled() {
    let collector = Collector::start().await;
    let fleet = fleet(collector.settings("0")).await;
    let processes = [fleet.spawn_scheduler(), fleet.spawn_worker()];
    let event = three_fates(&fleet);
    fleet.publish(&event).await;
    fleet.announced(&event.scrape_id).await;
    stop(processes).await;

    assert!(collector.spans().is_empty(), "{:#?}", collector.spans());
    fleet.end().await;
}

/// The first job that waits in the lane.
async fn waiting(fleet: &Fleet, then: impl FnOnce(&Received)) {
    let mut jobs = fleet.broker.consume(fleet.broker.topology().lane_queue(Lane::Express), 1);
    let job = jobs.next().await;
    then(&job);
    job.ack();
    jobs.close().finished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_belong_to_no_trace_where_there_is_no_collector() {
    let settings = vec![("TAGFLEET__TRACES__SAMPLE", "1".to_owned())];
    let fleet = Fleet::with(Options { workers: 0, settings, ..Options::default() }).await;
    fleet.publish(&scrape("dealer", vec![listed(fleet.picture("/one.jpg"))])).await;

    waiting(&fleet, |job| assert_eq!(job.header("traceparent"), None)).await;
    fleet.end().await;
}

/// What a person sends back is a job of the same scrape.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_is_sent_back_is_in_its_trace() {
    let collector = Collector::start().await;
    let settings = collector.settings("1");
    let fleet = Fleet::with(Options { workers: 0, settings, ..Options::default() }).await;
    let event = scrape("dealer", vec![listed(fleet.picture("/one.jpg"))]);
    fleet.publish(&event).await;
    let mut letter = None;
    waiting(&fleet, |job| {
        letter = Some(Outgoing::dead_letter(fleet.broker.topology(), job, "panicked", "in a test"));
    })
    .await;
    fleet.broker.publisher().publish(&letter.into_iter().collect::<Vec<_>>()).await.unwrap();
    dead::redrive(&fleet.broker, &fleet.database.pool, dead::Filter::default()).await.unwrap();

    let header = ScrapeTrace::of(&event.scrape_id).header();
    waiting(&fleet, |job| assert_eq!(job.header("traceparent"), Some(header))).await;
    fleet.end().await;
}

/// One that takes connections and never answers is the worst: whoever waited for it would wait for long.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_holds_up_nobody_and_is_told_once() {
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = vec![
        ("TAGFLEET__TRACES__ENDPOINT", format!("http://{}", deaf.local_addr().unwrap())),
        ("TAGFLEET__TRACES__SAMPLE", "1".to_owned()),
    ];
    let mut fleet = fleet(settings).await;
    let scheduler = fleet.spawn_scheduler();
    // And one where nobody is: each request fails at once.
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    fleet.change("TAGFLEET__TRACES__ENDPOINT", &format!("http://me:secret@{nobody}"));
    let worker = fleet.spawn_worker();
    let log = worker.log.clone();
    for _ in 0..3 {
        let event = scrape("dealer", fleet.pictures(20).into_iter().map(listed).collect());
        assert_eq!(fleet.tag(&event).await.outcomes["inferred"], 20);
    }
    stop([scheduler, worker]).await;

    let logged = std::fs::read_to_string(log).unwrap();
    assert_eq!(logged.matches("traces cannot be sent").count(), 1, "{logged}");
    assert!(!logged.contains("secret"), "{logged}");
    fleet.end().await;
}
