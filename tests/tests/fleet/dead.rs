//! The dead-letter queue in a person's hands.

use tagfleet_scheduler::store;
use tagfleet_shared::broker::Outgoing;
use tagfleet_shared::events::ScrapeFinished;
use tagfleet_shared::lane::Lane;
use tagfleet_tests::{Fleet, Options, Process, eventually, get, listed, metric, scrape};

use crate::poison::dies_of_every_picture;

/// `tagfleet-scheduler dead …`: whether it went well, and what it printed.
pub(crate) async fn dead(fleet: &Fleet, arguments: &[&str]) -> (bool, String) {
    let mut command = Process::command("tagfleet-scheduler");
    command.arg("dead").args(arguments).envs(fleet.settings_of_scheduler());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let well = output.status.success();
    (well, String::from_utf8(if well { output.stdout } else { output.stderr }).unwrap())
}

/// A scrape all of whose jobs were parked by a worker that is gone: each image has the defaults, and
/// each job is a dead letter. It is announced.
async fn parked(fleet: &Fleet, images: usize) -> ScrapeFinished {
    parked_for(fleet, images, &["killed_worker"]).await
}

/// The same with each of `reasons` in turn.
pub(crate) async fn parked_for(fleet: &Fleet, images: usize, reasons: &[&str]) -> ScrapeFinished {
    let url = fleet.picture("/parked.jpg");
    let lane = Some(Lane::Express);
    let event = ScrapeFinished { lane, ..scrape("dealer", vec![listed(url); images]) };
    fleet.publish(&event).await;
    let topology = fleet.broker.topology();
    let mut jobs = fleet.broker.consume(topology.lane_queue(Lane::Express), 1000);
    let publisher = fleet.broker.publisher();
    let mut done = 0;
    while done < images {
        let mut page = vec![jobs.next().await];
        page.extend(std::iter::from_fn(|| jobs.try_next()));
        let letters = page.iter().zip(reasons.iter().cycle().skip(done % reasons.len()));
        let letter = |(job, reason): (_, &&str)| Outgoing::dead_letter(topology, job, reason, "in a test");
        publisher.publish(&letters.map(letter).collect::<Vec<_>>()).await.unwrap();
        done += page.len();
        page.into_iter().for_each(|job| job.ack());
    }
    jobs.close().finished().await;
    fleet
        .execute(
            "WITH parked AS (UPDATE scrape_images SET outcome = 'defaulted', reason = 'killed_worker', tags = '{}'
                              WHERE outcome IS NULL RETURNING scrape)
             INSERT INTO scrape_progress (scrape, outcome, images)
             SELECT scrape, 'defaulted', count(*) FROM parked GROUP BY scrape",
        )
        .await;
    assert_eq!(fleet.announced(&event.scrape_id).await.outcomes["defaulted"], images as u64);
    assert_eq!(fleet.dead_letters().await as usize, images);
    event
}

/// The announcements of a scrape, once there are so many.
async fn counts(fleet: &Fleet, event: &ScrapeFinished, announcements: usize) -> Vec<(u64, u64, u64)> {
    eventually("the scrape is announced again", || async {
        let all = fleet.announcements(&event.scrape_id).await;
        let counts = all.iter().map(|tagged| {
            (tagged.outcomes["defaulted"], tagged.outcomes.values().sum::<u64>(), tagged.images)
        });
        (all.len() >= announcements).then(|| counts.collect())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_of_ten_thousand_loses_and_doubles_none() {
    let mut fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let event = parked(&fleet, 10_000).await;

    let (well, said) = dead(&fleet, &["redrive", "--reason", "killed_worker"]).await;

    assert!(well, "{said}");
    assert!(said.contains("sent back 10000; 10000 images have no outcome again"), "{said}");
    assert_eq!(fleet.dead_letters().await, 0);
    let lane = fleet.broker.topology().lane_queue(Lane::Express);
    assert_eq!(fleet.broker.depth(&lane).await.unwrap().0, 10_000);
    fleet.start_worker().await;
    assert_eq!(counts(&fleet, &event, 2).await, [(10_000, 10_000, 10_000), (0, 10_000, 10_000)]);
    let ids = fleet.announcements(&event.scrape_id).await;
    assert_eq!(ids[0].event_id, ids[1].event_id);
    let metrics = get(fleet.workers[0].admin, "/metrics").await.1;
    assert_eq!(metric(&metrics, "tagfleet_worker_jobs_received_total"), 10_000.0);
    assert_eq!(fleet.count("SELECT count(*) FROM scrape_images WHERE outcome IS NULL").await, 0);
    assert_eq!(fleet.count("SELECT count(*) FROM scrape_progress").await, 0, "nothing is left uncounted");
    fleet.end().await;
}

/// A scrape whose images are sent back just after the announcer has seen its end is not at its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_that_is_open_again_is_not_ended_by_what_was_seen_before() {
    let mut fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let event = parked(&fleet, 3).await;
    fleet.schedulers.remove(0).stop().await;
    // In work, and at its end: as it was before it was announced.
    fleet
        .execute(
            "INSERT INTO scrape_progress (scrape, outcome, images) SELECT key, 'defaulted', 3 FROM scrapes;
             UPDATE scrapes SET state = 'tagging', outcomes = NULL, tagged_at = NULL, announced_at = NULL",
        )
        .await;
    let mut client = fleet.database.pool.get().await.unwrap();
    let seen = store::look(&client).await.unwrap();
    assert_eq!(seen.ended.len(), 1);
    let (well, said) = dead(&fleet, &["redrive", "--limit", "1"]).await;
    assert!(well && said.contains("1 images have no outcome again"), "{said}");

    assert_eq!(store::mark_tagged(&mut client, &seen.ended).await.unwrap(), 0);

    drop(client);
    fleet.start_scheduler().await;
    fleet.start_worker().await;
    assert_eq!(counts(&fleet, &event, 2).await, [(3, 3, 3), (2, 3, 3)]);
    fleet.abandon().await;
}

/// Whoever is killed in between loses nothing, and what is there twice then counts once.
#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_that_is_killed_in_the_middle_loses_nothing() {
    let mut fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let event = parked(&fleet, 4000).await;
    let doomed = Process::start("tagfleet-scheduler", &["dead", "redrive"], &fleet.settings_of_scheduler());
    let lane = fleet.broker.topology().lane_queue(Lane::Express);
    eventually("some are sent back", || async {
        (fleet.broker.depth(&lane).await.unwrap().0 > 0).then_some(())
    })
    .await;
    doomed.kill();
    eventually("what it had in its hands is there again", || async {
        let (sent, there) = (fleet.broker.depth(&lane).await.unwrap().0, fleet.dead_letters().await);
        (sent + there >= 4000).then_some(())
    })
    .await;
    assert!(fleet.dead_letters().await > 0, "the kill came too late to show anything");

    // What the dead one had in its hands comes back when the broker hears of its death.
    eventually("all are sent back", || async {
        let (well, said) = dead(&fleet, &["redrive"]).await;
        assert!(well, "{said}");
        (fleet.dead_letters().await == 0).then_some(())
    })
    .await;
    fleet.start_worker().await;
    assert_eq!(counts(&fleet, &event, 2).await[1], (0, 4000, 4000));
    fleet.end().await;
}

/// Who looks takes nothing away, and leaves everything in its place.
#[tokio::test(flavor = "multi_thread")]
async fn list_and_show_leave_the_queue_as_it_is() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    assert!(dead(&fleet, &["list"]).await.1.contains("no dead letters"));
    parked(&fleet, 30).await;
    fleet.publish_bytes(b"{\"no\": \"event\"}".to_vec()).await;
    eventually("it is refused", || async { (fleet.dead_letters().await == 31).then_some(()) }).await;

    let (_, list) = dead(&fleet, &["list"]).await;
    let (_, first) = dead(&fleet, &["show", "--limit", "50"]).await;
    let (_, second) = dead(&fleet, &["show", "--limit", "50"]).await;

    let lines: Vec<Vec<_>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert_eq!(lines[1][..5], ["killed_worker", "job", "express", "30", "0"]);
    assert_eq!(lines[2][1..5], ["event", "-", "1", "0"]);
    assert_eq!(first, second, "the same ones in the same order");
    assert!(first.contains("x-tagfleet-error: in a test"), "{first}");
    let seqs: Vec<_> = first.lines().filter_map(|line| line.split("\"seq\":").nth(1)).collect();
    let seqs: Vec<usize> = seqs.iter().map(|rest| rest.split(',').next().unwrap().parse().unwrap()).collect();
    assert_eq!(seqs, (0..30).collect::<Vec<_>>());
    assert_eq!(fleet.dead_letters().await, 31);
    fleet.abandon().await;
}

/// What dies again says how often it was sent back; what is not meant stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_chooses_and_a_letter_that_dies_again_is_marked() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    parked(&fleet, 5).await;
    fleet.publish_bytes(b"{\"no\": \"event\"}".to_vec()).await;
    eventually("it is refused", || async { (fleet.dead_letters().await == 6).then_some(()) }).await;
    let (_, shown) = dead(&fleet, &["show"]).await;
    let event = shown.lines().find(|line| line.contains(": event, ")).unwrap();
    let id = event.split(' ').next().unwrap().to_owned();

    for times in ["1", "2"] {
        let (well, said) = dead(&fleet, &["redrive", "--id", &id]).await;
        assert!(well && said.contains("sent back 1; 0 images"), "{said}");
        eventually("it is refused again", || async { (fleet.dead_letters().await == 6).then_some(()) }).await;
        let (_, shown) = dead(&fleet, &["show", "--id", &id]).await;
        assert!(shown.contains(&format!("sent back before: {times}")), "{shown}");
    }
    let (well, said) = dead(&fleet, &["drop", "--reason", "killed_worker"]).await;
    assert!(!well && said.contains("--yes"), "{said}");
    assert_eq!(fleet.dead_letters().await, 6);
    let (well, said) = dead(&fleet, &["drop", "--reason", "killed_worker", "--limit", "4", "--yes"]).await;
    assert!(well && said.contains("dropped 4"), "{said}");
    assert_eq!(fleet.dead_letters().await, 2);
    fleet.abandon().await;
}

/// A picture that was parked is tagged when its cause is gone; a fix by a person is still in force.
#[tokio::test(flavor = "multi_thread")]
async fn a_parked_picture_that_is_sent_back_is_tagged_and_its_fix_stays() {
    let settings =
        vec![("TAGFLEET__DECODERS__PROGRAM", dies_of_every_picture().to_str().unwrap().to_owned())];
    let mut fleet = Fleet::with(Options { settings, ..Options::default() }).await;
    let urls = [fleet.picture("/a.jpg"), fleet.picture("/b.jpg")];
    let event = scrape("dealer", urls.iter().cloned().map(listed).collect());
    assert_eq!(fleet.tag(&event).await.outcomes["defaulted"], 2);
    let ends: Vec<_> = fleet.rows(&event.scrape_id).await;
    assert!(ends.iter().all(|row| row.end() == ("defaulted", "killed_decoder")));
    fleet
        .execute(
            "INSERT INTO fixes (image_id, attribute, value, fixed_by)
             SELECT image_id, 'color', 'teal', 'test' FROM scrape_images WHERE seq = 0;
             SELECT apply_fixes(image_id) FROM scrape_images WHERE seq = 0",
        )
        .await;
    fleet.workers.remove(0).stop().await;
    fleet.change("TAGFLEET__DECODERS__PROGRAM", tagfleet_tests::program().to_str().unwrap());
    fleet.start_worker().await;

    let (well, said) = dead(&fleet, &["redrive", "--reason", "killed_decoder"]).await;

    assert!(well && said.contains("sent back 2; 2 images"), "{said}");
    assert_eq!(counts(&fleet, &event, 2).await, [(2, 2, 2), (0, 2, 2)]);
    let rows = fleet.rows(&event.scrape_id).await;
    assert!(rows.iter().all(|row| row.end() == ("inferred", "")), "{rows:?}");
    assert_eq!(rows[0].tag("color"), "teal");
    fleet.end().await;
}
