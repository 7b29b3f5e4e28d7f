//! Processes of the fleet that die or are stopped in the middle of their work.

use tagfleet_loadtest::origin::Response;
use tagfleet_shared::events::ScrapeFinished;
use tagfleet_tests::{Fleet, Options, eventually, get, jpeg, listed, metric, scrape};

/// Waits until `sql` gives at least `least`.
async fn at_least(fleet: &Fleet, least: i64, sql: &str) {
    eventually(&format!("{sql} gives {least}"), || async { (fleet.count(sql).await >= least).then_some(()) })
        .await;
}

const ENDED: &str = "SELECT count(*) FROM scrape_images WHERE outcome IS NOT NULL";

/// Every image has one outcome, and the announcement counts each once.
pub(crate) async fn everything_ended_once(fleet: &Fleet, event: &ScrapeFinished) {
    let tagged = fleet.announced(&event.scrape_id).await;
    let images = event.images.as_ref().unwrap().len() as u64;
    assert_eq!(tagged.images, images);
    assert_eq!(tagged.outcomes.values().sum::<u64>(), images, "{:?}", tagged.outcomes);
    let rows = fleet.rows(&event.scrape_id).await;
    assert_eq!(rows.len() as u64, images);
    assert!(rows.iter().all(|row| row.outcome.is_some()));
    let dead = fleet.broker.depth(&fleet.broker.topology().dead()).await.unwrap();
    assert_eq!(dead.0, 0, "no job was dead-lettered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_in_mid_batch_loses_nothing() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let (doomed, survivor) = (fleet.spawn_worker(), fleet.spawn_worker());
    let event = scrape("dealer", fleet.pictures(150).into_iter().map(listed).collect());
    fleet.publish(&event).await;
    at_least(&fleet, 20, ENDED).await;
    doomed.kill();
    at_least(&fleet, 60, ENDED).await;
    survivor.kill();
    assert!(fleet.count(ENDED).await < 150, "the kills came too late to show anything");
    let last = fleet.spawn_worker();

    everything_ended_once(&fleet, &event).await;
    assert!(last.terminate().await, "a stop is not a failure");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_is_killed_in_mid_fan_out_misses_no_image() {
    let settings = vec![("TAGFLEET__FAN_OUT__PAGE_SIZE", "50".to_owned())];
    let fleet = Fleet::with(Options { schedulers: 0, settings, ..Options::default() }).await;
    let url = fleet.picture("/one.jpg");
    let event = scrape("dealer", vec![listed(url); 5000]);
    let first = fleet.spawn_scheduler();
    fleet.publish(&event).await;
    at_least(&fleet, 200, "SELECT coalesce(max(published), 0)::int8 FROM scrapes").await;
    first.kill();
    let second = fleet.spawn_scheduler();
    at_least(&fleet, 2000, "SELECT coalesce(max(published), 0)::int8 FROM scrapes").await;
    second.kill();
    let left = fleet.count("SELECT 5000 - published::int8 FROM scrapes").await;
    assert!(left > 0, "the kills came too late to show anything");
    let third = fleet.spawn_scheduler();

    everything_ended_once(&fleet, &event).await;
    assert_eq!(fleet.origin.requests("/one.jpg"), 1);
    assert!(third.terminate().await);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_causes_no_redelivery_of_finished_work() {
    let settings = vec![("TAGFLEET__WORK__PREFETCH", "16".to_owned())];
    let mut fleet = Fleet::with(Options { settings, ..Options::default() }).await;
    let event = scrape("dealer", fleet.pictures(120).into_iter().map(listed).collect());
    fleet.publish(&event).await;
    at_least(&fleet, 30, ENDED).await;
    let stopping = fleet.workers.remove(0);
    let first_admin = stopping.admin;
    stopping.stop().await;
    let ended_by_first = fleet.count(ENDED).await;
    assert!(ended_by_first < 120, "the stop came too late to show anything");
    fleet.start_worker().await;

    everything_ended_once(&fleet, &event).await;
    let ended = || async {
        let mut ended = 0.0;
        for admin in [first_admin, fleet.workers[0].admin] {
            ended += metric(&get(admin, "/metrics").await.1, "tagfleet_worker_jobs_total");
        }
        ended
    };
    eventually("the last job is counted", || async { (ended().await >= 120.0).then_some(()) }).await;
    assert_eq!(ended().await, 120.0, "every job was worked on once");
    fleet.end().await;
}

/// A job whose picture outlasts the grace period is given back.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_outlasts_the_grace_period_is_given_back() {
    let settings = vec![("TAGFLEET__WORK__GRACE", "200ms".to_owned())];
    let mut fleet = Fleet::with(Options { settings, ..Options::default() }).await;
    fleet.origin.put("/slow.jpg", Response::Stall);
    let event = scrape("dealer", vec![listed(fleet.origin.url("/slow.jpg"))]);
    fleet.publish(&event).await;
    fleet.requested("/slow.jpg", 1).await;
    fleet.workers.remove(0).stop().await;
    fleet.origin.put("/slow.jpg", Response::jpeg(jpeg()));
    fleet.start_worker().await;

    assert_eq!(fleet.announced(&event.scrape_id).await.outcomes["inferred"], 1);
    fleet.end().await;
}

/// SIGTERM drains; a second signal stops at once, and costs nothing but time.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_stops_a_worker_at_once() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let worker = fleet.spawn_worker();
    fleet.origin.put("/slow.jpg", Response::Stall);
    let event = scrape("dealer", vec![listed(fleet.origin.url("/slow.jpg"))]);
    fleet.publish(&event).await;
    fleet.requested("/slow.jpg", 1).await;
    worker.signal("-TERM");
    eventually("the worker has heard of it", || async {
        worker.logged().contains("stop requested").then_some(())
    })
    .await;
    worker.signal("-TERM");
    assert_eq!(worker.exit_code().await, Some(130));

    fleet.origin.put("/slow.jpg", Response::jpeg(jpeg()));
    let next = fleet.spawn_worker();
    everything_ended_once(&fleet, &event).await;
    assert!(next.terminate().await);
    fleet.end().await;
}

/// A job that kills its workers is parked, its image gets the defaults with the
/// reason, its scrape comes to an end, and its neighbours are unharmed.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_workers_die_is_parked_and_its_neighbours_are_unharmed() {
    let settings = vec![("TAGFLEET__WORK__RETURNS__GIVE_UP_AFTER", "2".to_owned())];
    let fleet = Fleet::with(Options { workers: 0, settings, ..Options::default() }).await;
    fleet.origin.put("/killer.jpg", Response::Stall);
    let mut urls = vec![fleet.origin.url("/killer.jpg")];
    urls.extend(fleet.pictures(5));
    let event = scrape("dealer", urls.into_iter().map(listed).collect());
    fleet.publish(&event).await;
    for times in 1..=2 {
        let doomed = fleet.spawn_worker();
        fleet.requested("/killer.jpg", times).await;
        at_least(&fleet, 5, ENDED).await;
        doomed.kill();
    }
    let survivor = fleet.spawn_worker();

    let tagged = fleet.announced(&event.scrape_id).await;
    assert_eq!((tagged.outcomes["inferred"], tagged.outcomes["defaulted"]), (5, 1));
    assert_eq!(fleet.rows(&event.scrape_id).await[0].end(), ("defaulted", "killed_worker"));
    assert_eq!(fleet.dead_letter().await.0, "killed_worker");
    assert!(survivor.terminate().await);
    fleet.end().await;
}
