//! Wall clocks that are wrong.

use tagfleet_shared::events::ScrapeFinished;
use tagfleet_shared::wall_clock;
use tagfleet_tests::{Fleet, Options, listed, post, scrape};

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

/// The clock of the test before really is another one.
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
