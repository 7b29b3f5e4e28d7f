//! Processes that die at each point of an image's way and of a scrape's. `changes_kills` has those of a change.

use tagfleet_shared::events::ScrapeFinished;
use tagfleet_shared::failpoint::Point;
use tagfleet_tests::{Fleet, Options, Process, eventually, listed, post, scrape};

use crate::kills::everything_ended_once;

/// Counts what is written, however often the same is.
const COUNT_OUTCOMES: &str = "
    CREATE TABLE written (scrape bigint, seq int);
    CREATE FUNCTION note_outcome() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO written VALUES (NEW.scrape, NEW.seq);
        RETURN NULL;
    END $$;
    CREATE TRIGGER note_outcome AFTER UPDATE OF outcome ON scrape_images FOR EACH ROW EXECUTE FUNCTION note_outcome();";

fn points(of: &'static str) -> Vec<Point> {
    let of_changes = |point: &Point| point.name().starts_with("scheduler.changes_");
    Point::ALL.iter().copied().filter(|point| point.name().starts_with(of) && !of_changes(point)).collect()
}

/// Lets `process` die when it comes to `point`, and for nothing else.
async fn armed(process: Process, point: Point) -> (Process, Point) {
    let path = format!("/failpoints/{point}");
    assert_eq!(post(process.admin().await, &path).await.0, 200, "{path}");
    (process, point)
}

async fn dies((process, point): (Process, Point)) {
    assert_eq!(process.exit_code().await, None, "it is killed at {point}");
}

/// Every image has one outcome, which was written once, and nothing is left to be counted.
async fn nothing_is_lost_or_doubled(fleet: &Fleet, events: &[ScrapeFinished]) {
    let mut images = 0;
    for event in events {
        everything_ended_once(fleet, event).await;
        images += event.images.as_ref().unwrap().len() as i64;
        assert!(fleet.rows(&event.scrape_id).await.iter().all(|row| row.end().1.is_empty()));
    }
    assert_eq!(fleet.count("SELECT count(*) FROM written").await, images, "each was written once");
    let left = "SELECT count(*) FROM scrape_progress";
    eventually(left, || async { (fleet.count(left).await == 0).then_some(()) }).await;
}

/// Four workers at a time, each of which dies elsewhere on the way of a job. Whoever dies leaves a job behind, so that
/// the last of them has one too.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_at_any_point_loses_no_image_and_doubles_none() {
    // A job may meet each of those that are to die; three are the fault of a job, usually.
    let settings = vec![("TAGFLEET__WORK__RETURNS__GIVE_UP_AFTER", "20".to_owned())];
    let fleet = Fleet::with(Options { workers: 0, settings, ..Options::default() }).await;
    fleet.execute(COUNT_OUTCOMES).await;
    let points = points("worker.");
    assert_eq!(points.len(), 12);
    let mut events = Vec::new();
    for (round, some) in points.chunks(4).enumerate() {
        let processes: Vec<_> = some.iter().map(|&point| (fleet.spawn_worker(), point)).collect();
        let mut doomed = Vec::new();
        for (process, point) in processes {
            doomed.push(armed(process, point).await);
        }
        let event = scrape(&format!("dealer-{round}"), fleet.pictures(40).into_iter().map(listed).collect());
        fleet.publish(&event).await;
        events.push(event);
        for process in doomed {
            dies(process).await;
        }
    }
    let survivor = fleet.spawn_worker();

    nothing_is_lost_or_doubled(&fleet, &events).await;
    assert!(survivor.terminate().await);
    fleet.end().await;
}

/// One after another; each has a scrape of its own, from its event to its announcement, and what the one before
/// has left.
#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_is_killed_at_any_point_loses_no_image_and_doubles_none() {
    let settings = vec![("TAGFLEET__FAN_OUT__PAGE_SIZE", "4".to_owned())];
    let fleet = Fleet::with(Options { schedulers: 0, settings, ..Options::default() }).await;
    fleet.execute(COUNT_OUTCOMES).await;
    let mut events = Vec::new();
    for point in points("scheduler.") {
        let doomed = armed(fleet.spawn_scheduler(), point).await;
        let event = scrape(&format!("dealer-{point}"), fleet.pictures(10).into_iter().map(listed).collect());
        fleet.publish(&event).await;
        events.push(event);
        dies(doomed).await;
    }
    assert_eq!(events.len(), 10);
    let last = fleet.spawn_scheduler();

    nothing_is_lost_or_doubled(&fleet, &events).await;
    for event in &events {
        let told = fleet.announcements(&event.scrape_id).await;
        assert!(told.iter().all(|copy| copy.event_id == told[0].event_id), "copies are the same: {told:?}");
    }
    assert!(last.terminate().await);
    fleet.end().await;
}
