//! Events and jobs that come twice, get lost, or are malformed.

use tagfleet_loadtest::origin::Response;
use tagfleet_shared::broker::Outgoing;
use tagfleet_shared::events::ListedImage;
use tagfleet_shared::ids::{ImageId, ScrapeId};
use tagfleet_shared::jobs::{Job, TagImage};
use tagfleet_shared::lane::Lane;
use tagfleet_tests::{Fleet, Options, Process, eventually, get, listed, looked_at, metric, scrape};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_twice_is_one_scrape() {
    let fleet = Fleet::with(Options { schedulers: 2, ..Options::default() }).await;
    let event = scrape("dealer", fleet.pictures(5).into_iter().map(listed).collect());
    fleet.publish(&event).await;
    fleet.publish(&event).await;
    fleet.announced(&event.scrape_id).await;
    fleet.publish(&event).await;
    eventually("both repetitions are known as such", || async {
        let mut repeated = 0.0;
        for scheduler in &fleet.schedulers {
            let text = get(scheduler.admin, "/metrics").await.1;
            repeated += metric(&text, "tagfleet_scheduler_scrapes_total{event=\"repeated\"}");
        }
        (repeated == 2.0).then_some(())
    })
    .await;

    assert_eq!(fleet.count("SELECT count(*) FROM scrapes").await, 1);
    assert_eq!(fleet.rows(&event.scrape_id).await.len(), 5);
    assert_eq!(fleet.announcements(&event.scrape_id).await.len(), 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_delivered_twice_counts_once() {
    let fleet = Fleet::start().await;
    let event = scrape("dealer", fleet.pictures(3).into_iter().map(listed).collect());
    fleet.tag(&event).await;
    let client = fleet.database.pool.get().await.unwrap();
    let row =
        client.query_one("SELECT day, scrape, url FROM scrape_images WHERE seq = 1", &[]).await.unwrap();
    let url: String = row.get(2);
    let job = Job::TagImageV1(TagImage {
        day: row.get(0),
        scrape: row.get(1),
        seq: 1,
        scrape_id: event.scrape_id.clone(),
        image: ImageId::of(None, &url),
        url,
    });
    let copy = Outgoing::job(fleet.broker.topology(), Lane::Express, serde_json::to_vec(&job).unwrap());
    fleet.broker.publisher().publish(&[copy.clone(), copy]).await.unwrap();
    eventually("both copies are worked on", || async {
        let text = get(fleet.workers[0].admin, "/metrics").await.1;
        (metric(&text, "tagfleet_worker_jobs_total") == 5.0).then_some(())
    })
    .await;
    assert_eq!(fleet.count("SELECT count(*) FROM scrape_progress").await, 0);
    assert_eq!(fleet.rows(&event.scrape_id).await[1].end(), ("inferred", ""));
    assert_eq!(fleet.announcements(&event.scrape_id).await.len(), 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_event_is_dead_lettered_with_its_field_and_the_rest_go_on() {
    let fleet = Fleet::start().await;
    let head = r#""scrape_id":"bad","advertiser_id":"dealer","finished_at":"2026-11-21T09:00:00Z""#;
    let bad = format!(r#"{{{head},"images":[{{"url":"http://a.test/1.jpg"}},{{"url":7}}]}}"#);
    fleet.publish_bytes(bad.clone().into_bytes()).await;
    let good = scrape("dealer", fleet.pictures(1).into_iter().map(listed).collect());
    assert_eq!(fleet.tag(&good).await.outcomes["inferred"], 1);

    let (reason, error, body) = fleet.dead_letter().await;
    assert_eq!(reason, "malformed_event");
    assert!(error.starts_with("images[1].url: "), "{error}");
    assert_eq!(body, bad.into_bytes());
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_job_is_dead_lettered_and_the_rest_go_on() {
    let fleet = Fleet::start().await;
    let bad = br#"{"type":"tag_image_v1","scrape":"seventeen"}"#;
    let job = Outgoing::job(fleet.broker.topology(), Lane::Express, bad.to_vec());
    fleet.broker.publisher().publish(&[job]).await.unwrap();
    let good = scrape("dealer", fleet.pictures(1).into_iter().map(listed).collect());
    assert_eq!(fleet.tag(&good).await.outcomes["inferred"], 1);

    let (reason, error, body) = fleet.dead_letter().await;
    assert_eq!((reason.as_str(), body.as_slice()), ("malformed_job", bad.as_slice()));
    assert!(!error.is_empty());
    fleet.queues_are_empty().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_go_to_lanes_by_the_size_of_the_inventory_or_as_the_event_says() {
    let settings = vec![
        ("TAGFLEET__LANES__EXPRESS_MAX", "2".to_owned()),
        ("TAGFLEET__LANES__STANDARD_MAX", "4".to_owned()),
    ];
    let fleet = Fleet::with(Options { workers: 0, settings, ..Options::default() }).await;
    let of = |n: usize| vec![listed("http://127.0.0.1/1.jpg"); n];
    let mut asked = scrape("four", of(1));
    asked.lane = Some(Lane::Bulk);
    for event in [scrape("one", of(2)), scrape("two", of(3)), scrape("three", of(5)), asked] {
        fleet.publish(&event).await;
    }
    for (lane, jobs) in [(Lane::Express, 2), (Lane::Standard, 3), (Lane::Bulk, 6)] {
        let queue = fleet.broker.topology().lane_queue(lane);
        eventually(&format!("{lane} holds {jobs} jobs"), || async {
            (fleet.broker.depth(&queue).await.ok()?.0 == jobs).then_some(())
        })
        .await;
    }
    fleet.abandon().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gzip_manifest_is_an_inventory_whose_bad_lines_cost_nothing_else() {
    let fleet = Fleet::start().await;
    let urls = fleet.pictures(30);
    let mut lines: Vec<String> = urls
        .iter()
        .map(|url| serde_json::to_string(&ListedImage { url: url.clone(), ..Default::default() }).unwrap())
        .collect();
    lines.insert(10, r#"{"url": 5}"#.into());
    let body = gzip(&lines.join("\n"));
    fleet
        .origin
        .put("/manifest", Response::Bytes { content_type: "application/x-ndjson", body: body.into() });

    let mut event = scrape("dealer", Vec::new());
    event.images = None;
    event.manifest_url = Some(fleet.origin.url("/manifest"));
    let tagged = fleet.tag(&event).await;

    assert_eq!((tagged.images, tagged.outcomes["inferred"], tagged.outcomes["skipped"]), (31, 30, 1));
    assert_eq!(fleet.rows(&event.scrape_id).await[10].end(), ("skipped", "malformed_line"));
    fleet.end().await;
}

/// What stopped moving is made up for: jobs that got lost, and the second pass
/// of a fix whose author died.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_publishes_lost_jobs_again_and_applies_lost_fixes() {
    let settings =
        vec![("TAGFLEET__SWEEP__EVERY", "200ms".to_owned()), ("TAGFLEET__SWEEP__AFTER", "1s".to_owned())];
    let mut fleet = Fleet::with(Options { workers: 0, settings, ..Options::default() }).await;
    let event = scrape("dealer", fleet.pictures(3).into_iter().map(listed).collect());
    fleet.publish(&event).await;
    eventually("the jobs are published", || async {
        (fleet.count("SELECT count(*) FROM scrapes WHERE state = 'tagging'").await == 1).then_some(())
    })
    .await;
    // Lost: taken and acknowledged by nobody of the fleet.
    let mut thief = fleet.broker.consume(fleet.broker.topology().lane_queue(Lane::Express), 10);
    for _ in 0..3 {
        thief.next().await.ack();
    }
    thief.close().finished().await;
    let image = ImageId::of(None, &event.images.as_ref().unwrap()[0].url);
    fleet
        .execute(&format!("INSERT INTO fixes (image_id, attribute, value, fixed_by) VALUES ('{image}', 'color', 'teal', 'test')"))
        .await;
    fleet.start_worker().await;

    // Where the worker took its time, two copies of a job are at work: one of them learns from the other.
    assert_eq!(looked_at(&fleet.announced(&event.scrape_id).await), 3);
    eventually("the fix is applied", || async {
        (fleet.count("SELECT count(*) FROM pending_fixes").await == 0).then_some(())
    })
    .await;
    assert_eq!(fleet.rows(&event.scrape_id).await[0].tag("color"), "teal");
    fleet.end().await;
}

/// A count for a metric that fails or takes its time keeps no announcement.
#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_does_not_wait_for_the_count_of_late_images() {
    let settings = vec![("TAGFLEET__DATABASE__STATEMENT_TIMEOUT", "500ms".to_owned())];
    let mut fleet = Fleet::with(Options { schedulers: 0, workers: 0, settings, ..Options::default() }).await;
    // It came an hour before its end.
    fleet
        .execute(
            "INSERT INTO scrapes (scrape_id, advertiser_id, lane, day, state, finished_at, received_at, listed,
                                  published, published_at, outcomes, tagged_at)
             VALUES ('late', 'dealer', 'bulk', now()::date, 'tagged', now(), now() - interval '1 hour', 5,
                     5, now(), '{\"inferred\": 5}', now())",
        )
        .await;
    let mut client = fleet.database.pool.get().await.unwrap();
    let held = client.transaction().await.unwrap();
    held.execute("LOCK TABLE scrape_images", &[]).await.unwrap();
    fleet.start_scheduler().await;

    let late = ScrapeId("late".into());
    assert_eq!(fleet.announced(&late).await.outcomes["inferred"], 5);
    let series = "tagfleet_scheduler_images_tagged_total{in_time=\"no\",lane=\"bulk\"}";
    // Where the database does not say, all of them are late.
    eventually("the count is given up", || async {
        let text = get(fleet.schedulers[0].admin, "/metrics").await.1;
        (metric(&text, series) == 5.0).then_some(())
    })
    .await;
    assert_eq!(fleet.announcements(&late).await.len(), 1);
    held.rollback().await.unwrap();
    fleet.end().await;
}

/// A fix that cannot be applied holds up no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_fix_that_cannot_be_applied_holds_up_no_other() {
    let settings = vec![("TAGFLEET__SWEEP__EVERY", "200ms".to_owned())];
    let mut fleet = Fleet::with(Options { schedulers: 0, settings, ..Options::default() }).await;
    let images = ["bad", "good"].map(|key| ImageId::of(Some(key), ""));
    fleet
        .execute(&format!(
            "CREATE FUNCTION unwell() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF OLD.image_id = '{}' THEN RAISE EXCEPTION 'unwell'; END IF;
                 RETURN OLD;
             END $$;
             CREATE TRIGGER unwell BEFORE DELETE ON pending_fixes FOR EACH ROW EXECUTE FUNCTION unwell()",
            images[0]
        ))
        .await;
    // The bad one is the oldest.
    for (image, age) in images.iter().zip([20, 10]) {
        let lost = format!(
            "INSERT INTO fixes (image_id, attribute, value, fixed_by) VALUES ('{image}', 'color', 'teal', 'test');
             UPDATE pending_fixes SET requested_at = now() - interval '{age} seconds' WHERE image_id = '{image}'"
        );
        fleet.execute(&lost).await;
    }
    fleet.start_scheduler().await;

    let pending = "SELECT count(*) FROM pending_fixes";
    eventually("the good one is applied", || async { (fleet.count(pending).await == 1).then_some(()) }).await;
    assert_eq!(fleet.count(&format!("{pending} WHERE image_id = '{}'", images[0])).await, 1);
    fleet.end().await;
}

/// An event that the broker gave up on, or that somebody purged: its scrape
/// stays open until the event is sent again, and somebody must be told.
#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_that_nobody_fans_out_any_more_is_named_and_so_is_the_day_that_it_keeps() {
    let settings = vec![("TAGFLEET__SWEEP__EVERY", "200ms".to_owned())];
    let fleet = Fleet::with(Options { schedulers: 0, settings, ..Options::default() }).await;
    fleet
        .execute(
            "INSERT INTO scrapes (scrape_id, advertiser_id, lane, day, finished_at, received_at, listed)
             VALUES ('left alone', 'dealer', 'bulk', '2020-01-01', '2020-01-01', '2020-01-01', 5),
                    ('just come', 'dealer', 'bulk', now()::date, now(), now(), 5)",
        )
        .await;
    let scheduler = fleet.spawn_scheduler();

    for told in ["nobody goes on with scrape left alone", "scrape left alone of 2020-01-01 is not tagged"] {
        eventually(told, || async { scheduler.logged().contains(told).then_some(()) }).await;
    }
    assert!(!scheduler.logged().contains("just come"));
    assert!(scheduler.terminate().await);
    fleet.end().await;
}

/// The second of two outages within one fan-out is an outage of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_fan_out_goes_on_after_each_of_its_outages() {
    let settings = vec![("TAGFLEET__FAN_OUT__PAGE_SIZE", "2".to_owned())];
    let fleet = Fleet::with(Options { settings, ..Options::default() }).await;
    // A sequence keeps its value when the transaction is rolled back.
    fleet
        .execute(
            "CREATE SEQUENCE attempts;
             CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF NEW.listed IN (4, 8) AND NEW.listed > OLD.listed AND nextval('attempts') % 3 <> 0 THEN
                     RAISE EXCEPTION 'away';
                 END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER away BEFORE UPDATE ON scrapes FOR EACH ROW EXECUTE FUNCTION away();",
        )
        .await;
    let event = scrape("dealer", vec![listed(fleet.picture("/1.jpg")); 10]);
    assert_eq!(fleet.tag(&event).await.images, 10);

    assert_eq!(fleet.count("SELECT last_value FROM attempts").await, 6);
    let text = get(fleet.schedulers[0].admin, "/metrics").await.1;
    assert_eq!(metric(&text, "tagfleet_scheduler_outages_total{server=\"database\"}"), 2.0);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_publishes_an_event_from_a_file_and_is_told_what_is_wrong_with_it() {
    let fleet = Fleet::start().await;
    let event = scrape("dealer", fleet.pictures(1).into_iter().map(listed).collect());
    let file = std::env::temp_dir().join(format!("{}.json", event.scrape_id));
    std::fs::write(&file, serde_json::to_vec(&event).unwrap()).unwrap();
    let publish = || {
        let settings = fleet.settings_of_scheduler();
        Process::command("tagfleet-scheduler")
            .args(["publish".as_ref(), file.as_os_str()])
            .envs(settings)
            .output()
    };
    let output = publish().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), event.scrape_id.0, "{output:?}");
    assert_eq!(fleet.announced(&event.scrape_id).await.outcomes["inferred"], 1);

    std::fs::write(&file, r#"{"scrape_id":"s","advertiser_id":7}"#).unwrap();
    let output = publish().unwrap();
    std::fs::remove_file(&file).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(error.contains("advertiser_id: ") && error.contains(".json"), "{error}");
    fleet.end().await;
}

/// gzip(1), so that the reader and the writer are not the same library.
fn gzip(text: &str) -> Vec<u8> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut gzip = Command::new("gzip").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    gzip.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    gzip.wait_with_output().unwrap().stdout
}
