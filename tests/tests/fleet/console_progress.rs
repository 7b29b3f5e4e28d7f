//! How fast scrapes go, as the console says it, and which of them stand still.

use serde_json::{Value, json};
use tagfleet_scheduler::store;
use tagfleet_tests::{Caller, Fleet, Options};

const TAGGING: &str =
    "INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, received_at,
                                            published_at, tagged_at, announced_at, listed, outcomes)";

async fn told(caller: &Caller, scrape: &str) -> Value {
    caller.get(&format!("/v1/scrapes/{scrape}")).await
}

async fn nobody() -> Fleet {
    Fleet::with(Options { schedulers: 0, workers: 0, ..Options::default() }).await
}

/// 180 images in the last half minute; before that thousands, which are no part of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_rate_is_that_of_the_last_minute_however_often_progress_is_folded() {
    let fleet = nobody().await;
    let console = fleet.start_console().await;
    let reader = console.caller(&["read"]).await;
    let mut client = fleet.database.pool.get().await.unwrap();
    fleet
        .execute(&format!(
            "{TAGGING} VALUES ('s', 'a', 'standard', 'tagging', now()::date, now(), now(), now(), NULL, NULL, 99999, NULL);
             INSERT INTO scrape_progress (scrape, outcome, images, recorded_at)
             SELECT key, 'inferred', 90, now() - interval '10 minutes' FROM scrapes, generate_series(1, 100);
             INSERT INTO scrape_progress (scrape, outcome, images, recorded_at)
             SELECT key, 'cached', 6, now() - n * interval '1 second' FROM scrapes, generate_series(1, 30) n"
        ))
        .await;

    let crowded = store::look(&client).await.unwrap().crowded;
    assert_eq!(crowded.len(), 1);
    for _ in ["as workers wrote it", "folded", "folded again"] {
        let scrape = told(&reader, "s").await;
        let rate = scrape["per_second"].as_f64().unwrap();
        assert!((2.0..=3.0).contains(&rate), "180 in 60 to 90 seconds: {scrape}");
        assert_eq!(scrape["ended"], 9180);
        store::fold(&mut client, &crowded).await.unwrap();
    }
    assert!(store::look(&client).await.unwrap().crowded.is_empty(), "what is left is few rows");
    drop(client);
    console.stop().await;
    fleet.abandon().await;
}

/// What had its outcome long ago does not come to it anew because one image is run again.
#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_that_is_run_again_goes_on_at_the_rate_of_what_is_run_again() {
    let fleet = nobody().await;
    let console = fleet.start_console().await;
    let operator = console.caller(&["read", "operate"]).await;
    fleet.execute("SELECT ensure_partition(now()::date)").await;
    fleet
        .execute(&format!(
            "{TAGGING} VALUES ('s', 'a', 'standard', 'tagged', now()::date, now(), now(), now() - interval '1 hour',
                               now() - interval '1 hour', now(), 60001, '{{\"cached\": 60000, \"skipped\": 1}}');
             INSERT INTO scrape_images (day, scrape, seq, image_id, url, outcome, reason, recorded_at)
             SELECT day, key, 0, gen_random_uuid(), 'http://img.test/1.jpg', 'skipped', 'gone', tagged_at FROM scrapes"
        ))
        .await;

    operator.post("/v1/scrapes/s/rerun", Value::Null).await.expect(202);

    let scrape = told(&operator, "s").await;
    assert_eq!((&scrape["state"], &scrape["ended"]), (&json!("tagging"), &json!(60_000)));
    assert_eq!(scrape["per_second"], 0.0, "{scrape}");
    console.stop().await;
    fleet.abandon().await;
}

/// One behind others of its lane waits for its turn, and one that those behind it have overtaken does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_is_stuck_where_nothing_before_it_in_its_lane_moves() {
    let fleet = nobody().await;
    let console = fleet.start_console().await;
    let reader = console.caller(&["read"]).await;
    fleet
        .execute(&format!(
            "{TAGGING}
             SELECT name, name, lane, 'tagging', now()::date, now(), now() - still, now() - still, NULL, NULL, 10, NULL
               FROM (VALUES ('overtaken', 'bulk', interval '3 hours'), ('before', 'bulk', '3 hours'),
                            ('behind', 'bulk', '3 hours'), ('for days', 'bulk', '2 days'),
                            ('alone', 'express', '3 hours')) AS s (name, lane, still);
             INSERT INTO scrape_progress (scrape, outcome, images) SELECT key, 'cached', 1 FROM scrapes
              WHERE scrape_id = 'before'"
        ))
        .await;
    let stuck = async || {
        let mut stuck = Vec::new();
        for scrape in reader.get("/v1/scrapes").await["items"].as_array().unwrap() {
            if scrape["stuck"] == true {
                stuck.push(scrape["scrape_id"].as_str().unwrap().to_owned());
            }
        }
        stuck.sort();
        stuck
    };

    assert_eq!(stuck().await, ["alone", "for days", "overtaken"]);
    let ended =
        "UPDATE scrapes SET state = 'tagged', tagged_at = now(), outcomes = '{}' WHERE scrape_id = 'before';
                 DELETE FROM scrape_progress";
    fleet.execute(ended).await;
    assert_eq!(
        stuck().await,
        ["alone", "for days", "overtaken"],
        "it has ended a moment ago, and is the next one's turn"
    );
    fleet
        .execute("UPDATE scrapes SET tagged_at = now() - interval '1 hour' WHERE scrape_id = 'before'")
        .await;
    assert_eq!(stuck().await, ["alone", "behind", "for days", "overtaken"]);
    console.stop().await;
    fleet.abandon().await;
}

/// Nobody is offered what cannot be done, and whoever asks for it is told why.
#[tokio::test(flavor = "multi_thread")]
async fn only_inventories_are_run_again() {
    let fleet = nobody().await;
    let console = fleet.start_console().await;
    let operator = console.caller(&["read", "operate"]).await;
    for (state, why) in [
        ("fanning_out", "still being listed"),
        ("refused", "nothing of its inventory could be read"),
        ("changed", "pictures that changed"),
    ] {
        fleet
            .execute(&format!(
                "{TAGGING} VALUES ('{state}', 'a', 'standard', '{state}', now()::date, now(), now(), now(), now(), now(), 1, '{{}}')"
            ))
            .await;
        let refused = operator.post(&format!("/v1/scrapes/{state}/rerun"), Value::Null).await.expect(409);
        assert!(refused["detail"].as_str().unwrap().contains(why), "{refused}");
        let page = operator.ask("GET", &format!("/scrapes/{state}"), &Value::Null).await.text;
        assert_eq!(
            page.contains("/rerun"),
            state == "fanning_out",
            "it may be followed until it can: {page}"
        );
    }
    console.stop().await;
    fleet.abandon().await;
}
