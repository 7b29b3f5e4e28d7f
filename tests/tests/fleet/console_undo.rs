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
