//! People correct tags through the console, and everybody sees it.

use futures::future::join_all;
use serde_json::{Value, json};
use tagfleet_shared::broker::TAG_FIXED;
use tagfleet_shared::ids::{ImageId, ScrapeId};
use tagfleet_tests::{Fleet, Options, PATIENCE, listed, scrape};

pub const EDITOR: [&str; 2] = ["read", "fix"];

/// The colours of all rows of an image.
pub async fn colors(fleet: &Fleet, scrape: &ScrapeId) -> Vec<String> {
    fleet.rows(scrape).await.iter().map(|row| row.tag("color").to_owned()).collect()
}

/// A value of a story.
fn value<'a>(story: &'a Value, advertiser: &str, attribute: &str) -> &'a Value {
    let values = story["values"].as_array().unwrap();
    let is = |value: &&Value| value["advertiser_id"] == advertiser && value["attribute"] == attribute;
    values.iter().find(is).unwrap_or_else(|| panic!("no {attribute} for {advertiser} in {story:#}"))
}

/// A fix holds in unfinished and finished scrapes and in the next one, and comes back out of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_fix_holds_everywhere_and_can_be_withdrawn_reverted_and_undone() {
    let fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let (editor, url) = (console.caller(&EDITOR).await, fleet.picture("/a.jpg"));
    let before = scrape("dealer", vec![listed(url.clone())]);
    fleet.tag(&before).await;
    let machine = colors(&fleet, &before.scrape_id).await;
    let image = ImageId::of(None, &url);
    let path = format!("/v1/images/{image}");
    let any = editor.clone().with("if-match", "*");

    let first = editor.fix(image, "dealer", Some("red")).await.expect(201)["entries"][0]["id"].clone();
    let second = editor.fix(image, "dealer", Some("green")).await.expect(201)["entries"][0]["id"].clone();
    assert_eq!(colors(&fleet, &before.scrape_id).await, ["green"]);
    let story = editor.get(&path).await;
    assert_eq!(value(&story, "dealer", "color")["source"], "fix");
    let after = scrape("dealer", vec![listed(url)]);
    fleet.tag(&after).await;
    assert_eq!(colors(&fleet, &after.scrape_id).await, ["green"], "the next scrape");

    any.post(&format!("/v1/fixes/{first}/revert"), Value::Null).await.expect(200);
    assert_eq!(colors(&fleet, &after.scrape_id).await, ["red"]);
    editor.post("/v1/fixes/undo", json!({ "entries": [second] })).await.expect(409);
    assert_eq!(colors(&fleet, &after.scrape_id).await, ["red"], "somebody has corrected it since");

    let withdrawn =
        any.ask("DELETE", &format!("{path}/fixes?attribute=color&advertiser=dealer"), &Value::Null).await;
    let withdrawn = withdrawn.expect(200)["entries"][0]["id"].clone();
    assert_eq!(colors(&fleet, &before.scrape_id).await, machine, "the machine's value is back");
    any.ask("DELETE", &format!("{path}/fixes?attribute=color&advertiser=dealer"), &Value::Null)
        .await
        .expect(404);
    editor.post("/v1/fixes/undo", json!({ "entries": [withdrawn] })).await.expect(200);
    assert_eq!(colors(&fleet, &before.scrape_id).await, ["red"]);

    let story = editor.get(&path).await;
    let history = story["history"].as_array().unwrap();
    let told: Vec<_> = history.iter().rev().map(|entry| (&entry["action"], &entry["to"])).collect();
    let (set, gone) = (json!("set"), json!("withdrawn"));
    let (red, green) = (json!("red"), json!("green"));
    assert_eq!(told, [(&set, &red), (&set, &green), (&set, &red), (&gone, &Value::Null), (&set, &red)]);
    assert!(history.iter().all(|entry| entry["by"].as_str().unwrap().starts_with("token ")));
    let edited = fleet.database.pool.get().await.unwrap().execute("DELETE FROM fix_history", &[]).await;
    assert!(edited.is_err(), "the history is append-only");
    console.stop().await;
    fleet.end().await;
}

/// Whoever saw something else is told, and nothing is written.
#[tokio::test(flavor = "multi_thread")]
async fn a_fix_of_what_has_changed_since_it_was_seen_is_refused() {
    let fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let (editor, url) = (console.caller(&EDITOR).await, fleet.picture("/a.jpg"));
    let event = scrape("dealer", vec![listed(url.clone())]);
    fleet.tag(&event).await;
    let image = ImageId::of(None, &url);
    let path = format!("/v1/images/{image}");
    let seen = editor.ask("GET", &path, &Value::Null).await.header("etag").to_owned();
    let (one, two) = (editor.clone().with("if-match", &seen), editor.clone().with("if-match", &seen));
    let body = |color: &str, scope: Value| json!({ "attribute": "color", "value": color, "scope": scope });
    let (dealer, other) = (json!({ "advertiser": "dealer" }), json!({ "advertiser": "other" }));

    one.post(&format!("{path}/fixes"), body("red", dealer.clone())).await.expect(201);
    let problem = two.post(&format!("{path}/fixes"), body("blue", dealer.clone())).await;
    assert_eq!(problem.header("content-type"), "application/problem+json");
    assert_eq!(problem.expect(409)["type"], "/problems/conflict");
    assert_eq!(colors(&fleet, &event.scrape_id).await, ["red"]);
    two.post(&format!("{path}/fixes"), body("blue", json!("everyone"))).await.expect(409);
    two.post(&format!("{path}/fixes"), body("blue", other)).await.expect(201);
    editor.post(&format!("{path}/fixes"), body("blue", dealer.clone())).await.expect(428);
    let first = editor.get(&path).await["history"][1]["id"].clone();
    let withdraw = format!("{path}/fixes?attribute=color&advertiser=dealer");
    for (method, path) in [("DELETE", withdraw), ("POST", format!("/v1/fixes/{first}/revert"))] {
        two.ask(method, &path, &Value::Null).await.expect(409);
        editor.ask(method, &path, &Value::Null).await.expect(428);
    }
    assert_eq!(colors(&fleet, &event.scrape_id).await, ["red"], "nothing was written");

    // Another picture under the same name is not what was seen.
    let seen = editor.ask("GET", &path, &Value::Null).await.header("etag").to_owned();
    fleet.execute("UPDATE image_tags SET bytes_hash = gen_random_uuid()").await;
    let late = editor.clone().with("if-match", seen);
    late.post(&format!("{path}/fixes"), body("green", dealer)).await.expect(409);
    console.stop().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_the_live_model_set_does_not_know_is_refused_with_those_that_it_does() {
    let fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let (editor, url) = (console.caller(&EDITOR).await, fleet.picture("/a.jpg"));
    fleet.tag(&scrape("dealer", vec![listed(url.clone())])).await;
    let image = ImageId::of(None, &url);

    let problem = editor.fix(image, "dealer", Some("teal")).await.expect(422);
    assert!(problem["what_to_do"].as_str().unwrap().contains("black, white, gray"), "{problem}");
    editor.fix(image, "dealer", None).await.expect(201);
    let any = editor.clone().with("if-match", "*");
    let set = |attribute: &str, value: Value| json!({ "attribute": attribute, "value": value, "scope": "everyone" });
    let path = format!("/v1/images/{image}/fixes");
    any.post(&path, set("room", json!("kitchen"))).await.expect(422);
    any.post(&path, set("image_type", Value::Null)).await.expect(422);
    any.post(&path, set("image_type", json!("Stock"))).await.expect(201);
    // Nor what an older set knew, by way of the history.
    fleet
        .execute(&format!(
            "INSERT INTO fixes (image_id, advertiser_id, attribute, value, fixed_by)
             VALUES ('{image}', 'other', 'color', 'teal', 'ann')"
        ))
        .await;
    let history = editor.get(&format!("/v1/images/{image}")).await["history"].clone();
    let teal = history.as_array().unwrap().iter().find(|entry| entry["to"] == "teal").unwrap();
    any.post(&format!("/v1/fixes/{}/revert", teal["id"]), Value::Null).await.expect(422);
    let unknown = ImageId::of(None, "http://nobody.test/has-listed-it.jpg");
    editor.fix(unknown, "dealer", Some("red")).await.expect(404);

    let story = editor.get(&format!("/v1/images/{image}")).await;
    let menu = |attribute: &str| {
        let menus = story["menus"].as_array().unwrap();
        menus.iter().find(|menu| menu["attribute"] == attribute).unwrap()["values"].clone()
    };
    let said = &story["said"][0]["tags"];
    let first = if said["color"].is_null() { json!("black") } else { said["color"].clone() };
    assert_eq!(menu("color")[0], first);
    assert_eq!(menu("image_type")[0], said["image_type"]);
    console.stop().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_images_are_corrected_at_once_or_none_is() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let console = fleet.start_console().await;
    let editor = console.caller(&EDITOR).await;
    fleet.execute("INSERT INTO model_sets (digest, name, attributes, loaded_at) VALUES ('d', 'd', '[{\"name\": \"color\", \"classes\": [\"red\", \"blue\"], \"default\": null}]', now())").await;
    fleet.execute(
        "SELECT ensure_partition(now()::date);
         INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, listed)
         VALUES ('s', 'dealer', 'express', 'tagged', now()::date, now(), 1000);
         INSERT INTO scrape_images (day, scrape, seq, image_id, url, outcome, tags)
         SELECT now()::date, s.key, n, gen_random_uuid(), 'http://img.test/' || n, 'inferred', '{\"color\": null}'
           FROM scrapes s, generate_series(0, 999) n"
    ).await;
    let client = fleet.database.pool.get().await.unwrap();
    let ids = client.query("SELECT image_id FROM scrape_images ORDER BY seq", &[]).await.unwrap();
    drop(client);
    let images: Vec<Value> =
        ids.iter().map(|row| json!({ "image_id": row.get::<_, uuid::Uuid>(0), "version": "0.0" })).collect();
    let bulk = |images: &[Value]| json!({ "images": images, "attribute": "color", "verdict": { "set": "red" }, "scope": { "advertiser": "dealer" } });
    const RED: &str = "SELECT count(*) FROM scrape_images WHERE tags ->> 'color' = 'red'";

    let mut with_stranger = images.clone();
    with_stranger[999] = json!({ "image_id": uuid::Uuid::new_v4(), "version": "*" });
    editor.post("/v1/fixes/bulk", bulk(&with_stranger)).await.expect(404);
    assert_eq!(fleet.count(RED).await, 0, "all or nothing");
    let mut too_many = images.clone();
    too_many.push(images[0].clone());
    editor.post("/v1/fixes/bulk", bulk(&too_many)).await.expect(400);

    let written = editor.post("/v1/fixes/bulk", bulk(&images)).await.expect(200);
    assert_eq!(fleet.count(RED).await, 1000);
    let entries: Vec<_> =
        written["entries"].as_array().unwrap().iter().map(|entry| entry["id"].clone()).collect();
    assert_eq!(entries.len(), 1000);
    editor.post("/v1/fixes/bulk", bulk(&images)).await.expect(409);

    editor.post("/v1/fixes/undo", json!({ "entries": entries })).await.expect(200);
    assert_eq!(fleet.count(RED).await, 0);
    assert_eq!(fleet.count("SELECT count(*) FROM fixes").await, 0);
    assert_eq!(fleet.count("SELECT count(*) FROM fix_history").await, 2000);
    console.stop().await;
    fleet.end().await;
}

/// With three workers and a re-scrape running, no reader sees the old value once a fix is answered.
#[tokio::test(flavor = "multi_thread")]
async fn no_reader_sees_the_old_value_once_a_fix_is_answered() {
    let fleet = Fleet::with(Options { workers: 3, ..Options::default() }).await;
    let console = fleet.start_console().await;
    let (editor, urls) = (console.caller(&EDITOR).await, fleet.pictures(12));
    fleet.tag(&scrape("warm-up", urls.iter().cloned().map(listed).collect())).await;

    for (round, color) in ["red", "blue", "green"].into_iter().enumerate() {
        let event = scrape("dealer", urls.iter().cycle().take(120).cloned().map(listed).collect());
        let people = async {
            join_all(urls.iter().map(async |url| {
                let image = ImageId::of(None, url);
                editor.fix(image, "dealer", Some(color)).await.expect(201);
                // At once: the answer is the moment from which on it holds.
                let old = format!(
                    "SELECT count(*) FROM scrape_images i JOIN scrapes s ON s.key = i.scrape
                      WHERE i.image_id = '{image}' AND s.advertiser_id = 'dealer' AND i.outcome IS NOT NULL
                        AND i.tags ->> 'color' IS DISTINCT FROM '{color}'"
                );
                assert_eq!(fleet.count(&old).await, 0, "{url} is not {color} everywhere");
                let story = editor.get(&format!("/v1/images/{image}")).await;
                let values = story["values"].as_array().unwrap();
                let is = |value: &&Value| value["advertiser_id"] == "dealer" && value["attribute"] == "color";
                match values.iter().find(is) {
                    Some(value) => assert_eq!(value["value"], color),
                    None => {
                        assert_eq!(round, 0, "while a re-scrape runs, what was said before holds: {story:#}")
                    }
                }
            }))
            .await
        };
        tokio::join!(fleet.tag(&event), people);
        assert!(colors(&fleet, &event.scrape_id).await.iter().all(|now| now == color));
    }
    console.stop().await;
    fleet.end().await;
}

/// The history, the feed and the event say what the models had said when a person spoke: null is an answer too.
#[tokio::test(flavor = "multi_thread")]
async fn a_correction_tells_what_the_models_had_said() {
    let fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let (editor, url) = (console.caller(&EDITOR).await, fleet.picture("/a.jpg"));
    let event = scrape("dealer", vec![listed(url.clone())]);
    fleet.tag(&event).await;
    let image = ImageId::of(None, &url);
    let mut news = fleet.broker.listen(TAG_FIXED).await.unwrap();
    let mut told = Vec::new();
    for said in [json!("teal"), Value::Null] {
        fleet.execute(&format!("UPDATE image_tags SET tags = tags || '{{\"color\": {said}}}'")).await;
        editor.fix(image, "dealer", Some("red")).await.expect(201);
        let received = tokio::time::timeout(PATIENCE, news.next()).await.expect("the fix is published");
        told.push(serde_json::from_slice::<Value>(&received.body).unwrap()["machine"].clone());
        received.ack();
    }
    assert_eq!(told, [json!("teal"), Value::Null]);
    let history = editor.get(&format!("/v1/images/{image}")).await["history"].clone();
    assert_eq!((&history[1]["machine"], &history[0]["machine"]), (&json!("teal"), &Value::Null));
    assert!(history[0].as_object().unwrap().contains_key("machine"), "null is an answer too");
    let csv = editor.clone().with("accept", "text/csv").ask("GET", "/v1/fixes", &Value::Null).await;
    assert!(csv.text.lines().nth(1).unwrap().ends_with(",teal"), "{}", csv.text);

    let unseen = "INSERT INTO fixes (image_id, attribute, value, fixed_by) VALUES (gen_random_uuid(), 'color', 'red', 'ann')";
    fleet.execute(unseen).await;
    let feed = editor.ask("GET", "/v1/fixes", &Value::Null).await;
    let last: Value = serde_json::from_str(feed.text.lines().last().unwrap()).unwrap();
    assert!(last.get("machine").is_none(), "nobody said anything of it: {last}");
    news.close().finished().await;
    console.stop().await;
    fleet.end().await;
}
