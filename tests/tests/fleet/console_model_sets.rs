//! Which model set is live: whose values people choose from and may correct to.

use serde_json::json;
use tagfleet_shared::ids::ImageId;
use tagfleet_tests::{Caller, Fleet, Options};

/// A fleet that lists `image`, and in which two sets have spoken: `many`, which knows red, and an hour later `canary`, which
/// knows teal.
async fn fleet(image: ImageId) -> Fleet {
    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, ..Options::default() }).await;
    fleet.execute("SELECT ensure_partition(now()::date)").await;
    for (set, color, ago) in [("many", "red", "1 hour"), ("canary", "teal", "0")] {
        let knows = json!([{ "name": "color", "classes": [color], "default": null }]);
        fleet
            .execute(&format!(
                "INSERT INTO model_sets (digest, name, attributes, loaded_at)
                 VALUES ('digest of {set}', '{set}', '{knows}', now() - interval '{ago}')"
            ))
            .await;
    }
    fleet
        .execute(&format!(
            "WITH s AS (
                INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, listed)
                VALUES ('s', 'dealer', 'bulk', 'tagged', now()::date, now(), 1) RETURNING key)
             INSERT INTO scrape_images (day, scrape, seq, image_id, url, outcome, tags)
             SELECT now()::date, s.key, 0, '{image}', 'http://img.test/a.jpg', 'inferred', '{{\"color\": null}}' FROM s"
        ))
        .await;
    fleet
}

/// So many workers report that they run `set`.
async fn run(fleet: &Fleet, set: &str, workers: u32) {
    fleet
        .execute(&format!(
            "INSERT INTO worker_reports (worker, pool, version, model_set, digest, provider, started_at, every_seconds, lanes,
                                         failures)
             SELECT '{set}/' || n, 'default', '1', '{set}', 'digest of {set}', 'cpu', now(), 3600, '{{}}', '[]'
               FROM generate_series(1, {workers}) n ON CONFLICT DO NOTHING"
        ))
        .await;
}

/// The set that is told to be the live one, the first of all.
async fn live(reader: &Caller) -> String {
    let sets = reader.get("/v1/model-sets").await["items"].clone();
    let sets = sets.as_array().unwrap();
    let live: Vec<_> = sets.iter().map(|set| set["live"] == true).collect();
    assert!(live[0] && !live[1..].contains(&true), "{sets:?}");
    sets[0]["name"].as_str().unwrap().to_owned()
}

/// One pod of before that starts again in a roll-out, or a pool that tries another set, changes nobody's menus.
#[tokio::test(flavor = "multi_thread")]
async fn the_live_model_set_is_the_one_that_most_workers_say_they_run() {
    let image = ImageId::of(None, "http://img.test/a.jpg");
    let fleet = fleet(image).await;
    let console = fleet.start_console().await;
    let editor = console.caller(&["read", "fix"]).await;
    let may_say = async |color| editor.fix(image, "dealer", Some(color)).await.status;
    assert_eq!((live(&editor).await.as_str(), may_say("red").await), ("canary", 422), "nobody reports");

    run(&fleet, "many", 2).await;
    run(&fleet, "canary", 1).await;
    assert_eq!(live(&editor).await, "many");
    assert_eq!((may_say("teal").await, may_say("red").await), (422, 201));
    let menu = editor.get(&format!("/v1/images/{image}")).await["menus"][0]["values"].clone();
    assert!(menu.as_array().unwrap().contains(&json!("red")), "{menu}");

    fleet.execute("DELETE FROM worker_reports WHERE worker = 'many/2'").await;
    assert_eq!(live(&editor).await, "canary", "of as many the one that was begun with last");
    run(&fleet, "old", 5).await;
    fleet.execute("INSERT INTO model_sets (digest, name) VALUES ('digest of old', 'old')").await;
    assert_eq!(live(&editor).await, "canary", "one that told no values has nothing to choose from");

    run(&fleet, "many", 9).await;
    assert_eq!(live(&editor).await, "many");
    fleet.execute("UPDATE worker_reports SET every_seconds = 0 WHERE model_set = 'many'").await;
    assert_eq!((live(&editor).await.as_str(), may_say("teal").await), ("canary", 201), "who died has no say");
    console.stop().await;
    fleet.end().await;
}
