//! Pictures that change between two scrapes.

use jiff::{Timestamp, ToSpan};
use serde_json::Value;
use tagfleet_loadtest::origin::Response;
use tagfleet_scheduler::store;
use tagfleet_shared::dead;
use tagfleet_shared::events::{Change, ImageChanged, ScrapeFinished};
use tagfleet_shared::ids::{AdvertiserId, ScrapeId};
use tagfleet_tests::{Fleet, Options, changed, eventually, get, listed, metric, scrape, shown};

/// Nothing is gathered before [`moment_over`].
async fn patient_fleet(workers: usize) -> Fleet {
    let settings =
        vec![("TAGFLEET__CHANGES__COALESCE", "1h".to_owned()), ("TAGFLEET__WORK__GRACE", "200ms".to_owned())];
    Fleet::with(Options { workers, settings, ..Options::default() }).await
}

/// Waits until `sql` gives `count`.
async fn counted(fleet: &Fleet, count: i64, sql: &str) {
    eventually(&format!("{sql} gives {count}"), || async { (fleet.count(sql).await == count).then_some(()) })
        .await;
}

async fn noted(fleet: &Fleet, changes: i64) {
    counted(fleet, changes, "SELECT count(*) FROM image_changes WHERE scrape IS NULL").await;
}

async fn moment_over(fleet: &Fleet) {
    fleet.execute("UPDATE image_changes SET received_at = received_at - interval '2 hours'").await;
}

async fn fanned_out(fleet: &Fleet, event: &ScrapeFinished) {
    let published = "published_at IS NOT NULL";
    let sql = format!("SELECT count(*) FROM scrapes WHERE scrape_id = '{}' AND {published}", event.scrape_id);
    counted(fleet, 1, &sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_added_is_tagged_on_the_express_lane_and_announced() {
    let fleet = Fleet::start().await;
    let mut told = fleet.listen_to_pictures().await;
    let mut image = shown(fleet.picture("/1.jpg"), "car-1");
    image.position = Some(3);
    image.configured = Some([("color", Some("mauve"))].into_iter().collect());
    let event = changed("dealer", Change::Added, image.clone());
    fleet.publish_changes(std::slice::from_ref(&event)).await;

    let tagged = told.next().await;
    assert_eq!((&*tagged.outcome, &tagged.reason), ("inferred", &None));
    assert_eq!((tagged.advertiser_id, tagged.change), (event.advertiser_id.clone(), Change::Added));
    // Postgres keeps microseconds.
    assert_eq!(tagged.changed_at.as_microsecond(), event.changed_at.as_microsecond());
    assert_eq!((tagged.url, tagged.listing_id, tagged.position), (image.url, image.listing_id, Some(3)));
    assert_eq!((tagged.image_id, tagged.tags.get("color")), (event.image_id().0, Some("mauve")));
    assert!(tagged.tags.0.contains_key("image_type"), "{:?}", tagged.tags);

    // Everybody else knows it from now on, and it is known.
    let tagged = fleet.tag(&scrape("other dealer", vec![listed(fleet.origin.url("/1.jpg"))])).await;
    assert_eq!(tagged.outcomes["cached"], 1);
    let again = ImageChanged { changed_at: Timestamp::now(), ..event };
    fleet.publish_changes(&[again]).await;
    assert_eq!(told.next().await.outcome, "cached");
    assert_eq!(fleet.origin.requests("/1.jpg"), 1);
    // It is told before that is written down.
    counted(&fleet, 2, "SELECT count(*) FROM scrapes WHERE lane = 'express' AND state = 'changed'").await;
    assert_eq!(fleet.count("SELECT count(*) FROM scrape_progress").await, 0);
    assert_eq!(told.left(), 0);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_within_a_moment_is_one_micro_scrape_and_of_one_picture_the_last_change_counts() {
    let fleet = patient_fleet(1).await;
    let mut told = fleet.listen_to_pictures().await;
    let urls = fleet.pictures(3);
    let at = |ago: i64, change, url: &str, listing| ImageChanged {
        changed_at: Timestamp::now() - ago.seconds(),
        ..changed("dealer", change, shown(url, listing))
    };
    fleet
        .publish_changes(&[
            at(9, Change::Added, &urls[0], "car-1"),
            at(8, Change::Added, &urls[1], "car-1"),
            at(6, Change::Removed, &urls[1], "car-1"),
            // Late: it was removed since.
            at(7, Change::Replaced, &urls[1], "car-1"),
            // It may be another one.
            at(5, Change::Removed, &urls[2], "car-1"),
            at(4, Change::Added, &urls[2], "car-1"),
            // In another listing it is another change.
            at(3, Change::Added, &urls[2], "car-2"),
            ImageChanged {
                advertiser_id: AdvertiserId("other".into()),
                ..at(2, Change::Added, &urls[0], "car-1")
            },
        ])
        .await;
    noted(&fleet, 5).await;
    moment_over(&fleet).await;

    let mut events = told.different(5).await;
    events.sort_by(|a, b| {
        (&a.advertiser_id, &a.url, &a.listing_id).cmp(&(&b.advertiser_id, &b.url, &b.listing_id))
    });
    let mut all: Vec<_> = events
        .iter()
        .map(|event| (event.url.clone(), event.listing_id.as_deref().unwrap(), event.change))
        .collect();
    all.sort_by_key(|(url, listing, _)| (urls.iter().position(|of| of == url), *listing));
    let expected = [
        (urls[0].clone(), "car-1", Change::Added),
        (urls[0].clone(), "car-1", Change::Added),
        (urls[1].clone(), "car-1", Change::Removed),
        (urls[2].clone(), "car-1", Change::Replaced),
        (urls[2].clone(), "car-2", Change::Added),
    ];
    assert_eq!(all, expected);
    assert_eq!(fleet.count("SELECT count(*) FROM scrapes").await, 2, "one for each advertiser");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_change_twice_is_one_however_late_it_comes() {
    let fleet = Fleet::with(Options { schedulers: 2, ..Options::default() }).await;
    let mut told = fleet.listen_to_pictures().await;
    let event = changed("dealer", Change::Added, listed(fleet.picture("/1.jpg")));
    let before =
        ImageChanged { changed_at: event.changed_at - 1.hour(), change: Change::Removed, ..event.clone() };
    fleet.publish_changes(&[event.clone(), event.clone()]).await;
    told.next().await;
    fleet.publish_changes(&[event.clone(), before]).await;
    eventually("three of them are known as such", || async {
        let mut known = 0.0;
        for scheduler in &fleet.schedulers {
            let text = get(scheduler.admin, "/metrics").await.1;
            known += metric(&text, "tagfleet_scheduler_image_changes_total{change=\"known\"}");
        }
        (known == 3.0).then_some(())
    })
    .await;

    assert_eq!(fleet.count("SELECT count(*) FROM scrapes").await, 1);
    assert_eq!(told.left(), 0);
    fleet.end().await;
}

/// As a clock of whole seconds tells of a listing that is saved anew, in whatever order they come.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_of_the_same_time_the_first_counts_but_none_that_removes_what_the_other_shows() {
    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, ..Options::default() }).await;
    let mut client = fleet.database.pool.get().await.unwrap();
    let added = changed("dealer", Change::Added, listed("http://img.test/1.jpg"));
    let [removed, replaced] =
        [Change::Removed, Change::Replaced].map(|change| ImageChanged { change, ..added.clone() });
    for (first, second, counts) in [
        (&removed, &added, "replaced"),
        (&added, &removed, "added"),
        (&added, &replaced, "added"),
        (&removed, &removed, "removed"),
    ] {
        fleet.execute("DELETE FROM image_changes").await;
        for change in [first, second, second] {
            store::note(&mut client, &[change]).await.unwrap();
        }
        let sql = format!("SELECT count(*) FROM image_changes WHERE change = '{counts}'");
        assert_eq!(fleet.count(&sql).await, 1, "{first:?}, then {second:?}");
    }
    drop(client);
    fleet.end().await;
}

/// What replaced a picture has not been seen by anybody when it was removed at once; it may be what comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_was_replaced_and_removed_unseen_is_tagged_anew_when_it_is_added_again() {
    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, ..Options::default() }).await;
    let mut client = fleet.database.pool.get().await.unwrap();
    let change = |change| changed("dealer", change, listed("http://img.test/1.jpg"));
    for (gathered_between, becomes) in [(false, "replaced"), (true, "added")] {
        fleet.execute("DELETE FROM image_changes").await;
        for (what, gathered) in [
            (Change::Added, true),
            (Change::Replaced, gathered_between),
            (Change::Removed, true),
            (Change::Added, false),
        ] {
            store::note(&mut client, &[&change(what)]).await.unwrap();
            if gathered {
                fleet.execute("UPDATE image_changes SET scrape = 1").await;
            }
        }
        let sql = format!("SELECT count(*) FROM image_changes WHERE change = '{becomes}' AND scrape IS NULL");
        assert_eq!(fleet.count(&sql).await, 1, "somebody looked before it was removed: {gathered_between}");
    }
    drop(client);
    fleet.end().await;
}

/// It is no inventory: what it does not list is there still.
#[tokio::test(flavor = "multi_thread")]
async fn a_micro_scrape_supersedes_no_scrape_in_work_and_none_that_arrives_late() {
    let mut fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let mut told = fleet.listen_to_pictures().await;
    let in_work = scrape("dealer", fleet.pictures(3).into_iter().map(listed).collect());
    let mut late = scrape("other", fleet.pictures(2).into_iter().map(listed).collect());
    late.finished_at = in_work.finished_at - 1.hour();
    fleet.publish(&in_work).await;
    fanned_out(&fleet, &in_work).await;
    let change = |dealer| changed(dealer, Change::Added, listed(fleet.picture(&format!("/{dealer}.jpg"))));
    fleet.publish_changes(&[change("dealer"), change("other")]).await;
    counted(&fleet, 2, "SELECT count(*) FROM scrapes WHERE state = 'changing' AND published_at IS NOT NULL")
        .await;
    fleet.publish(&late).await;
    fanned_out(&fleet, &late).await;
    fleet.start_worker().await;

    for (event, images) in [(&in_work, 3), (&late, 2)] {
        let tagged = fleet.announced(&event.scrape_id).await;
        assert_eq!((tagged.outcomes["inferred"], tagged.superseded_by), (images, None));
    }
    assert!(told.different(2).await.iter().all(|event| event.outcome == "inferred"));
    fleet.end().await;
}

/// It would take a picture that was replaced for the one that is known; and whoever told of a change waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_scrape_does_not_supersede_a_micro_scrape() {
    let mut fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let mut told = fleet.listen_to_pictures().await;
    let url = fleet.picture("/1.jpg");
    fleet.publish_changes(&[changed("dealer", Change::Replaced, listed(&url))]).await;
    counted(&fleet, 1, "SELECT count(*) FROM scrapes WHERE state = 'changing' AND published_at IS NOT NULL")
        .await;
    let newer = scrape("dealer", vec![listed(&url)]);
    fleet.publish(&newer).await;
    fanned_out(&fleet, &newer).await;
    assert_eq!(fleet.count("SELECT count(*) FROM scrapes WHERE superseded_by IS NOT NULL").await, 0);
    fleet.start_worker().await;

    assert_ne!(told.next().await.outcome, "skipped");
    assert_eq!(fleet.announced(&newer.scrape_id).await.outcomes["skipped"], 0);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_change_is_dead_lettered_with_its_field_and_can_be_sent_back() {
    let fleet = Fleet::start().await;
    let mut told = fleet.listen_to_pictures().await;
    let good = changed("dealer", Change::Added, listed(fleet.picture("/1.jpg")));
    let bad = serde_json::to_string(&good).unwrap().replace("\"added\"", "\"moved\"").into_bytes();
    fleet.publish_change_bytes(vec![bad.clone(), serde_json::to_vec(&good).unwrap()]).await;
    assert_eq!(told.next().await.outcome, "inferred");
    let sent_back =
        dead::redrive(&fleet.broker, &fleet.database.pool, dead::Filter::default()).await.unwrap();
    assert_eq!((sent_back.messages, sent_back.foreign), (1, 0));

    let (reason, error, body) = fleet.dead_letter().await;
    assert_eq!((&*reason, body), ("malformed_event", bad));
    assert!(error.starts_with("change: "), "{error}");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_waits_for_its_host_keeps_no_other_from_being_announced() {
    let fleet = patient_fleet(1).await;
    let mut told = fleet.listen_to_pictures().await;
    fleet.origin.put("/slow.jpg", Response::Stall);
    let urls = [fleet.origin.url("/slow.jpg"), fleet.picture("/1.jpg")];
    let changes = urls.clone().map(|url| changed("dealer", Change::Added, listed(url)));
    fleet.publish_changes(&changes).await;
    noted(&fleet, 2).await;
    moment_over(&fleet).await;

    assert_eq!(told.next().await.url, urls[1]);
    assert_eq!(fleet.count("SELECT count(*) FROM scrapes WHERE state = 'changing'").await, 1);
    fleet.abandon().await;
}

/// What an advertiser is taken to show is the last inventory; the micro-scrape is found by who asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_micro_scrape_is_not_taken_for_the_newest_inventory() {
    let fleet = Fleet::start().await;
    let mut told = fleet.listen_to_pictures().await;
    let console = fleet.start_console().await;
    let operator = console.caller(&["read", "operate"]).await;
    let inventory = scrape("dealer", fleet.pictures(3).into_iter().map(listed).collect());
    fleet.tag(&inventory).await;
    fleet.publish_changes(&[changed("dealer", Change::Added, listed(fleet.picture("/1.jpg")))]).await;
    told.next().await;
    // An image is announced first, and counted as announced after that.
    counted(&fleet, 1, "SELECT count(*) FROM scrapes WHERE state = 'changed'").await;

    let of = |path: &'static str| {
        let operator = &operator;
        async move { operator.get(path).await["items"].as_array().unwrap().len() }
    };
    assert_eq!(of("/v1/images?advertiser=dealer").await, 3);
    assert_eq!(of("/v1/scrapes?advertiser=dealer").await, 1);
    assert_eq!(of("/v1/scrapes?advertiser=dealer&state=changed").await, 1);
    let taken = operator.post("/v1/advertisers/dealer/retag", Value::Null).await.expect(202);
    let again = ScrapeId(taken["scrape_id"].as_str().unwrap().into());
    assert_eq!(fleet.announced(&again).await.images, 3);
    console.stop().await;
    fleet.end().await;
}

/// Its image is open again, and is announced once more, with the outcome that it has then.
#[tokio::test(flavor = "multi_thread")]
async fn a_parked_picture_that_is_sent_back_is_announced_again() {
    let settings = vec![("TAGFLEET__WORK__RETURNS__GIVE_UP_AFTER", "2".to_owned())];
    let fleet = Fleet::with(Options { workers: 0, settings, ..Options::default() }).await;
    let mut told = fleet.listen_to_pictures().await;
    fleet.origin.put("/1.jpg", Response::Stall);
    fleet.publish_changes(&[changed("dealer", Change::Added, listed(fleet.origin.url("/1.jpg")))]).await;
    for times in 1..=2 {
        let doomed = fleet.spawn_worker();
        fleet.requested("/1.jpg", times).await;
        doomed.kill();
    }
    let worker = fleet.spawn_worker();
    let parked = told.next().await;
    assert_eq!((&*parked.outcome, parked.reason.as_deref()), ("defaulted", Some("killed_worker")));
    eventually("its job is there", || async { (fleet.dead_letters().await == 1).then_some(()) }).await;

    fleet.picture("/1.jpg");
    let sent_back =
        dead::redrive(&fleet.broker, &fleet.database.pool, dead::Filter::default()).await.unwrap();
    assert_eq!((sent_back.messages, sent_back.reopened), (1, 1));
    let tagged = told.next().await;
    assert_eq!(tagged.outcome, "inferred");
    assert_ne!(tagged.event_id, parked.event_id);
    counted(&fleet, 1, "SELECT count(*) FROM scrapes WHERE state = 'changed' AND announced = 1").await;
    assert!(worker.terminate().await);
    fleet.end().await;
}
