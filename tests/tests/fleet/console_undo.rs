//! People take back what they corrected.

use serde_json::{Value, json};
use tagfleet_shared::ids::ImageId;
use tagfleet_tests::{Caller, Fleet, listed, scrape};

use crate::console_fixes::{EDITOR, colors};

/// One after the other, the last first: what somebody undid is no write that keeps them from undoing the one before it. What
/// somebody else wrote in between is.
#[tokio::test(flavor = "multi_thread")]
async fn who_undoes_a_correction_undoes_the_one_before_it_next() {
    let fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let (ann, bob, url) =
        (console.caller(&EDITOR).await, console.caller(&EDITOR).await, fleet.picture("/a.jpg"));
    let event = scrape("dealer", vec![listed(url.clone())]);
    fleet.tag(&event).await;
    let machine = colors(&fleet, &event.scrape_id).await;
    let image = ImageId::of(None, &url);
    let fix = async |who: &Caller, color| {
        who.fix(image, "dealer", Some(color)).await.expect(201)["entries"][0]["id"].clone()
    };
    let undo = async |who: &Caller, entry: &Value| {
        who.post("/v1/fixes/undo", json!({ "entries": [entry] })).await.status
    };

    let (first, second) = (fix(&ann, "red").await, fix(&ann, "green").await);
    assert_eq!(undo(&ann, &first).await, 409, "what it left does not hold");
    assert_eq!(undo(&ann, &second).await, 200);
    assert_eq!(undo(&bob, &first).await, 409, "of bob, ann is somebody else");
    // Another advertiser's and everybody's are other places.
    bob.fix(image, "other", Some("white")).await.expect(201);
    assert_eq!(undo(&ann, &first).await, 200);
    assert_eq!(colors(&fleet, &event.scrape_id).await, machine);

    let (first, second) = (fix(&ann, "red").await, fix(&ann, "green").await);
    let between = fix(&bob, "blue").await;
    assert_eq!(undo(&ann, &second).await, 409, "bob has said something else");
    assert_eq!(undo(&bob, &between).await, 200);
    assert_eq!(undo(&ann, &second).await, 409, "bob has looked at it since, and left it so");
    assert_eq!(undo(&ann, &first).await, 409);
    assert_eq!(colors(&fleet, &event.scrape_id).await, ["green"]);

    // A withdrawal is a correction too, and several are undone at once.
    let withdraw = format!("/v1/images/{image}/fixes?attribute=color&advertiser=dealer");
    let withdrawn = ann.clone().with("if-match", "*").ask("DELETE", &withdraw, &Value::Null).await;
    let withdrawn = withdrawn.expect(200)["entries"][0]["id"].clone();
    let (third, fourth) = (fix(&ann, "white").await, fix(&ann, "gray").await);
    let both = ann.post("/v1/fixes/undo", json!({ "entries": [third, fourth] })).await;
    both.expect(200);
    assert_eq!(undo(&ann, &withdrawn).await, 200);
    assert_eq!(colors(&fleet, &event.scrape_id).await, ["green"]);
    console.stop().await;
    fleet.end().await;
}

/// What an older model set knew comes back by no undo, as by no other way: of several entries nothing is written then.
#[tokio::test(flavor = "multi_thread")]
async fn an_undo_brings_back_only_what_the_live_model_set_knows() {
    let fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let (editor, urls) = (console.caller(&EDITOR).await, fleet.pictures(2));
    let event = scrape("dealer", urls.iter().cloned().map(listed).collect());
    fleet.tag(&event).await;
    let [old, new] = [0, 1].map(|n| ImageId::of(None, &urls[n]));
    fleet
        .execute(&format!(
            "INSERT INTO fixes (image_id, advertiser_id, attribute, value, fixed_by)
             VALUES ('{old}', 'dealer', 'color', 'teal', 'ann')"
        ))
        .await;
    let fix = async |image, color| {
        editor.fix(image, "dealer", Some(color)).await.expect(201)["entries"][0]["id"].clone()
    };
    let undo = async |entries: &[&Value]| editor.post("/v1/fixes/undo", json!({ "entries": entries })).await;
    let (over_teal, over_none) = (fix(old, "red").await, fix(new, "red").await);

    let refused = undo(&[&over_none, &over_teal]).await;
    assert_eq!(refused.header("content-type"), "application/problem+json");
    let problem = refused.expect(422);
    let detail = format!(
        "entry {over_teal} cannot be undone: the live model set knows no value \"teal\" of color; nothing was written"
    );
    assert_eq!((&problem["type"], &problem["detail"]), (&json!("/problems/unprocessable"), &json!(detail)));
    assert!(problem["what_to_do"].as_str().unwrap().contains("black, white, gray"), "{problem}");
    assert_eq!(colors(&fleet, &event.scrape_id).await, ["red", "red"]);

    // A fix that is withdrawn by it is no value; of two entries about one place the first counts.
    undo(&[&over_none]).await.expect(200);
    let over_red = fix(old, "green").await;
    undo(&[&over_teal, &over_red]).await.expect(422);
    undo(&[&over_red]).await.expect(200);
    let red = format!("SELECT count(*) FROM fixes WHERE image_id = '{old}' AND value = 'red'");
    assert_eq!((fleet.count(&red).await, fleet.count("SELECT count(*) FROM fixes").await), (1, 1));
    console.stop().await;
    fleet.end().await;
}
