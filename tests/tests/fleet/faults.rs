//! Servers that go away and come back, on a pair of this test's own.

use tagfleet_loadtest::origin::Response;
use tagfleet_shared::config::foreign_variable;
use tagfleet_shared::lane::Lane;
use tagfleet_tests::{Fleet, Options, Private, eventually, get, jpeg, listed, metric, scrape, skip};

const ENDED: &str = "SELECT count(*) FROM scrape_images WHERE outcome IS NOT NULL";

/// Publishes a scrape, lets `verbs` happen to the servers when a part of it is
/// tagged, and sees every image end once all the same.
async fn survives(fleet: &Fleet, servers: &Private, verbs: &[&'static str]) {
    let before = fleet.count(ENDED).await;
    let event = scrape("dealer", fleet.pictures(120).into_iter().map(listed).collect());
    fleet.publish(&event).await;
    eventually("a part is tagged", || async { (fleet.count(ENDED).await > before + 20).then_some(()) }).await;
    for verb in verbs {
        servers.fault(verb).await;
    }
    let tagged = fleet.announced(&event.scrape_id).await;
    assert_eq!(tagged.outcomes["inferred"], 120, "{verbs:?}: {:?}", tagged.outcomes);
    assert!(fleet.rows(&event.scrape_id).await.iter().all(|row| row.end() == ("inferred", "")));
    fleet.queues_are_empty().await;
    let dead = fleet.broker.depth(&fleet.broker.topology().dead()).await.unwrap();
    assert_eq!(dead.0, 0, "{verbs:?}: no job was dead-lettered");
}

async fn readiness_says(fleet: &Fleet, line: &str) {
    for admin in [fleet.workers[0].admin, fleet.schedulers[0].admin] {
        eventually(line, || async { get(admin, "/readyz").await.1.contains(line).then_some(()) }).await;
    }
}

/// Every image ends with one outcome though the servers are restarted and
/// killed in the middle; readiness says which one is away.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_go_away_and_come_back_cost_nothing_but_time() {
    if foreign_variable("TAGFLEET_PRIVATE_DATABASE_URL").is_none() {
        skip("the servers were given by URL, and are not ours to restart");
        return;
    }
    let servers = tokio::task::spawn_blocking(|| Private::start("faults")).await.unwrap();
    let services = Some(servers.services.clone());
    let fleet = Fleet::with(Options { workers: 2, services, ..Options::default() }).await;

    survives(&fleet, &servers, &["restart-postgres"]).await;
    survives(&fleet, &servers, &["restart-rabbitmq"]).await;
    survives(&fleet, &servers, &["kill-postgres", "start-postgres"]).await;
    survives(&fleet, &servers, &["kill-rabbitmq", "start-rabbitmq"]).await;

    servers.fault("stop-postgres").await;
    readiness_says(&fleet, "database: away").await;
    servers.fault("start-postgres").await;
    readiness_says(&fleet, "database: ok").await;
    servers.fault("stop-rabbitmq").await;
    readiness_says(&fleet, "broker: away").await;
    servers.fault("start-rabbitmq").await;
    readiness_says(&fleet, "consumers: ok").await;
    fleet.end().await;
    tokio::task::spawn_blocking(|| drop(servers)).await.unwrap();
}

/// One queue that the broker refuses must not take the connection, and with it the
/// jobs of all others, time and again: they would come back until they are suspected.
#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_cannot_be_consumed_takes_no_job_from_the_others() {
    if foreign_variable("TAGFLEET_PRIVATE_AMQP_URL").is_none() {
        skip("the broker was given by URL, and its permissions are not ours to change");
        return;
    }
    let servers = tokio::task::spawn_blocking(|| Private::start("lanes")).await.unwrap();
    let services = Some(servers.services.clone());
    // Asked for as long as the broker's tools may take.
    let settings = vec![
        ("TAGFLEET__DOWNLOAD__HEADER_TIMEOUT", "5s".to_owned()),
        ("TAGFLEET__BROKER__RETRY_DELAYS", vec!["200ms"; 40].join(",")),
    ];
    let fleet = Fleet::with(Options { services, settings, ..Options::default() }).await;
    let bulk = fleet.broker.topology().lane_queue(Lane::Bulk);
    let all_but_bulk = format!("^(?!{}$).*", bulk.replace('.', "\\."));
    fleet.origin.put("/held.jpg", Response::Stall);
    let event = scrape("dealer", vec![listed(fleet.origin.url("/held.jpg"))]);
    fleet.publish(&event).await;
    fleet.requested("/held.jpg", 1).await;

    // The worker asks for the lane many times while the tool that gives it back only starts.
    servers.rabbitmqctl(&["set_permissions", "tagfleet", &all_but_bulk, ".*", &all_but_bulk]).await;
    servers.rabbitmqctl(&["delete_queue", &bulk]).await;
    let worker = fleet.workers[0].admin;
    eventually("the lane is lost", || async { (get(worker, "/readyz").await.0 == 503).then_some(()) }).await;
    servers.rabbitmqctl(&["set_permissions", "tagfleet", ".*", ".*", ".*"]).await;
    eventually("the lane is back", || async { (get(worker, "/readyz").await.0 == 200).then_some(()) }).await;

    fleet.origin.put("/held.jpg", Response::jpeg(jpeg()));
    assert_eq!(fleet.announced(&event.scrape_id).await.outcomes["inferred"], 1);
    let (_, metrics) = get(worker, "/metrics").await;
    assert_eq!(metric(&metrics, "tagfleet_worker_jobs_returned_total"), 0.0, "no job has come back");
    fleet.end().await;
    tokio::task::spawn_blocking(|| drop(servers)).await.unwrap();
}
