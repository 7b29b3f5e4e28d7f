//! A correction and the rows that it is merged into: those that are there, those that come, and those that are many.

use serde_json::json;
use tagfleet_shared::fixes;
use tagfleet_shared::ids::ImageId;
use tagfleet_tests::{Fleet, Options, eventually, listed, scrape};
use uuid::Uuid;

const EDITOR: [&str; 2] = ["read", "fix"];
const RED: &str = "SELECT count(*) FROM scrape_images WHERE tags ->> 'color' = 'red'";

/// A fleet without workers, whose models know red and blue.
async fn fleet() -> Fleet {
    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, ..Options::default() }).await;
    fleet.execute("SELECT ensure_partition(now()::date)").await;
    fleet.execute("INSERT INTO model_sets (digest, name, attributes, loaded_at) VALUES ('d', 'd', '[{\"name\": \"color\", \"classes\": [\"red\", \"blue\"], \"default\": null}]', now())").await;
    fleet
}

/// One image that one inventory of an advertiser lists so many times.
async fn listed_often(fleet: &Fleet, advertiser: &str, image: ImageId, times: usize) {
    fleet
        .execute(&format!(
            "WITH s AS (
                INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, listed)
                VALUES ('of {advertiser}', '{advertiser}', 'bulk', 'tagged', now()::date, now(), {times}) RETURNING key)
             INSERT INTO scrape_images (day, scrape, seq, image_id, url, outcome, tags)
             SELECT now()::date, s.key, n, '{image}', 'http://img.test/none.jpg', 'inferred', '{{\"color\": null}}'
               FROM s, generate_series(0, {times} - 1) n"
        ))
        .await;
}

/// From the next scrape on it is still said that a person said it, also in rows that a worker of before wrote.
#[tokio::test(flavor = "multi_thread")]
async fn a_persons_value_is_shown_as_a_persons_in_the_next_scrape_too() {
    let fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let (editor, urls) = (console.caller(&EDITOR).await, fleet.pictures(2));
    let image = ImageId::of(None, &urls[0]);
    let inventory = || scrape("dealer", urls.iter().cloned().map(listed).collect());
    fleet.tag(&inventory()).await;
    editor.fix(image, "dealer", Some("green")).await.expect(201);
    fleet.tag(&inventory()).await;

    let fixed = "SELECT count(*) FROM scrape_images WHERE fix = '{\"color\": \"green\"}'";
    assert_eq!(fleet.count(fixed).await, 2, "the row of the next scrape has it");
    let written_by = ["a worker", "a worker of before"];
    for worker in written_by {
        let story = editor.get(&format!("/v1/images/{image}")).await;
        let value =
            story["values"].as_array().unwrap().iter().find(|value| value["attribute"] == "color").unwrap();
        assert_eq!((&value["value"], &value["source"]), (&json!("green"), &json!("fix")), "{worker}");
        let found = editor.get("/v1/images?fixed=true").await;
        let card = &found["items"][0];
        assert_eq!((&card["image_id"], &card["fixed"]), (&json!(image), &json!(["color"])), "{worker}");
        let others = editor.get("/v1/images?fixed=false").await;
        let others = others["items"].as_array().unwrap();
        assert!(others.len() == 1 && others[0]["image_id"] != json!(image), "{worker}: {others:?}");
        // It merged the fix, and did not note it.
        fleet.execute("UPDATE scrape_images SET fix = NULL").await;
    }
    console.stop().await;
    fleet.end().await;
}

/// What a newer scrape has overtaken is skipped with the fixes noted, as a worker does it.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_skipped_as_superseded_keeps_the_fix_as_such() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let url = fleet.picture("/a.jpg");
    let image = ImageId::of(None, &url);
    fleet.execute(&format!("INSERT INTO fixes (image_id, attribute, value, fixed_by) VALUES ('{image}', 'color', 'red', 'ann')")).await;
    let (late, newer) = (scrape("dealer", vec![listed(url.clone())]), scrape("dealer", vec![listed(url)]));
    fleet.publish(&newer).await;
    eventually("the newer one is there", || async {
        let there = "SELECT count(*) FROM scrapes WHERE published_at IS NOT NULL";
        (fleet.count(there).await == 1).then_some(())
    })
    .await;
    fleet.publish(&late).await;
    eventually("the older one is overtaken", || async {
        let skipped =
            "SELECT count(*) FROM scrape_images WHERE reason = 'superseded' AND fix = '{\"color\": \"red\"}'";
        (fleet.count(skipped).await == 1).then_some(())
    })
    .await;
    fleet.abandon().await;
}

/// What is committed is never called undone: the rows follow, and the entries are told.
#[tokio::test(flavor = "multi_thread")]
async fn a_correction_whose_rows_have_to_wait_is_answered_as_written() {
    let fleet = fleet().await;
    let console = fleet.start_console().await;
    let (editor, image) = (console.caller(&EDITOR).await, ImageId(Uuid::new_v4()));
    listed_often(&fleet, "dealer", image, 1).await;
    let rename = async |from: &str, to: &str| {
        fleet.execute(&format!("ALTER FUNCTION {from} RENAME TO {to}")).await;
    };

    rename("apply_fixes_behind", "away").await;
    let written = editor.fix(image, "dealer", Some("red")).await.expect(202);
    rename("away", "apply_fixes_behind").await;
    assert_eq!(fleet.count(RED).await, 0);
    assert_eq!(fleet.count("SELECT count(*) FROM pending_fixes").await, 1, "the sweep knows of it");
    fixes::apply(&fleet.database.pool, image).await.unwrap();
    assert_eq!(fleet.count(RED).await, 1);
    let undo = json!({ "entries": [written["entries"][0]["id"]] });
    editor.post("/v1/fixes/undo", undo).await.expect(200);
    assert_eq!(fleet.count(RED).await, 0);
    console.stop().await;
    fleet.end().await;
}

/// The line of the audit begins in the transaction of the correction: one that nobody would hear of is not done, and
/// one that is refused has its line all the same.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_corrected_without_its_line_in_the_audit() {
    let fleet = fleet().await;
    let console = fleet.start_console().await;
    let (editor, image) = (console.caller(&EDITOR).await, ImageId(Uuid::new_v4()));
    listed_often(&fleet, "dealer", image, 1).await;

    fleet.execute("ALTER TABLE audit RENAME TO away").await;
    editor.fix(image, "dealer", Some("red")).await.expect(503);
    assert_eq!(fleet.count("SELECT count(*) FROM fixes").await, 0);
    fleet.execute("ALTER TABLE away RENAME TO audit").await;

    editor.fix(image, "dealer", Some("red")).await.expect(201);
    let seen = editor.clone().with("if-match", "\"0.0\"");
    let body = json!({ "attribute": "color", "value": "blue", "scope": { "advertiser": "dealer" } });
    seen.post(&format!("/v1/images/{image}/fixes"), body).await.expect(409);
    editor.fix(ImageId(Uuid::new_v4()), "dealer", Some("red")).await.expect(404);
    let client = fleet.database.pool.get().await.unwrap();
    let lines = "SELECT status FROM audit WHERE kind = 'write' AND ended_at IS NOT NULL AND who IS NOT NULL ORDER BY id";
    let lines: Vec<i32> = client.query(lines, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(lines, [201, 409, 404]);
    drop(client);
    console.stop().await;
    fleet.end().await;
}

/// No picture is listed too often to be passed over: it is done in pieces.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_listed_thousands_of_times_is_corrected_everywhere() {
    let fleet = fleet().await;
    let console = fleet.start_console().await;
    let (editor, image) = (console.caller(&EDITOR).await, ImageId(Uuid::new_v4()));
    listed_often(&fleet, "dealer", image, 11_000).await;
    listed_often(&fleet, "other", image, 3).await;

    editor.fix(image, "dealer", Some("red")).await.expect(201);
    assert_eq!(fleet.count(RED).await, 11_000);
    assert_eq!(fleet.count("SELECT count(*) FROM pending_fixes").await, 0);
    // However often one lists it, the others are told of as well.
    let story = editor.get(&format!("/v1/images/{image}")).await;
    let listed: Vec<_> =
        story["listed"].as_array().unwrap().iter().map(|row| &row["advertiser_id"]).collect();
    assert_eq!(listed, ["dealer", "other"]);
    console.stop().await;
    fleet.end().await;
}

/// A fix that comes between two pieces of a pass stays requested, for the rows that the first piece has left behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_pass_in_pieces_takes_no_newer_request_with_it() {
    let fleet = fleet().await;
    let image = ImageId(Uuid::new_v4());
    listed_often(&fleet, "dealer", image, 3).await;
    let fix = format!(
        "INSERT INTO fixes (image_id, attribute, value, fixed_by) VALUES ('{image}', 'color', 'red', 'ann')"
    );
    fleet.execute(&fix).await;
    let client = fleet.database.pool.get().await.unwrap();
    let first = "SELECT rows, to_day, to_scrape, to_seq, requests FROM apply_fixes_behind(ARRAY[$1::uuid], 2, NULL, NULL, NULL, NULL)";
    let first = client.query_one(first, &[&image.0]).await.unwrap();
    let rest = "SELECT rows FROM apply_fixes_behind(ARRAY[$1::uuid], 2, $2, $3, $4, $5)";
    let place = (first.get::<_, jiff::civil::Date>(1), first.get::<_, i64>(2), first.get::<_, i32>(3));
    let requests: Vec<String> = first.get(4);
    fleet.execute("UPDATE fixes SET value = 'blue'").await;
    let rest = client.query_one(rest, &[&image.0, &place.0, &place.1, &place.2, &requests]).await.unwrap();
    assert_eq!((first.get::<_, i32>(0), rest.get::<_, i32>(0)), (2, 1));
    drop(client);

    assert_eq!(fleet.count(RED).await, 2, "they were passed over before");
    assert_eq!(fleet.count("SELECT count(*) FROM pending_fixes").await, 1);
    fixes::apply(&fleet.database.pool, image).await.unwrap();
    assert_eq!(fleet.count("SELECT count(*) FROM scrape_images WHERE tags ->> 'color' = 'blue'").await, 3);
    assert_eq!(fleet.count("SELECT count(*) FROM pending_fixes").await, 0);
    fleet.end().await;
}

/// A thousand images at once take no thousand places of Postgres' table of locks, which is everybody's.
#[tokio::test(flavor = "multi_thread")]
async fn many_images_are_locked_without_the_table_of_locks() {
    let fleet = fleet().await;
    let images: Vec<_> = (0..1000).map(|_| ImageId(Uuid::new_v4())).collect();
    let mut client = fleet.database.pool.get().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    fixes::lock(&transaction, &images).await.unwrap();
    let held = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()";
    let held: i64 = transaction.query_one(held, &[]).await.unwrap().get(0);
    assert!(held < 20, "{held}");

    // And still, whoever corrects one of them waits for its end.
    let (other, first) = (fleet.database.pool.clone(), images[0]);
    let waits = tokio::spawn(async move {
        let mut client = other.get().await.unwrap();
        let transaction = client.transaction().await.unwrap();
        fixes::lock(&transaction, &[first]).await.unwrap();
    });
    eventually("it waits", || async {
        let waiting = "SELECT count(*) > 0 FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event_type = 'Lock'";
        // Or a transaction sees the same activity again and again.
        transaction.batch_execute("SELECT pg_stat_clear_snapshot()").await.unwrap();
        transaction.query_one(waiting, &[]).await.unwrap().get::<_, bool>(0).then_some(())
    })
    .await;
    assert!(!waits.is_finished());
    transaction.commit().await.unwrap();
    waits.await.unwrap();
    drop(client);
    assert_eq!(fleet.count("SELECT count(*) FROM pending_fixes").await, 1000, "it changed its mind");
    fleet.end().await;
}
