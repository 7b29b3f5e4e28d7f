//! The inventory of an earlier scrape is tagged again.

use serde_json::Value;
use tagfleet_shared::events::{Change, ScrapeFinished};
use tagfleet_shared::ids::ScrapeId;
use tagfleet_shared::lane::Lane;
use tagfleet_tests::{Fleet, Options, changed, eventually, listed, scrape};

/// So many images with URLs so long that no broker takes them in one message.
const IMAGES: i64 = 20_000;

fn again(advertiser: &str, source: &str) -> ScrapeFinished {
    let images_of = Some(ScrapeId(source.into()));
    ScrapeFinished { images: None, images_of, ..scrape(advertiser, Vec::new()) }
}

async fn at_least(fleet: &Fleet, least: i64, sql: &str) {
    eventually(&format!("{sql} gives {least}"), || async { (fleet.count(sql).await >= least).then_some(()) })
        .await;
}

/// Also where its scheduler is killed on the way: the second goes on at the first image that is not listed.
#[tokio::test(flavor = "multi_thread")]
async fn an_inventory_larger_than_any_message_is_tagged_again_as_it_was_listed() {
    let settings = vec![("TAGFLEET__FAN_OUT__PAGE_SIZE", "200".to_owned())];
    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, settings, ..Options::default() }).await;
    let console = fleet.start_console().await;
    let operator = console.caller(&["read", "operate"]).await;
    fleet
        .execute(&format!(
            "SELECT ensure_partition(now()::date);
             INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, listed, tagged_at, announced_at)
             VALUES ('large', 'dealer', 'bulk', 'tagged', now()::date, now(), {IMAGES}, now(), now());
             INSERT INTO scrape_images (day, scrape, seq, image_id, url, listing_id, position, configured, outcome, tags)
             SELECT now()::date, s.key, n, gen_random_uuid(), 'http://img.test/' || repeat('x', 1000) || n, 'l' || n / 8,
                    n % 8, CASE WHEN n % 3 = 0 THEN '{{\"color\": \"red\"}}'::jsonb END, 'inferred', '{{}}'
               FROM scrapes s, generate_series(0, {IMAGES} - 1) n"
        ))
        .await;

    let taken = operator.post("/v1/advertisers/dealer/retag", Value::Null).await.expect(202);
    let name = taken["scrape_id"].as_str().unwrap();
    let published =
        format!("SELECT coalesce(max(published), 0)::int8 FROM scrapes WHERE scrape_id = '{name}'");
    let first = fleet.spawn_scheduler();
    at_least(&fleet, 600, &published).await;
    first.kill();
    assert!(fleet.count(&published).await < IMAGES, "the kill came too late to show anything");
    let second = fleet.spawn_scheduler();
    at_least(&fleet, IMAGES, &published).await;

    const SAME: &str = "
        SELECT count(*) FROM scrape_images b JOIN scrapes s ON s.key = b.scrape AND s.scrape_id <> 'large'
          JOIN scrape_images a ON a.seq = b.seq AND a.scrape = (SELECT key FROM scrapes WHERE scrape_id = 'large')
         WHERE (a.image_id, a.url, a.listing_id, a.position) = (b.image_id, b.url, b.listing_id, b.position)
           AND a.configured IS NOT DISTINCT FROM b.configured AND b.outcome IS NULL";
    assert_eq!(fleet.count(SAME).await, IMAGES);
    let bulk = fleet.broker.topology().lane_queue(Lane::Bulk);
    assert!(i64::from(fleet.broker.depth(&bulk).await.unwrap().0) >= IMAGES, "a job for each of them");
    assert!(second.terminate().await);
    console.stop().await;
    fleet.abandon().await;
}

/// It is as old as what it repeats: an inventory that the pipeline has had since then is the newer one.
#[tokio::test(flavor = "multi_thread")]
async fn an_inventory_that_is_tagged_again_never_overtakes_a_newer_one() {
    let fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let operator = console.caller(&["read", "operate"]).await;
    let old = scrape("dealer", fleet.pictures(2).into_iter().map(listed).collect());
    fleet.tag(&old).await;
    // The pipeline has it already, but its event is late.
    let newer = scrape("dealer", fleet.pictures(3).into_iter().map(listed).collect());

    let taken = operator.post("/v1/advertisers/dealer/retag", Value::Null).await.expect(202);
    let repeated = ScrapeId(taken["scrape_id"].as_str().unwrap().into());
    assert_eq!(
        fleet.announced(&repeated).await.finished_at.as_microsecond(),
        old.finished_at.as_microsecond()
    );
    assert_eq!(fleet.tag(&newer).await.superseded_by, None);
    let shown = operator.get("/v1/images?advertiser=dealer").await;
    assert_eq!(shown["items"].as_array().unwrap().len(), 3, "the newer inventory is the one that is shown");
    let again = operator.post("/v1/advertisers/dealer/retag", Value::Null).await.expect(202);
    let again = ScrapeId(again["scrape_id"].as_str().unwrap().into());
    assert_eq!(fleet.announced(&again).await.outcomes["cached"], 3);
    console.stop().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_was_removed_stays_removed_when_its_inventory_is_tagged_again() {
    const FED: &str = "
        SELECT count(*) FROM feed_images JOIN scrapes USING (scrape_id) WHERE key = (SELECT max(key) FROM scrapes)";
    let fleet = Fleet::start().await;
    let mut told = fleet.listen_to_pictures().await;
    let urls = fleet.pictures(3);
    let event = scrape("dealer", urls.iter().map(listed).collect());
    fleet.tag(&event).await;
    fleet.publish_changes(&[changed("dealer", Change::Removed, listed(&urls[1]))]).await;
    told.next().await;

    let repeated = fleet.tag(&again("dealer", &event.scrape_id.0)).await;

    assert_eq!((repeated.images, repeated.outcomes["cached"]), (3, 3), "it keeps its place");
    assert_eq!(fleet.count(FED).await, 2);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inventory_of_a_scrape_that_is_not_there_is_a_dead_letter() {
    let fleet = Fleet::start().await;
    let event = scrape("dealer", fleet.pictures(1).into_iter().map(listed).collect());
    fleet.tag(&event).await;
    for (asked, why) in [
        (again("dealer", "nobody"), "images_of: scrape nobody is not one of this advertiser"),
        (again("other", &event.scrape_id.0), "is not one of this advertiser"),
    ] {
        fleet.publish(&asked).await;
        let (reason, error, _) = fleet.dead_letter().await;
        assert_eq!(reason, "inventory_unavailable");
        assert!(error.contains(why), "{error}");
    }
    fleet.execute("DELETE FROM scrape_images").await;
    fleet.publish(&again("dealer", &event.scrape_id.0)).await;
    let (_, error, _) = fleet.dead_letter().await;
    assert!(error.ends_with("is not kept any more"), "{error}");
    fleet.end().await;
}
