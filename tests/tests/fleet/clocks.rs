//! Wall clocks that are wrong.

use tagfleet_shared::events::{Change, ImageChanged, ScrapeFinished};
use tagfleet_shared::wall_clock;
use tagfleet_tests::{Fleet, Options, changed, eventually, get, listed, metric, post, scrape};

/// Everything that waits counts on clocks that nobody can set; what crosses from one
/// machine to another must stand an hour's difference.
#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_jump_by_an_hour_change_no_outcome() {
    let fleet = Fleet::with(Options { workers: 0, schedulers: 0, ..Options::default() }).await;
    let (worker, scheduler) = (fleet.spawn_worker(), fleet.spawn_scheduler());
    for (of_worker, of_scheduler) in [
        (wall_clock::AHEAD, wall_clock::BEHIND),
        (wall_clock::BEHIND, wall_clock::AHEAD),
        (wall_clock::RIGHT, wall_clock::RIGHT),
    ] {
        assert_eq!(post(worker.admin().await, of_worker).await.0, 200);
        assert_eq!(post(scheduler.admin().await, of_scheduler).await.0, 200);

        let event = scrape("dealer", fleet.pictures(20).into_iter().map(listed).collect());
        let tagged = fleet.tag(&event).await;

        assert_eq!(tagged.outcomes["inferred"], 20, "{of_worker}, {of_scheduler}: {:?}", tagged.outcomes);
    }
    assert!(worker.terminate().await && scheduler.terminate().await);
    fleet.end().await;
}

/// A picture that was removed has its outcome from the scheduler itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_whose_clock_is_behind_makes_no_picture_late() {
    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, ..Options::default() }).await;
    let mut told = fleet.listen_to_pictures().await;
    let scheduler = fleet.spawn_scheduler();
    let admin = scheduler.admin().await;
    assert_eq!(post(admin, wall_clock::BEHIND).await.0, 200);
    let removed = changed("dealer", Change::Removed, listed("http://img.test/1.jpg"));
    let changed_at = removed.changed_at - jiff::SignedDuration::from_hours(2);

    fleet.publish_changes(&[ImageChanged { changed_at, ..removed }]).await;

    let tagged = told.next().await;
    assert!(tagged.received_at <= tagged.tagged_at, "{tagged:?}");
    let late = "tagfleet_scheduler_images_tagged_total{in_time=\"no\",lane=\"express\"}";
    let in_time = late.replace("\"no\"", "\"yes\"");
    let metrics = eventually("it is counted", || async {
        let metrics = get(admin, "/metrics").await.1;
        (metric(&metrics, &in_time) == 1.0).then_some(metrics)
    })
    .await;
    assert_eq!(metric(&metrics, late), 0.0, "{metrics}");
    assert!(scheduler.terminate().await);
    fleet.end().await;
}

/// The clock of these tests really is another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_whose_clock_is_behind_takes_the_next_minute_for_the_future() {
    let fleet = Fleet::with(Options { workers: 0, schedulers: 0, ..Options::default() }).await;
    let scheduler = fleet.spawn_scheduler();
    assert_eq!(post(scheduler.admin().await, wall_clock::BEHIND).await.0, 200);
    let event = scrape("dealer", vec![listed(fleet.picture("/a.jpg"))]);
    let soon = event.finished_at + jiff::SignedDuration::from_mins(1);

    fleet.publish(&ScrapeFinished { finished_at: soon, ..event }).await;

    let (_, error, _) = fleet.dead_letter().await;
    assert!(error.contains("finished_at"), "{error}");
    assert!(scheduler.terminate().await);
    fleet.abandon().await;
}
