//! The list of pictures on a fleet that is at work, and what it looks for.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use serde_json::Value;
use tagfleet_shared::ids::ImageId;
use tagfleet_tests::{Caller, Fleet, Options, eventually};

/// A fleet that only the test writes to.
async fn fleet() -> Fleet {
    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, ..Options::default() }).await;
    fleet.execute("SELECT ensure_partition(now()::date)").await;
    fleet
}

/// An inventory in some state, of the pictures at these paths: tagged ones are red, others have nothing yet.
async fn inventory(fleet: &Fleet, scrape: &str, advertiser: &str, state: &str, paths: &[&str]) {
    let (listed, tags) = match state {
        "tagged" => ("inferred", "{\"color\": \"red\", \"room\": \"indoor/kitchen\"}"),
        _ => ("", ""),
    };
    let rows: Vec<_> = paths
        .iter()
        .enumerate()
        .map(|(n, path)| {
            let url = format!("http://img.test/{path}");
            format!("({n}, '{}'::uuid, '{url}')", ImageId::of(None, &url))
        })
        .collect();
    fleet
        .execute(&format!(
            "WITH s AS (
                INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, listed, tagged_at)
                VALUES ('{scrape}', '{advertiser}', 'bulk', '{state}', now()::date, now(), {},
                        CASE '{state}' WHEN 'tagged' THEN now() END) RETURNING key)
             INSERT INTO scrape_images (day, scrape, seq, image_id, url, outcome, tags)
             SELECT now()::date, s.key, p.seq, p.image, p.url, nullif('{listed}', ''), nullif('{tags}', '')::jsonb
               FROM s, (VALUES {}) AS p (seq, image, url)",
            paths.len(),
            rows.join(", ")
        ))
        .await;
}

fn urls(answer: &Value) -> Vec<String> {
    let items = answer["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["url"].as_str().unwrap().trim_start_matches("http://img.test/").to_owned())
        .collect()
}

async fn grid(caller: &Caller, query: &str) -> Vec<String> {
    urls(&caller.get(&format!("/v1/images?{query}")).await)
}

/// Whoever goes through all pieces is told every advertiser's inventory, the one that was there when they began.
#[tokio::test(flavor = "multi_thread")]
async fn paging_misses_no_inventory_though_newer_ones_are_tagged_meanwhile() {
    let fleet = fleet().await;
    let console = fleet.start_console().await;
    let reader = console.caller(&["read"]).await;
    inventory(&fleet, "b1", "b", "tagged", &["b/1", "b/2"]).await;
    inventory(&fleet, "a1", "a", "tagged", &["a/1", "a/2", "a/3"]).await;
    inventory(&fleet, "b2", "b", "tagging", &["b/3"]).await;

    let first = reader.get("/v1/images?limit=2").await;
    assert_eq!(urls(&first), ["a/1", "a/2"]);
    // The rest of what is told now is overtaken, and so is what would come.
    inventory(&fleet, "a2", "a", "tagged", &["a/4"]).await;
    fleet
        .execute("UPDATE scrapes SET state = 'tagged', tagged_at = received_at WHERE scrape_id = 'b2'")
        .await;
    let next = first["next"].as_str().unwrap();
    assert_eq!(grid(&reader, &format!("limit=9&cursor={next}")).await, ["a/3", "b/1", "b/2"]);
    assert_eq!(grid(&reader, "limit=9").await, ["a/4", "b/3"], "who begins anew finds the newer ones");
    console.stop().await;
    fleet.end().await;
}

/// The newest complete inventory, also while the next is at work; where there was none, what is there.
#[tokio::test(flavor = "multi_thread")]
async fn while_a_rescrape_is_at_work_the_grid_shows_the_inventory_before_it() {
    let fleet = fleet().await;
    let console = fleet.start_console().await;
    let reader = console.caller(&["read"]).await;
    inventory(&fleet, "a1", "a", "tagged", &["a/1"]).await;
    inventory(&fleet, "a2", "a", "tagging", &["a/2"]).await;
    inventory(&fleet, "new", "b", "tagging", &["b/1"]).await;
    fleet
        .execute(
            "INSERT INTO scrapes (scrape_id, advertiser_id, lane, day, finished_at)
             VALUES ('a3', 'a', 'bulk', now()::date, now()), ('b2', 'b', 'bulk', now()::date, now())",
        )
        .await;
    assert_eq!(grid(&reader, "attribute=color&value=red").await, ["a/1"]);
    assert_eq!(grid(&reader, "").await, ["b/1", "a/1"]);
    assert_eq!(grid(&reader, "scrape=a2").await, ["a/2"]);

    // What a newer one has overtaken was never complete, though it is tagged.
    fleet
        .execute(
            "UPDATE scrapes SET state = 'tagged', tagged_at = now(),
                    superseded_by = (SELECT key FROM scrapes WHERE scrape_id = 'a3') WHERE scrape_id = 'a2'",
        )
        .await;
    assert_eq!(grid(&reader, "advertiser=a").await, ["a/1"]);
    // Images that get their chance again make no inventory incomplete.
    fleet.execute("UPDATE scrapes SET state = 'tagging', tagged_at = NULL WHERE scrape_id = 'a1'").await;
    assert_eq!(grid(&reader, "advertiser=a").await, ["a/1"]);
    // Nor does a newer scrape that overtakes it then.
    fleet
        .execute(
            "UPDATE scrapes SET superseded_by = (SELECT key FROM scrapes WHERE scrape_id = 'a3')
              WHERE scrape_id = 'a1'",
        )
        .await;
    assert_eq!(grid(&reader, "advertiser=a").await, ["a/1"]);
    fleet.execute("UPDATE scrape_images SET removed_at = now() WHERE url LIKE '%a/1'").await;
    assert!(grid(&reader, "advertiser=a").await.is_empty(), "they do not show it any more");
    console.stop().await;
    fleet.end().await;
}

/// Of long ago there are scrapes without end, and nobody reads them to find what there is.
#[tokio::test(flavor = "multi_thread")]
async fn scrapes_whose_rows_are_not_kept_any_more_do_not_count() {
    let fleet = fleet().await;
    let console = fleet.start_console().await;
    let reader = console.caller(&["read"]).await;
    fleet
        .execute(
            "INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, listed, tagged_at)
             VALUES ('a0', 'a', 'bulk', 'tagged', '2020-01-01', '2020-01-01', 1, '2020-01-01')",
        )
        .await;
    inventory(&fleet, "a1", "a", "tagging", &["a/1"]).await;
    assert_eq!(grid(&reader, "").await, ["a/1"]);
    console.stop().await;
    fleet.end().await;
}

/// A text that is the whole URL of a picture means just that one; a part of it means all that contain it.
#[tokio::test(flavor = "multi_thread")]
async fn the_whole_url_of_a_picture_finds_that_picture() {
    let fleet = fleet().await;
    let console = fleet.start_console().await;
    let reader = console.caller(&["read"]).await;
    inventory(&fleet, "a1", "a", "tagged", &["car/1", "car/12"]).await;
    inventory(&fleet, "b1", "b", "tagged", &["car/1", "boat/1"]).await;
    assert_eq!(grid(&reader, "text=http://img.test/car/1").await, ["car/1", "car/1"]);
    assert_eq!(grid(&reader, "text=http://img.test/car/1&advertiser=a").await, ["car/1"]);
    assert_eq!(grid(&reader, "text=http://img.test/car/").await, ["car/1", "car/1", "car/12"]);
    assert_eq!(grid(&reader, "text=boat").await, ["boat/1"]);
    // What is the whole key of a picture at one advertiser is a part of many at another.
    // What is the whole key of a picture at one advertiser is a part of many at another.
    let key = ImageId::of(Some("boat"), "");
    fleet
        .execute(&format!(
            "UPDATE scrape_images SET image_key = 'boat', image_id = '{key}' WHERE url LIKE '%car/12'"
        ))
        .await;
    assert_eq!(grid(&reader, "text=boat&advertiser=a").await, ["car/12"]);
    assert_eq!(grid(&reader, "text=boat&advertiser=b").await, ["boat/1"]);
    console.stop().await;
    fleet.end().await;
}

/// A value finds those that lie within it, because a person may say it too.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_finds_those_that_lie_within_it() {
    let fleet = fleet().await;
    let console = fleet.start_console().await;
    let reader = console.caller(&["read"]).await;
    inventory(&fleet, "a1", "a", "tagged", &["a/1"]).await;
    for (value, found) in [("indoor", 1), ("indoor/kitchen", 1), ("in", 0), ("indoor/kit", 0), ("null", 0)] {
        assert_eq!(grid(&reader, &format!("attribute=room&value={value}")).await.len(), found, "{value}");
    }
    fleet.execute("UPDATE scrape_images SET tags = '{\"room\": null}'").await;
    assert_eq!(grid(&reader, "attribute=room&value=null").await, ["a/1"]);
    console.stop().await;
    fleet.end().await;
}

/// What hardly any picture matches is not looked for while everybody else waits, and the answer says what to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_takes_too_long_is_refused_with_what_to_do() {
    let fleet = fleet().await;
    let console = fleet.start_console().await;
    let reader = console.caller(&["read"]).await;
    let mut client = fleet.database.pool.get().await.unwrap();
    let blocker = client.transaction().await.unwrap();
    blocker.batch_execute("LOCK TABLE scrape_images IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let problem = reader.ask("GET", "/v1/images?fixed=true", &Value::Null).await.expect(422);
    assert!(
        problem["what_to_do"].as_str().unwrap().starts_with("name an advertiser or a scrape"),
        "{problem}"
    );
    let page = reader.ask("GET", "/images?fixed=true", &Value::Null).await;
    assert!(page.status == 422 && page.text.contains("name an advertiser or a scrape"), "{page:?}");
    // Where nothing is passed over it is not the filter that takes its time: whoever asks may come again.
    let busy = reader.ask("GET", "/v1/images", &Value::Null).await;
    assert_eq!((busy.status, busy.header("retry-after")), (503, "5"));
    blocker.rollback().await.unwrap();
    drop(client);
    console.stop().await;
    fleet.end().await;
}

/// What hardly any row has is found by an index of just those rows.
#[tokio::test(flavor = "multi_thread")]
async fn corrected_and_skipped_pictures_are_found_without_reading_the_others() {
    let fleet = fleet().await;
    let console = fleet.start_console().await;
    let reader = console.caller(&["read"]).await;
    inventory(&fleet, "a1", "a", "tagged", &["a/1", "a/2", "a/3"]).await;
    fleet
        .execute(
            "INSERT INTO scrape_images (day, scrape, seq, image_id, url, outcome, tags)
             SELECT day, key, n, gen_random_uuid(), 'http://img.test/many/' || n, 'inferred', '{}'
               FROM scrapes, generate_series(10, 20000) n;
             UPDATE scrape_images SET fix = '{\"color\": \"red\"}' WHERE url LIKE '%a/2';
             UPDATE scrape_images SET outcome = 'skipped', reason = 'gone' WHERE url LIKE '%a/3'",
        )
        .await;
    fleet.execute("ANALYZE scrape_images").await;
    for (query, found, index) in
        [("fixed=true", "a/2", "scrape_images_fixed"), ("outcome=skipped", "a/3", "scrape_images_failed")]
    {
        assert_eq!(grid(&reader, query).await, [found]);
        let scans = format!(
            "SELECT coalesce(sum(idx_scan), 0)::int8 FROM pg_stat_user_indexes s
               JOIN pg_inherits i ON i.inhrelid = s.indexrelid WHERE i.inhparent = '{index}'::regclass"
        );
        eventually("the index was used", || async { (fleet.count(&scans).await > 0).then_some(()) }).await;
    }
    console.stop().await;
    fleet.end().await;
}

/// The page of a picture names the URL with which it was listed last, whoever lists it.
#[tokio::test(flavor = "multi_thread")]
async fn the_url_of_a_picture_is_that_of_its_last_listing() {
    let fleet = fleet().await;
    let console = fleet.start_console().await;
    let reader = console.caller(&["read"]).await;
    inventory(&fleet, "a1", "a", "tagged", &["old.jpg"]).await;
    inventory(&fleet, "b1", "b", "tagged", &["new.jpg"]).await;
    let image = ImageId::of(Some("key"), "");
    fleet.execute(&format!("UPDATE scrape_images SET image_id = '{image}'")).await;
    let page = reader.ask("GET", &format!("/images/{image}"), &Value::Null).await;
    assert!(page.text.contains("Picture new.jpg"), "{}", page.text);
    console.stop().await;
    fleet.end().await;
}

/// However many look for what is hard to find, they hold but some of the connections: the others are for all else.
#[tokio::test(flavor = "multi_thread")]
async fn lists_that_take_long_leave_connections_for_others() {
    let settings = vec![("TAGFLEET__DATABASE__POOL_SIZE", "3".to_owned())];
    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, settings, ..Options::default() }).await;
    let console = fleet.start_console().await;
    let reader = console.caller(&["read", "operate"]).await;
    let mut client = fleet.database.pool.get().await.unwrap();
    let lock = client.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE scrape_images IN ACCESS EXCLUSIVE MODE").await.unwrap();
    const LOOKING: &str = "
        SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event = 'relation' AND query LIKE '%WITH kept%'";

    let done = AtomicBool::new(false);
    let lists = async {
        let mut answers = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let path = |n| if n == 0 { "/v1/conflicts" } else { "/v1/images?outcome=skipped" };
            let lists = (0..6).map(|n| reader.ask("GET", path(n), &Value::Null));
            answers.extend(join_all(lists).await);
        }
        answers
    };
    let others = async {
        eventually("one list is looked for", || async { (fleet.count(LOOKING).await == 1).then_some(()) })
            .await;
        for _ in 0..20 {
            reader.get("/v1/audit").await;
            assert!(fleet.count(LOOKING).await <= 1, "the others wait for a place");
        }
        done.store(true, Ordering::Relaxed);
    };
    let (lists, ()) = tokio::join!(lists, others);
    for list in lists {
        assert!(matches!(list.status, 422 | 503), "{list:?}");
        assert!(list.status != 503 || list.headers.contains_key("retry-after"), "{list:?}");
    }
    lock.rollback().await.unwrap();
    drop(client);
    console.stop().await;
    fleet.end().await;
}
