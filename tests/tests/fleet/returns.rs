//! Jobs that come back: because their worker was killed, or was stopped, or takes long.

use std::time::Duration;

use deadpool_postgres::{ClientWrapper as Client, Transaction};
use tagfleet_loadtest::origin::Response;
use tagfleet_shared::broker::Outgoing;
use tagfleet_shared::events::ScrapeFinished;
use tagfleet_shared::lane::Lane;
use tagfleet_tests::{Fleet, Options, Process, eventually, get, jpeg, listed, looked_at, metric, scrape};

use crate::poison::{add_up, among_neighbours, dies_of_every_picture};

const ENDED: &str = "SELECT count(*) FROM scrape_images WHERE outcome IS NOT NULL";

/// A job that kills its worker in a way that no process of ours can contain: it is tried alone, and
/// parked after three attempts; its neighbours come back once at most.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_worker_takes_its_neighbours_with_it_once() {
    let settings = vec![("TAGFLEET__WORK__PREFETCH", "300".to_owned())];
    let fleet = Fleet::with(Options { workers: 0, settings, ..Options::default() }).await;
    fleet.origin.put("/killer.jpg", Response::Stall);
    let event = among_neighbours(&fleet, fleet.origin.url("/killer.jpg")).await;
    let queued = fleet.broker.topology().lane_queue(Lane::Express);
    eventually("all of them wait for a worker", || async {
        (fleet.broker.depth(&queued).await.unwrap().0 == 201).then_some(())
    })
    .await;
    let mut again = Vec::new();
    for attempt in 1..=3 {
        let doomed = fleet.spawn_worker();
        let admin = doomed.admin().await;
        fleet.requested("/killer.jpg", attempt).await;
        let metrics = get(admin, "/metrics").await.1;
        doomed.kill();
        if attempt == 1 {
            assert!(fleet.count(ENDED).await < 200, "the kill came too late to show anything");
        }
        again.extend(times_returned(&metrics));
    }
    let survivor = fleet.spawn_worker();

    add_up(&fleet.announced(&event.scrape_id).await);
    assert_eq!(fleet.rows(&event.scrape_id).await[0].end(), ("defaulted", "killed_worker"));
    assert_eq!(fleet.dead_letter().await.0, "killed_worker");
    assert_eq!(fleet.dead_letters().await, 0, "there was one");
    assert_eq!(fleet.origin.requests("/killer.jpg"), 3);
    again.extend(times_returned(&get(survivor.admin().await, "/metrics").await.1));
    // The killer itself, when it was parked.
    let more: Vec<_> = again.iter().filter(|(times, _)| times != "1").collect();
    assert_eq!(more, [&("2".to_owned(), 1.0)], "{again:?}");
    assert!(survivor.terminate().await);
    fleet.end().await;
}

/// A suspect may be in the hands of a worker that has not begun with it, when that dies of another job.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_death_in_its_trial_is_held_against_a_suspect() {
    // Nobody can note that a trial begins.
    const HOLD: &str = "SELECT FROM scrape_images FOR UPDATE";
    const WAITING: &str = "
        FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%trials%'";
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    fleet.origin.put("/any.jpg", Response::Stall);
    let event = scrape("dealer", vec![listed(fleet.origin.url("/any.jpg"))]);
    fleet.publish(&event).await;
    let doomed = fleet.spawn_worker();
    fleet.requested("/any.jpg", 1).await;
    doomed.kill();
    let mut client = fleet.database.pool.get().await.unwrap();
    let held = client.transaction().await.unwrap();
    held.execute(HOLD, &[]).await.unwrap();
    for _ in 0..4 {
        let doomed = fleet.spawn_worker();
        eventually("a trial is about to begin", || async {
            (fleet.count(&format!("SELECT count(*) {WAITING}")).await == 1).then_some(())
        })
        .await;
        doomed.kill();
        fleet.count(&format!("SELECT count(pg_terminate_backend(pid)) {WAITING}")).await;
    }
    held.rollback().await.unwrap();
    fleet.origin.put("/any.jpg", Response::jpeg(jpeg()));
    let survivor = fleet.spawn_worker();

    assert_eq!(fleet.announced(&event.scrape_id).await.outcomes["inferred"], 1);
    assert_eq!(fleet.dead_letters().await, 0);
    assert!(survivor.terminate().await);
    fleet.end().await;
}

/// How often jobs came back, and how many.
fn times_returned(metrics: &str) -> Vec<(String, f64)> {
    let series = |times: &str| format!("tagfleet_worker_jobs_returned_total{{times=\"{times}\"}}");
    let counts = ["1", "2", "more"].map(|times| (times.to_owned(), metric(metrics, &series(times))));
    counts.into_iter().filter(|(_, jobs)| *jobs > 0.0).collect()
}

/// A roll-out is not a crash: what a worker cannot finish, or has not begun, comes to the next one as
/// if it had never been delivered.
#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_raises_no_suspicion() {
    let settings =
        vec![("TAGFLEET__WORK__GRACE", "200ms".to_owned()), ("TAGFLEET__WORK__PREFETCH", "50".to_owned())];
    let mut fleet = Fleet::with(Options { settings, ..Options::default() }).await;
    fleet.origin.put("/slow.jpg", Response::Stall);
    let mut urls: Vec<_> = (0..40).map(|n| fleet.origin.url(&format!("/slow-{n}.jpg"))).collect();
    for n in 0..40 {
        fleet.origin.put(&format!("/slow-{n}.jpg"), Response::Stall);
    }
    urls.extend(fleet.pictures(160));
    let event = scrape("dealer", urls.into_iter().map(listed).collect());
    fleet.publish(&event).await;
    fleet.requested("/slow-0.jpg", 1).await;
    for _ in 0..3 {
        fleet.workers.remove(0).stop().await;
        fleet.start_worker().await;
    }
    fleet.workers.remove(0).stop().await;
    for n in 0..40 {
        fleet.origin.put(&format!("/slow-{n}.jpg"), Response::jpeg(jpeg()));
    }
    fleet.start_worker().await;

    let mut outcomes = fleet.announced(&event.scrape_id).await.outcomes;
    outcomes.retain(|_, images| *images > 0);
    assert_eq!(outcomes, [("inferred".to_owned(), 200)].into());
    assert_eq!(fleet.dead_letters().await, 0);
    let metrics = get(fleet.workers[0].admin, "/metrics").await.1;
    // Where the broker is slow, one that is sent in the moment of a stop may come back: once, which suspects nobody.
    let more_than_once: Vec<_> =
        times_returned(&metrics).into_iter().filter(|(times, _)| times != "1").collect();
    assert_eq!(more_than_once, []);
    fleet.end().await;
}

/// Held for long, in an outage: given back in time, as if it had not been begun.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_takes_long_is_given_back_and_begun_anew() {
    let settings = vec![("TAGFLEET__WORK__GIVE_BACK_AFTER", "300ms".to_owned())];
    let fleet = Fleet::with(Options { settings, ..Options::default() }).await;
    fleet.origin.put("/slow.jpg", Response::Stall);
    let event = scrape("dealer", vec![listed(fleet.origin.url("/slow.jpg"))]);
    fleet.publish(&event).await;
    fleet.requested("/slow.jpg", 6).await;
    fleet.origin.put("/slow.jpg", Response::jpeg(jpeg()));

    // `cached` where it was looked at, and given back before that was recorded.
    assert_eq!(looked_at(&fleet.announced(&event.scrape_id).await), 1);
    assert_eq!(times_returned(&get(fleet.workers[0].admin, "/metrics").await.1), []);
    fleet.end().await;
}

/// Nothing can be recorded: the rows of the images are locked until this is rolled back.
async fn nothing_is_recorded(client: &mut Client) -> Transaction<'_> {
    let held = client.transaction().await.unwrap();
    held.execute("SELECT FROM scrape_images FOR UPDATE", &[]).await.unwrap();
    held
}

/// A fleet without workers, whose decoders die of every picture, and a scrape of one.
async fn poisonous(setting: (&'static str, &str)) -> (Fleet, ScrapeFinished) {
    let program = dies_of_every_picture().to_str().unwrap().to_owned();
    let settings = vec![("TAGFLEET__DECODERS__PROGRAM", program), (setting.0, setting.1.to_owned())];
    let fleet = Fleet::with(Options { workers: 0, settings, ..Options::default() }).await;
    let event = scrape("dealer", vec![listed(fleet.picture("/poison.jpg"))]);
    fleet.publish(&event).await;
    eventually("it is listed", || async {
        (fleet.count("SELECT count(*) FROM scrape_images").await == 1).then_some(())
    })
    .await;
    (fleet, event)
}

/// It is parked once its defaults can be recorded, and nothing came back.
async fn parked_at_last(fleet: Fleet, event: &ScrapeFinished) {
    assert_eq!(fleet.announced(&event.scrape_id).await.outcomes["defaulted"], 1);
    assert_eq!(fleet.rows(&event.scrape_id).await[0].end(), ("defaulted", "killed_decoder"));
    assert_eq!(fleet.dead_letter().await.0, "killed_decoder");
    assert_eq!(times_returned(&get(fleet.workers[0].admin, "/metrics").await.1), []);
    fleet.end().await;
}

/// A job that is to be parked, in an outage of the database, is given back in time like any other.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_be_parked_is_given_back_in_time() {
    let (mut fleet, event) = poisonous(("TAGFLEET__WORK__GIVE_BACK_AFTER", "1s")).await;
    let mut client = fleet.database.pool.get().await.unwrap();
    let held = nothing_is_recorded(&mut client).await;
    fleet.start_worker().await;
    eventually("it is given back, and again", || async {
        let metrics = get(fleet.workers[0].admin, "/metrics").await.1;
        (metric(&metrics, "tagfleet_worker_jobs_given_back_total") >= 2.0).then_some(())
    })
    .await;
    held.rollback().await.unwrap();

    parked_at_last(fleet, &event).await;
}

/// A roll-out in an outage of the database takes nothing away from a job that is to be parked.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_be_parked_is_given_back_at_a_stop() {
    let (mut fleet, event) = poisonous(("TAGFLEET__WORK__GRACE", "200ms")).await;
    let mut client = fleet.database.pool.get().await.unwrap();
    let held = nothing_is_recorded(&mut client).await;
    fleet.start_worker().await;
    eventually("its defaults are about to be recorded", || async {
        let metrics = get(fleet.workers[0].admin, "/metrics").await.1;
        metrics.contains("decoders_lost_total{reason=\"killed_decoder\"} 2").then_some(())
    })
    .await;
    fleet.workers.remove(0).stop().await;
    held.rollback().await.unwrap();
    fleet.start_worker().await;

    parked_at_last(fleet, &event).await;
}

/// Others that came back may be held in an outage: a suspect does not wait for them until the broker
/// takes it away.
#[tokio::test(flavor = "multi_thread")]
async fn a_suspect_that_waits_for_long_is_given_back() {
    let settings = vec![("TAGFLEET__WORK__GIVE_BACK_AFTER", "1500ms".to_owned())];
    let fleet = Fleet::with(Options { workers: 0, settings, ..Options::default() }).await;
    let event = scrape("dealer", fleet.pictures(2).into_iter().map(listed).collect());
    fleet.publish(&event).await;
    let topology = fleet.broker.topology();
    let mut jobs = fleet.broker.consume(topology.lane_queue(Lane::Express), 2);
    let (suspect, other) = (jobs.next().await, jobs.next().await);
    fleet.broker.publisher().publish(&[Outgoing::suspect(topology, &suspect)]).await.unwrap();
    suspect.ack();
    // It comes back.
    drop(other);
    jobs.close().finished().await;
    let mut client = fleet.database.pool.get().await.unwrap();
    let held = client.transaction().await.unwrap();
    held.execute("LOCK TABLE image_tags", &[]).await.unwrap();
    let worker = fleet.spawn_worker();
    eventually("it is given back", || async {
        worker.logged().contains("a suspect is given back untried").then_some(())
    })
    .await;
    held.rollback().await.unwrap();

    assert_eq!(fleet.announced(&event.scrape_id).await.outcomes["inferred"], 2);
    assert_eq!(fleet.dead_letters().await, 0);
    assert!(worker.terminate().await);
    fleet.end().await;
}

/// A worker has a suspect whose image has the defaults, for this reason.
async fn found_with_defaults(reason: &str) -> (Fleet, Process) {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    fleet.origin.put("/killer.jpg", Response::Stall);
    let event = scrape("dealer", vec![listed(fleet.origin.url("/killer.jpg"))]);
    fleet.publish(&event).await;
    let doomed = fleet.spawn_worker();
    fleet.requested("/killer.jpg", 1).await;
    doomed.kill();
    fleet.execute(&format!("UPDATE scrape_images SET outcome = 'defaulted', reason = '{reason}'")).await;

    let worker = fleet.spawn_worker();
    let suspected = "tagfleet_worker_jobs_suspected_total";
    eventually("it was a suspect", || async {
        let metrics = get(worker.admin().await, "/metrics").await.1;
        (metrics.contains(suspected) && metric(&metrics, suspected) == 1.0).then_some(())
    })
    .await;
    (fleet, worker)
}

/// Nobody has asked for its picture, and nothing is left of its job.
async fn was_not_tried(fleet: Fleet, worker: Process) {
    fleet.queues_are_empty().await;
    assert!(worker.terminate().await);
    assert_eq!(fleet.origin.requests("/killer.jpg"), 1);
    assert_eq!(fleet.count("SELECT sum(trials) FROM scrape_images").await, 0);
    fleet.end().await;
}

/// What kills workers may be in the queues twice: whoever comes second has nothing left to write.
#[tokio::test(flavor = "multi_thread")]
async fn a_suspect_whose_image_has_its_outcome_is_not_tried() {
    let (fleet, worker) = found_with_defaults("undecodable").await;
    let admin = worker.admin().await;
    eventually("it is taken among others, and then alone, and has its end", || async {
        let metrics = get(admin, "/metrics").await.1;
        let received = metric(&metrics, "tagfleet_worker_jobs_received_total{lane=\"express\"}");
        (received == 2.0 && metrics.contains("tagfleet_worker_jobs_in_flight 0\n")).then_some(())
    })
    .await;
    was_not_tried(fleet, worker).await;
}

/// Whoever parked it may have died before anybody was told.
#[tokio::test(flavor = "multi_thread")]
async fn a_suspect_that_was_parked_before_has_a_dead_letter_all_the_same() {
    let (fleet, worker) = found_with_defaults("decode_timeout").await;
    assert_eq!(fleet.dead_letter().await.0, "decode_timeout");
    // Whoever parked it has counted it, and nothing came to its outcome here.
    let metrics = get(worker.admin().await, "/metrics").await.1;
    let counted = |line: &&str| line.starts_with("tagfleet_worker_jobs_ended_total") && !line.ends_with(" 0");
    assert_eq!(metrics.lines().find(counted), None);
    assert!(!metrics.contains("outcome=\"defaulted\",reason=\"decode_timeout\""), "{metrics}");
    was_not_tried(fleet, worker).await;
}

/// The consumer of a busy lane never sees the moment when nothing comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_while_jobs_keep_coming() {
    let mut fleet = Fleet::start().await;
    let url = fleet.picture("/any.jpg");
    let first = scrape("dealer-0", vec![listed(url.clone())]);
    fleet.tag(&first).await;
    let worker = fleet.workers.remove(0);
    let mut stopping = tokio::spawn(worker.stop());
    let mut events = Vec::new();
    // Another job every few milliseconds, for as long as it takes.
    while tokio::time::timeout(Duration::from_millis(5), &mut stopping).await.is_err() {
        let event = scrape(&format!("dealer-{}", events.len() + 1), vec![listed(url.clone())]);
        fleet.publish(&event).await;
        events.push(event);
    }
    fleet.start_worker().await;

    for event in &events {
        assert_eq!(fleet.announced(&event.scrape_id).await.outcomes["cached"], 1);
    }
    assert_eq!(fleet.dead_letters().await, 0);
    fleet.end().await;
}
