//! What people see of a picture after another one has come to its address.

use serde_json::{Value, json};
use tagfleet_loadtest::origin::Response;
use tagfleet_shared::events::Change;
use tagfleet_shared::ids::ImageId;
use tagfleet_tests::{Caller, Fleet, ModelFolder, Options, changed, colours, listed, plain_png, scrape};

/// The picture as the inventory of `advertiser` has it.
async fn in_the_grid(caller: &Caller, advertiser: &str) -> Value {
    caller.get(&format!("/v1/images?advertiser={advertiser}")).await["items"][0].clone()
}

/// The tags in an inventory are those of the picture before, and nobody takes the scores of the new one for theirs.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_was_replaced_says_so_and_tells_no_scores_until_it_is_listed_again() {
    let folder = ModelFolder::new("replaced");
    colours(&folder);
    let fleet = Fleet::with(Options { settings: vec![folder.setting()], ..Options::default() }).await;
    let console = fleet.start_console().await;
    let reader = console.caller(&["read"]).await;
    let mut told = fleet.listen_to_pictures().await;
    let url = fleet.origin.url("/picture");
    fleet.origin.put("/picture", Response::jpeg(plain_png(20, 10, [0, 0, 255])));
    for advertiser in ["north", "south"] {
        fleet.tag(&scrape(advertiser, vec![listed(url.clone())])).await;
    }
    let before = in_the_grid(&reader, "south").await;
    assert_eq!((&before["tags"]["channel"], &before["replaced_at"]), (&json!("blue"), &Value::Null));
    assert!(before["scores"]["channel"].is_number(), "{before}");

    fleet.origin.put("/picture", Response::jpeg(plain_png(20, 10, [0, 255, 0])));
    fleet.publish_changes(&[changed("north", Change::Replaced, listed(url.clone()))]).await;
    assert_eq!(told.next().await.tags.get("channel"), Some("green"));

    for advertiser in ["north", "south"] {
        let image = in_the_grid(&reader, advertiser).await;
        assert_eq!((&image["tags"]["channel"], &image["scores"]), (&json!("blue"), &json!({})));
        assert!(image["replaced_at"].is_string(), "{image}");
    }
    let path = format!("/images/{}", ImageId::of(None, &url));
    let story = reader.get(&format!("/v1{path}")).await;
    let of = |list: &str, advertiser: &str| {
        let all = story[list].as_array().unwrap();
        all.iter().find(|item| item["advertiser_id"] == advertiser).unwrap().clone()
    };
    assert!(of("listed", "south")["replaced_at"].is_string() && of("values", "south")["score"].is_null());
    assert!(of("listed", "north")["replaced_at"].is_null(), "who told of it has its tags: {story}");
    let below = "/v1/images?advertiser=south&attribute=channel&score_below=1";
    assert!(reader.get(below).await["items"].as_array().unwrap().is_empty(), "no score is none below it");
    let page = reader.ask("GET", &path, &Value::Null).await.text;
    assert!(page.contains("the tags for south are those of the one before"), "{page}");

    fleet.tag(&scrape("south", vec![listed(url)])).await;
    let after = in_the_grid(&reader, "south").await;
    assert_eq!((&after["tags"]["channel"], &after["replaced_at"]), (&json!("green"), &Value::Null));
    assert!(after["scores"]["channel"].is_number(), "{after}");
    console.stop().await;
    fleet.end().await;
}
