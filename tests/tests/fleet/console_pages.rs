//! What a browser gets from the console that no browser test sees.

use serde_json::{Value, json};
use tagfleet_tests::{Caller, Fleet, Options, eventually, listed, scrape};

/// The image at this place of the only scrape.
async fn image(fleet: &Fleet, seq: i32) -> String {
    let client = fleet.database.pool.get().await.unwrap();
    let sql = "SELECT image_id::text FROM scrape_images WHERE seq = $1";
    client.query_one(sql, &[&seq]).await.unwrap().get(0)
}

async fn thumbnail(caller: &Caller, image: &str) -> tagfleet_tests::Answer {
    caller.ask("GET", &format!("/thumbnails/{image}?size=320"), &Value::Null).await
}

/// One download serves all who look; a forbidden address is not connected to, and a drawing says so.
#[tokio::test(flavor = "multi_thread")]
async fn pictures_come_through_the_console_once_and_from_public_addresses_only() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let console = fleet.start_console().await;
    let reader = console.caller(&["read"]).await;
    let url = fleet.picture("/one.jpg");
    let urls = [&*url, "http://10.0.0.9/inside.jpg", &fleet.origin.url("/gone.jpg")].map(listed);
    fleet.publish(&scrape("north", urls.into())).await;
    eventually("they are listed", || async {
        (fleet.count("SELECT count(*) FROM scrape_images").await == 3).then_some(())
    })
    .await;

    let first = image(&fleet, 0).await;
    let picture = thumbnail(&reader, &first).await;
    assert_eq!((picture.status, picture.header("content-type")), (200, "image/jpeg"));
    assert!(picture.header("cache-control").starts_with("private, max-age="));
    let again = thumbnail(&reader.clone().with("if-none-match", picture.header("etag")), &first).await;
    assert_eq!(again.status, 304);
    assert_eq!(fleet.origin.requests("/one.jpg"), 1);
    // Other bytes than it has are not to be had: nobody has it fetched again and again by asking for them.
    for of in 1..5 {
        let other = reader.ask("GET", &format!("/thumbnails/{first}?size=320&of={of}"), &Value::Null).await;
        assert_eq!((other.status, other.header("cache-control")), (200, "no-store"));
        assert_eq!(other.header("etag"), picture.header("etag"));
    }
    assert_eq!(fleet.origin.requests("/one.jpg"), 1);

    for (seq, reason) in [(1, "forbidden_address"), (2, "gone")] {
        let blank = thumbnail(&reader, &image(&fleet, seq).await).await;
        assert_eq!((blank.status, blank.header("content-type")), (200, "image/svg+xml"));
        assert_eq!(blank.header("x-tagfleet-missing"), reason);
    }
    assert_eq!(thumbnail(&console.stranger(), &first).await.status, 401, "strangers see no pictures");
    console.stop().await;
    fleet.abandon().await;
}

/// People get a page where something is wrong, and programs the same as JSON.
#[tokio::test(flavor = "multi_thread")]
async fn a_problem_is_a_page_for_people() {
    let login = [
        ("TAGFLEET__HTTP__PUBLIC_URL", "http://console.test"),
        ("TAGFLEET__LOGIN__ISSUER", "http://127.0.0.1:1"),
        ("TAGFLEET__LOGIN__CLIENT_ID", "console"),
    ];
    let settings = login.map(|(name, value)| (name, value.to_owned())).to_vec();
    let fleet = Fleet::with(Options { workers: 0, schedulers: 0, settings, ..Options::default() }).await;
    let console = fleet.start_console().await;
    let reader = console.caller(&["read"]).await;

    // Also at the login, and where there is nothing.
    for (path, status, detail) in [
        (
            "/login/callback?state=old&code=old",
            401,
            "this login was not begun in this browser, or too long ago",
        ),
        ("/login", 503, "the login provider does not answer"),
        ("/scrapse", 404, "there is no such path"),
    ] {
        let program = console.stranger().ask("GET", path, &Value::Null).await;
        assert_eq!((program.status, program.header("content-type")), (status, "application/problem+json"));
        let person = console.stranger().with("accept", "text/html").ask("GET", path, &Value::Null).await;
        assert_eq!((person.status, person.header("content-type")), (status, "text/html; charset=utf-8"));
        assert!(person.text.contains(detail), "{person:?}");
    }
    let api = reader.clone().with("accept", "text/html").ask("GET", "/v1/scrapse", &Value::Null).await;
    assert_eq!((api.status, api.header("content-type")), (404, "application/problem+json"), "for programs");

    let program = reader.ask("GET", "/scrapes/none", &Value::Null).await;
    assert_eq!((program.status, program.header("content-type")), (404, "application/problem+json"));
    let person = reader.with("accept", "text/html").ask("GET", "/scrapes/none", &Value::Null).await;
    assert_eq!((person.status, person.header("content-type")), (404, "text/html; charset=utf-8"));
    assert!(person.text.contains("there is no scrape none"), "{person:?}");
    console.stop().await;
    fleet.abandon().await;
}

/// Whatever a pipeline calls it; but for `.` and `..`, which no browser asks for.
#[tokio::test(flavor = "multi_thread")]
async fn every_scrape_has_its_page() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let console = fleet.start_console().await;
    let reader = console.caller(&["read"]).await;
    for (n, name) in ["live", "a/b", "x y?", "100%", "retag"].into_iter().enumerate() {
        let mut event = scrape("north", vec![listed(fleet.picture(&format!("/{n}.jpg")))]);
        event.scrape_id.0 = name.into();
        fleet.publish(&event).await;
        let path: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        let path = format!("/scrapes/{}", path.replace('+', "%20"));
        let page = eventually(name, || async {
            let page = reader.ask("GET", &path, &Value::Null).await;
            (page.status == 200).then_some(page)
        })
        .await;
        assert!(page.text.contains("<h1>Scrape "), "{name}: {page:?}");
    }
    console.stop().await;
    fleet.abandon().await;
}

/// Whoever decides over all letters of a reason decides over those that they saw: what has died since stays, also where
/// somebody else has dropped one of theirs.
#[tokio::test(flavor = "multi_thread")]
async fn no_letter_that_has_died_since_is_dropped_in_the_place_of_one_that_was_seen() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let console = fleet.start_console().await;
    let (ann, bob) = (console.caller(&["read", "operate"]).await, console.caller(&["read", "operate"]).await);
    let dies = async |n: u32, dead: u32| {
        fleet.publish_bytes(format!("{{\"not\": \"an event {n}\"}}").into_bytes()).await;
        eventually("it is dead", || async { (fleet.dead_letters().await == dead).then_some(()) }).await;
    };
    for n in 0..3 {
        dies(n, n + 1).await;
    }
    let page = ann.ask("GET", "/dead-letters?reason=malformed_event", &Value::Null).await;
    let sends = |what: &str| {
        let (_, button) = page.text.split_once(&format!("POST /v1/dead-letters/{what}")).unwrap();
        let (_, body) = button.split_once("data-body=\"").unwrap();
        let (body, _) = body.split_once('"').unwrap();
        let body = body.replace("&#34;", "\"").replace("&quot;", "\"");
        serde_json::from_str::<Value>(&body).unwrap()
    };
    let all = sends("drop");
    assert_eq!(all, sends("redrive"));

    // What was looked at is back in its own time.
    let are_there = |count: u32| {
        let fleet = &fleet;
        eventually(
            "they are back",
            move || async move { (fleet.dead_letters().await == count).then_some(()) },
        )
    };
    let letters = "/v1/dead-letters/messages?reason=malformed_event";
    are_there(3).await;
    let first = bob.get(letters).await["items"][0]["id"].clone();
    are_there(3).await;
    bob.post("/v1/dead-letters/drop", json!({ "ids": [first] })).await.expect(200);
    dies(3, 3).await;
    assert_eq!(ann.post("/v1/dead-letters/drop", all).await.expect(200)["messages"], 2);

    are_there(1).await;
    let left = ann.get(letters).await["items"].clone();
    let bodies: Vec<_> = left.as_array().unwrap().iter().map(|letter| letter["body"].clone()).collect();
    assert_eq!(bodies, [json!("{\"not\": \"an event 3\"}")]);
    console.stop().await;
    fleet.end().await;
}
