//! Why a picture has its tags, where people disagree, and how pictures are found.

use serde_json::{Value, json};
use tagfleet_loadtest::origin::Response;
use tagfleet_shared::events::ListedImage;
use tagfleet_shared::ids::ImageId;
use tagfleet_tests::{
    Caller, Fleet, ModelFolder, Options, colours, eventually, jpeg, listed, plain_png, scrape,
};

async fn fix(caller: &Caller, image: ImageId, scope: Value, color: &str) {
    let body = json!({ "attribute": "color", "value": color, "scope": scope, "note": "seen by eye" });
    let any = caller.clone().with("if-match", "*");
    any.post(&format!("/v1/images/{image}/fixes"), body).await.expect(201);
}

fn source<'a>(story: &'a Value, advertiser: &str, attribute: &str) -> &'a str {
    let values = story["values"].as_array().unwrap();
    let is = |value: &&Value| value["advertiser_id"] == advertiser && value["attribute"] == attribute;
    values.iter().find(is).unwrap()["source"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_of_a_picture_says_where_each_value_came_from() {
    let fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let editor = console.caller(&["read", "fix"]).await;
    let bytes = jpeg();
    for path in ["/a.jpg", "/twin.jpg"] {
        fleet.origin.put(path, Response::jpeg(bytes.clone()));
    }
    let (url, twin) = (fleet.origin.url("/a.jpg"), fleet.origin.url("/twin.jpg"));
    let image = ImageId::of(None, &url);
    let story = async |image: ImageId| editor.get(&format!("/v1/images/{image}")).await;

    let first = scrape("first", vec![listed(url.clone())]);
    fleet.tag(&first).await;
    let told = story(image).await;
    assert_eq!(source(&told, "first", "image_type"), "model");
    assert_eq!(told["listed"][0]["scrape_id"], first.scrape_id.0);
    assert_eq!((&told["listed"][0]["seq"], &told["listed"][0]["url"]), (&json!(0), &json!(url)));
    let said = &told["said"][0];
    assert_eq!((&said["width"], &said["height"]), (&json!(320), &json!(240)));
    assert!(said["scores"]["image_type"].as_f64().unwrap() > 0.0 && said["bytes_hash"].is_string());
    assert!(said["card"].as_str().unwrap().starts_with('#'), "the card of the model set");
    assert_eq!(said["digest"], told["listed"][0]["model_set"]);

    fleet.tag(&scrape("second", vec![listed(url.clone())])).await;
    let configured = [("color", Some("mauve"))].into_iter().collect();
    let stated = ListedImage { url: url.clone(), configured: Some(configured), ..Default::default() };
    fleet.tag(&scrape("third", vec![stated, listed(twin.clone())])).await;
    fleet.tag(&scrape("fourth", vec![listed(twin.clone())])).await;
    fix(&editor, image, json!({ "advertiser": "first" }), "red").await;
    let told = story(image).await;
    assert_eq!(source(&told, "first", "color"), "fix");
    for value in told["values"].as_array().unwrap() {
        let others = ["fix", "fix_for_everyone", "configured"].contains(&value["source"].as_str().unwrap());
        assert!(
            !others || value["score"].is_null(),
            "a score of the models' is not of what others said: {value}"
        );
    }
    assert_eq!(source(&told, "second", "image_type"), "cached");
    assert_eq!(source(&told, "third", "color"), "configured");
    assert_eq!(told["said"][0]["twins"], 1);
    assert_eq!(source(&story(ImageId::of(None, &twin)).await, "third", "image_type"), "matched_bytes");
    fix(&editor, image, json!("everyone"), "blue").await;
    let told = story(image).await;
    assert_eq!(
        (source(&told, "first", "color"), source(&told, "second", "color")),
        ("fix", "fix_for_everyone")
    );
    assert_eq!(told["history"][0]["note"], "seen by eye");

    fleet.origin.put("/broken.jpg", Response::jpeg(vec![0xff, 0xd8, 0xff, 0]));
    let broken = fleet.origin.url("/broken.jpg");
    fleet.tag(&scrape("fifth", vec![listed(broken.clone())])).await;
    let told = story(ImageId::of(None, &broken)).await;
    assert_eq!(source(&told, "fifth", "image_type"), "default");
    assert!(told["values"][0]["reason"].is_string() && told["failure"]["reason"].is_string(), "{told}");
    editor.ask("GET", &format!("/v1/images/{}", uuid::Uuid::new_v4()), &Value::Null).await.expect(404);
    console.stop().await;
    fleet.end().await;
}

/// Where the models looked and said nothing, the story says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_null_of_the_models_is_a_default_with_its_reason() {
    let folder = ModelFolder::new("silent");
    colours(&folder);
    let fleet = Fleet::with(Options { settings: vec![folder.setting()], ..Options::default() }).await;
    let console = fleet.start_console().await;
    let reader = console.caller(&["read"]).await;
    let mut images = Vec::new();
    for (path, rgb) in [("/blue", [0, 0, 255]), ("/gray", [127, 127, 127])] {
        fleet.origin.put(path, Response::jpeg(plain_png(20, 10, rgb)));
        images.push(fleet.origin.url(path));
    }
    for _ in ["inferred", "cached"] {
        fleet.tag(&scrape("dealer", images.iter().cloned().map(listed).collect())).await;
        let mut told = Vec::new();
        for url in &images {
            let story = reader.get(&format!("/v1/images/{}", ImageId::of(None, url))).await;
            for value in story["values"].as_array().unwrap() {
                let (source, reason) = (value["source"].clone(), value["reason"].clone());
                told.push((value["attribute"].clone(), value["value"].clone(), source, reason));
            }
        }
        let nothing =
            |attribute: &str, reason: &str| (json!(attribute), Value::Null, json!("default"), json!(reason));
        assert_eq!(told[0], nothing("broken", "not_applicable"), "it is about red pictures only");
        assert_eq!((&told[1].1, &told[1].3), (&json!("blue"), &Value::Null), "what was said has no reason");
        assert_ne!(told[1].2, "default");
        assert_eq!(told[2], nothing("broken", "not_applicable"));
        assert_eq!(told[3], nothing("channel", "unsure"), "no colour is likely enough");
    }
    console.stop().await;
    fleet.end().await;
}

/// A scrape that is at work takes nobody's value away, nor does one that is overtaken.
#[tokio::test(flavor = "multi_thread")]
async fn a_story_keeps_its_values_while_a_rescrape_is_at_work() {
    let mut fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let reader = console.caller(&["read"]).await;
    let (url, other) = (fleet.picture("/a.jpg"), fleet.picture("/b.jpg"));
    let path = format!("/v1/images/{}", ImageId::of(None, &url));
    let first = scrape("dealer", vec![listed(url.clone())]);
    fleet.tag(&first).await;
    let before = reader.get(&path).await;
    assert!(!before["values"].as_array().unwrap().is_empty());

    fleet.workers.remove(0).stop().await;
    fleet.publish(&scrape("dealer", vec![listed(url)])).await;
    eventually("the re-scrape lists it", || async {
        let open = "SELECT count(*) FROM scrape_images WHERE outcome IS NULL";
        (fleet.count(open).await == 1).then_some(())
    })
    .await;
    let now = reader.get(&path).await;
    assert_eq!(now["values"], before["values"]);
    assert_eq!(now["listed"][0]["scrape_id"], first.scrape_id.0);

    // A third inventory overtakes the second before that came to the picture.
    fleet.publish(&scrape("dealer", vec![listed(other)])).await;
    for (what, sql) in [
        ("it is overtaken", "SELECT count(*) FROM scrapes WHERE superseded_by IS NOT NULL"),
        ("its picture is skipped", "SELECT count(*) FROM scrape_images WHERE reason = 'superseded'"),
    ] {
        eventually(what, || async { (fleet.count(sql).await == 1).then_some(()) }).await;
        if fleet.workers.is_empty() {
            fleet.start_worker().await;
        }
    }
    let now = reader.get(&path).await;
    assert_eq!(now["values"], before["values"]);
    assert_eq!(now["listed"][0]["scrape_id"], first.scrape_id.0);
    console.stop().await;
    fleet.abandon().await;
}

/// Both keep their value, and the list names both sides and who fixed them.
#[tokio::test(flavor = "multi_thread")]
async fn advertisers_who_disagree_both_keep_their_value() {
    let fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let editor = console.caller(&["read", "fix"]).await;
    let urls = fleet.pictures(3);
    let mut scrapes = Vec::new();
    for advertiser in ["first", "second"] {
        let event = scrape(advertiser, urls.iter().cloned().map(listed).collect());
        fleet.tag(&event).await;
        scrapes.push(event.scrape_id);
    }
    let images: Vec<_> = urls.iter().map(|url| ImageId::of(None, url)).collect();
    let advertiser = |name: &str| json!({ "advertiser": name });
    for (image, first, second) in
        [(images[0], "red", "blue"), (images[1], "red", "red"), (images[2], "red", "blue")]
    {
        fix(&editor, image, advertiser("first"), first).await;
        fix(&editor, image, advertiser("second"), second).await;
    }

    assert_eq!(fleet.rows(&scrapes[0]).await[0].tag("color"), "red");
    assert_eq!(fleet.rows(&scrapes[1]).await[0].tag("color"), "blue");
    let page = editor.get("/v1/conflicts?limit=1").await;
    let next = editor.get(&format!("/v1/conflicts?limit=1&cursor={}", page["next"].as_str().unwrap())).await;
    assert!(next["next"].is_null());
    let found = [&page["items"][0], &next["items"][0]];
    let mut named: Vec<_> =
        found.iter().map(|conflict| conflict["image_id"].as_str().unwrap().to_owned()).collect();
    named.sort();
    let mut expected = vec![images[0].to_string(), images[2].to_string()];
    expected.sort();
    assert_eq!(named, expected);
    let shown = editor.get(&format!("/v1/images/{}", found[0]["image_id"].as_str().unwrap())).await;
    assert_eq!(
        found[0]["version"], shown["version"],
        "of which a picture is shown, and seen by who corrects it"
    );
    let sides = found[0]["sides"].as_array().unwrap();
    let side = |n: usize| (sides[n]["advertiser_id"].as_str().unwrap(), sides[n]["value"].as_str().unwrap());
    assert_eq!((side(0), side(1)), (("first", "red"), ("second", "blue")));
    assert!(sides.iter().all(|side| side["by"].as_str().unwrap().starts_with("token ")));
    assert!(editor.get("/v1/conflicts?advertiser=third").await["items"].as_array().unwrap().is_empty());
    assert_eq!(editor.get("/v1/conflicts?advertiser=second").await["items"].as_array().unwrap().len(), 2);
    for (image, second) in [(images[0], "red"), (images[1], "blue")] {
        fix(&editor, image, advertiser("second"), second).await;
    }
    fleet
        .execute(&format!("DELETE FROM fixes WHERE image_id = '{}' AND advertiser_id = 'first'", images[2]))
        .await;
    let left = editor.get("/v1/conflicts").await;
    let left: Vec<_> = left["items"].as_array().unwrap().iter().map(|item| &item["image_id"]).collect();
    assert_eq!(left, [&json!(images[1].to_string())], "whoever comes to agree is listed no more");
    console.stop().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_found_by_key_by_url_and_by_what_they_show() {
    let fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let editor = console.caller(&["read", "fix"]).await;
    let (plain, keyed) = (fleet.picture("/100%_plain.jpg"), fleet.picture("/keyed.jpg"));
    let with_key = ListedImage { url: keyed.clone(), image_key: Some("cdn/7".into()), ..Default::default() };
    fleet.tag(&scrape("old", vec![listed(plain.clone())])).await;
    fleet.tag(&scrape("dealer", vec![listed(plain.clone()), with_key])).await;
    let by = async |query: &str| {
        let found = editor.get(&format!("/v1/lookup?{query}")).await;
        let items = found["items"].as_array().unwrap();
        items.iter().map(|item| item["image_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let encoded = |url: &str| url.replace('%', "%25").replace(':', "%3A").replace('/', "%2F");

    assert_eq!(by(&format!("url={}", encoded(&plain))).await, [ImageId::of(None, &plain).to_string()]);
    let seven = [ImageId::of(Some("cdn/7"), "").to_string()];
    assert_eq!(by(&format!("url={}", encoded(&keyed))).await, seven);
    assert_eq!(by("image_key=cdn%2F7").await, seven);
    assert!(by("image_key=unknown").await.is_empty());
    editor.ask("GET", "/v1/lookup", &Value::Null).await.expect(400);

    let grid = async |query: &str| {
        let found = editor.get(&format!("/v1/images?{query}")).await;
        let items = found["items"].as_array().unwrap();
        items.iter().map(|item| item["url"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(grid("advertiser=dealer").await, [plain.clone(), keyed.clone()]);
    assert_eq!(
        grid("text=100%25_").await,
        [plain.clone(), plain.clone()],
        "of both advertisers; nothing is special"
    );
    assert_eq!(grid("text=CDN&advertiser=dealer").await, std::slice::from_ref(&keyed));
    assert!(grid("fixed=true").await.is_empty());
    fix(&editor, ImageId::of(Some("cdn/7"), ""), json!({ "advertiser": "dealer" }), "purple").await;
    assert_eq!(grid("fixed=true").await, std::slice::from_ref(&keyed));
    // The models may have called the others purple as well.
    assert_eq!(grid("attribute=color&value=purple&fixed=true").await, std::slice::from_ref(&keyed));
    assert!(grid("attribute=color&value=mauve").await.is_empty());
    assert_eq!(grid("attribute=image_type&score_below=1").await.len(), 3);
    assert!(grid("attribute=image_type&score_below=0").await.is_empty());
    assert_eq!(grid("outcome=inferred&advertiser=dealer").await, std::slice::from_ref(&keyed));
    editor.ask("GET", "/v1/images?value=red", &Value::Null).await.expect(400);
    console.stop().await;
    fleet.end().await;
}
