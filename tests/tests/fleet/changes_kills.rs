//! Schedulers that die between a change and its announcement, and several at once.

use tagfleet_shared::events::{Change, ImageChanged};
use tagfleet_shared::failpoint::Point;
use tagfleet_tests::{Fleet, Options, Told, changed, eventually, listed, post};

/// Pictures of several advertisers: added, replaced, and one that is removed.
fn changes(fleet: &Fleet, round: usize) -> Vec<ImageChanged> {
    let of = |n: usize| {
        let change = [Change::Added, Change::Replaced, Change::Removed][n % 3];
        let url = fleet.picture(&format!("/{round}-{n}.jpg"));
        changed(&format!("dealer-{}", n % 4), change, listed(url))
    };
    (0..12).map(of).collect()
}

/// Each change has one outcome, one announcement or copies of it, and nothing is left.
async fn each_is_told_once(fleet: &Fleet, told: &mut Told, changes: usize) {
    let different = told.different(changes).await;
    assert_eq!(different.len(), changes);
    let mut images: Vec<_> = different.iter().map(|event| event.image_id).collect();
    images.sort_unstable();
    images.dedup();
    assert_eq!(images.len(), changes, "none is in two micro-scrapes");
    let left = "SELECT count(*) FROM image_changes WHERE scrape IS NULL";
    let open = "SELECT count(*) FROM scrapes WHERE state <> 'changed' OR announced_at IS NULL OR announced <> listed";
    for sql in [left, open, "SELECT count(*) FROM scrape_progress"] {
        eventually(sql, || async { (fleet.count(sql).await == 0).then_some(()) }).await;
    }
    assert_eq!(fleet.count("SELECT count(*) FROM scrape_images").await, changes as i64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_is_killed_at_any_point_loses_no_change_and_doubles_none() {
    let fleet = Fleet::with(Options { schedulers: 0, ..Options::default() }).await;
    let mut told = fleet.listen_to_pictures().await;
    let points = Point::ALL.iter().filter(|point| point.name().starts_with("scheduler.changes_"));
    let mut published = 0;
    for (round, point) in points.enumerate() {
        let doomed = fleet.spawn_scheduler();
        let path = format!("/failpoints/{point}");
        assert_eq!(post(doomed.admin().await, &path).await.0, 200, "{path}");
        let changes = changes(&fleet, round);
        fleet.publish_changes(&changes).await;
        published += changes.len();
        assert_eq!(doomed.exit_code().await, None, "it is killed at {point}");
        let next = fleet.spawn_scheduler();
        each_is_told_once(&fleet, &mut told, published).await;
        assert!(next.terminate().await);
    }
    assert_eq!(published, 5 * 12);
    assert_eq!(fleet.dead_letters().await, 0);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schedulers_that_work_on_changes_together_announce_each_once() {
    let fleet = Fleet::with(Options { schedulers: 3, workers: 2, ..Options::default() }).await;
    let mut told = fleet.listen_to_pictures().await;
    let mut published = 0;
    for round in 0..10 {
        let changes = changes(&fleet, round);
        fleet.publish_changes(&changes).await;
        published += changes.len();
    }
    each_is_told_once(&fleet, &mut told, published).await;

    assert_eq!(told.heard.len() + told.left(), published, "no copy where nothing fails");
    fleet.end().await;
}
