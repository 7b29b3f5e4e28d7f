//! Images that are opened again, as the service level sees them.

use serde_json::Value;
use tagfleet_loadtest::origin::Response;
use tagfleet_tests::{Fleet, Options, eventually, get, listed, metric, scrape};

const IN_TIME: &str = "tagfleet_scheduler_images_tagged_total{in_time=\"yes\",lane=\"express\"}";
const LATE: &str = "tagfleet_scheduler_images_tagged_total{in_time=\"no\",lane=\"express\"}";
const UNTAGGED: &str = "tagfleet_scheduler_untagged_images{lane=\"express\"}";
const OLDEST: &str = "tagfleet_scheduler_oldest_untagged_image_seconds{lane=\"express\"}";
const SCRAPES: &str = "tagfleet_scheduler_scrape_seconds_count{size=\"100\"}";

/// The runbook tells people to run images again that were skipped days ago: nobody is to be woken by that.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_opened_again_waits_from_then_and_counts_alone() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let console = fleet.start_console().await;
    let operator = console.caller(&["read", "operate"]).await;
    let series = |name: &'static str| {
        let admin = fleet.schedulers[0].admin;
        async move { metric(&get(admin, "/metrics").await.1, name) }
    };
    let worker = fleet.spawn_worker();
    fleet.origin.put("/gone.jpg", Response::Status(404));
    let event =
        scrape("dealer", vec![listed(fleet.picture("/1.jpg")), listed(fleet.origin.url("/gone.jpg"))]);
    assert_eq!(fleet.tag(&event).await.outcomes["skipped"], 1);
    eventually("both are counted", || async { (series(IN_TIME).await == 2.0).then_some(()) }).await;
    assert!(worker.terminate().await);
    fleet.execute("UPDATE scrapes SET received_at = received_at - interval '2 days'").await;
    fleet.picture("/gone.jpg");

    operator.post(&format!("/v1/scrapes/{}/rerun", event.scrape_id), Value::Null).await.expect(202);

    eventually("it waits", || async { (series(UNTAGGED).await == 1.0).then_some(()) }).await;
    let waited = series(OLDEST).await;
    assert!(0.0 < waited && waited < 3600.0, "{waited} s");
    let worker = fleet.spawn_worker();
    eventually("it is counted", || async { (series(IN_TIME).await == 3.0).then_some(()) }).await;
    assert_eq!((series(LATE).await, series(SCRAPES).await), (0.0, 1.0));
    eventually("it is announced twice", || async {
        (fleet.announcements(&event.scrape_id).await.len() == 2).then_some(())
    })
    .await;
    assert!(worker.terminate().await);
    console.stop().await;
    fleet.end().await;
}
