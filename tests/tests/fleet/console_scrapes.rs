//! Scrapes, dead letters and pictures at the console.

use serde_json::{Value, json};
use tagfleet_loadtest::origin::Response;
use tagfleet_shared::ids::ScrapeId;
use tagfleet_tests::{Caller, Fleet, Options, eventually, jpeg, listed, scrape};

const OPERATOR: [&str; 4] = ["read", "submit", "classify", "operate"];

async fn pages(caller: &Caller, path: &str) -> Vec<Value> {
    let (mut items, mut next) = (Vec::new(), String::new());
    loop {
        let page = caller.get(&format!("{path}{next}")).await;
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => return items,
        }
    }
}

/// A pipeline without RabbitMQ hands in a scrape; people see how it ended and why, and run again what was skipped.
#[tokio::test(flavor = "multi_thread")]
async fn the_skipped_images_of_a_scrape_are_run_again() {
    let fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let operator = console.caller(&OPERATOR).await;
    let mut images: Vec<_> = fleet.pictures(3).into_iter().map(listed).collect();
    images.push(listed(fleet.origin.url("/late.jpg")));
    let event = scrape("dealer", images);

    let taken = operator.post("/v1/scrapes", serde_json::to_value(&event).unwrap()).await.expect(202);
    assert_eq!(taken["scrape_id"], event.scrape_id.0);
    let malformed = operator.post("/v1/scrapes", json!({ "scrape_id": "s" })).await.expect(400);
    assert!(malformed["detail"].as_str().unwrap().contains("advertiser_id"), "{malformed}");
    fleet.announced(&event.scrape_id).await;

    let path = format!("/v1/scrapes/{}", event.scrape_id);
    let told = operator.get(&path).await;
    assert_eq!(
        (&told["state"], &told["ended"], &told["stuck"]),
        (&json!("tagged"), &json!(4), &json!(false))
    );
    assert_eq!(told["outcomes"]["skipped"], 1);
    assert_eq!(told["reasons"][0], json!({ "outcome": "skipped", "reason": "gone", "images": 1 }));
    let of_it = format!("/v1/images?scrape={}&limit=3", event.scrape_id);
    assert_eq!(pages(&operator, &of_it).await.len(), 4);
    let skipped = pages(&operator, &format!("{of_it}&outcome=skipped")).await;
    assert_eq!((skipped.len(), &skipped[0]["reason"]), (1, &json!("gone")));

    fleet.origin.put("/late.jpg", Response::jpeg(jpeg()));
    let again = operator.post(&format!("{path}/rerun"), Value::Null).await.expect(202);
    assert_eq!(again["images"], 1);
    eventually("it is had", || async {
        (operator.get(&path).await["outcomes"]["inferred"] == 4).then_some(())
    })
    .await;
    eventually("it is announced again", || async {
        (fleet.announcements(&event.scrape_id).await.len() == 2).then_some(())
    })
    .await;
    operator.post("/v1/scrapes/nobody/rerun", Value::Null).await.expect(404);
    console.stop().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_advertiser_is_tagged_again_on_the_bulk_lane() {
    let fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let operator = console.caller(&OPERATOR).await;
    let event = scrape("dealer", fleet.pictures(3).into_iter().map(listed).collect());
    fleet.tag(&event).await;

    let taken = operator.post("/v1/advertisers/dealer/retag", Value::Null).await.expect(202);
    let again = ScrapeId(taken["scrape_id"].as_str().unwrap().into());
    let announced = fleet.announced(&again).await;
    assert_eq!((announced.images, announced.outcomes["cached"]), (3, 3));
    assert_eq!(operator.get(&format!("/v1/scrapes/{again}")).await["lane"], "bulk");
    let listed = pages(&operator, "/v1/scrapes?advertiser=dealer&limit=1").await;
    let names: Vec<_> = listed.iter().map(|scrape| scrape["scrape_id"].as_str().unwrap()).collect();
    assert_eq!(names, [&*again.0, &*event.scrape_id.0], "the newest first");
    operator.post("/v1/advertisers/nobody/retag", Value::Null).await.expect(404);
    console.stop().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_that_stands_still_is_called_stuck() {
    let settings = vec![("TAGFLEET__SCRAPES__STUCK_AFTER", "1ms".to_owned())];
    let fleet = Fleet::with(Options { workers: 0, settings, ..Options::default() }).await;
    let console = fleet.start_console().await;
    let operator = console.caller(&OPERATOR).await;
    let event = scrape("dealer", fleet.pictures(1).into_iter().map(listed).collect());
    fleet.publish(&event).await;
    eventually("it is stuck", || async {
        let told = operator.ask("GET", &format!("/v1/scrapes/{}", event.scrape_id), &Value::Null).await;
        (told.status == 200 && told.json()["stuck"] == true && told.json()["state"] == "tagging")
            .then_some(())
    })
    .await;
    operator.post("/v1/advertisers/dealer/retag", Value::Null).await.expect(409);
    console.stop().await;
    fleet.abandon().await;
}

/// Grouped by reason, one opened, sent back, dropped.
#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_looked_at_sent_back_and_dropped() {
    let fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let operator = console.caller(&OPERATOR).await;
    for n in 0..3 {
        fleet.publish_bytes(format!("{{\"not\": \"an event {n}\"}}").into_bytes()).await;
    }
    eventually("three are dead", || async { (fleet.dead_letters().await == 3).then_some(()) }).await;

    let groups = operator.get("/v1/dead-letters").await;
    assert_eq!((&groups["items"][0]["kind"], &groups["items"][0]["messages"]), (&json!("event"), &json!(3)));
    let reason = groups["items"][0]["reason"].as_str().unwrap().to_owned();
    let letters = operator.get(&format!("/v1/dead-letters/messages?reason={reason}&limit=2")).await;
    assert_eq!(letters["items"].as_array().unwrap().len(), 2);
    let id = letters["items"][0]["id"].as_str().unwrap();
    let letter = operator.get(&format!("/v1/dead-letters/messages/{id}")).await;
    assert_eq!(letter["body"], letters["items"][0]["body"]);
    assert!(letter["body"].as_str().unwrap().starts_with("{\"not\": \"an event "), "{letter}");
    assert!(letter["error"].as_str().unwrap().contains("scrape_id"), "{letter}");
    operator.ask("GET", "/v1/dead-letters/messages/0123456789abcdef", &Value::Null).await.expect(404);

    operator.post("/v1/dead-letters/drop", json!({})).await.expect(400);
    let dropped = operator.post("/v1/dead-letters/drop", json!({ "ids": [id] })).await.expect(200);
    assert_eq!(dropped["messages"], 1);
    let redriven =
        operator.post("/v1/dead-letters/redrive", json!({ "reasons": [reason] })).await.expect(200);
    assert_eq!(redriven["messages"], 2);
    eventually("they are dead again, and sent back before", || async {
        let groups = operator.get("/v1/dead-letters").await;
        (groups["items"][0]["redriven"] == 2).then_some(())
    })
    .await;
    console.stop().await;
    fleet.end().await;
}

/// Refused scrapes are few among millions that are kept for ever: the list of those in one state reads no others.
#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_scrapes_in_one_state_reads_no_others() {
    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, ..Options::default() }).await;
    let console = fleet.start_console().await;
    fleet
        .execute(
            "INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at)
             SELECT 's-' || n, 'a-' || n, 'bulk', CASE n WHEN 1 THEN 'refused' ELSE 'tagged' END, now()::date, now()
               FROM generate_series(1, 5000) n",
        )
        .await;
    fleet.execute("ANALYZE scrapes").await;
    let refused = console.caller(&OPERATOR).await.get("/v1/scrapes?state=refused").await;
    assert_eq!(
        (refused["items"].as_array().unwrap().len(), &refused["items"][0]["scrape_id"]),
        (1, &json!("s-1"))
    );
    eventually("its index was used", || async {
        let scans = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'scrapes_state'";
        (fleet.count(scans).await > 0).then_some(())
    })
    .await;
    console.stop().await;
    fleet.end().await;
}

/// To look is to take them and give them back: through whichever console, people take turns, and nobody finds the queue
/// empty because somebody else looks.
#[tokio::test(flavor = "multi_thread")]
async fn people_at_two_consoles_take_turns_at_the_dead_letters() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let consoles = [fleet.start_console().await, fleet.start_console().await];
    for n in 0..5 {
        fleet.publish_bytes(format!("{{\"not\": \"an event {n}\"}}").into_bytes()).await;
    }
    eventually("they are dead", || async { (fleet.dead_letters().await == 5).then_some(()) }).await;

    let people = [consoles[0].caller(&OPERATOR).await, consoles[1].caller(&OPERATOR).await];
    let looks = people.iter().cycle().take(8).map(|person| person.get("/v1/dead-letters"));
    for groups in futures::future::join_all(looks).await {
        assert_eq!(groups["items"][0]["messages"], 5, "{groups}");
    }
    for console in consoles {
        console.stop().await;
    }
    fleet.end().await;
}

/// Each letter is told once, copies of one message as well; whoever goes on after a letter that is gone is told so.
#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_come_in_pieces() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let console = fleet.start_console().await;
    let operator = console.caller(&OPERATOR).await;
    for (n, text) in ["a", "b", "a", "c", "a"].into_iter().enumerate() {
        fleet.publish_bytes(format!("{{\"not\": \"an event {text}\"}}").into_bytes()).await;
        let so_far = u32::try_from(n).unwrap() + 1;
        eventually("it is dead", || async { (fleet.dead_letters().await == so_far).then_some(()) }).await;
    }
    let path = "/v1/dead-letters/messages?reason=malformed_event&limit=2";
    let told: Vec<_> = pages(&operator, path).await.iter().map(|letter| letter["body"].clone()).collect();
    let event = |text: &str| json!(format!("{{\"not\": \"an event {text}\"}}"));
    assert_eq!(told, ["a", "b", "a", "c", "a"].map(event));
    assert!(pages(&operator, "/v1/dead-letters/messages?reason=other").await.is_empty());

    let page = operator.get(path).await;
    let (b, next) = (&page["items"][1]["id"], page["next"].as_str().unwrap());
    operator.post("/v1/dead-letters/drop", json!({ "ids": [b] })).await.expect(200);
    let gone = operator.ask("GET", &format!("{path}&cursor={next}"), &Value::Null).await.expect(409);
    assert!(gone["what_to_do"].as_str().unwrap().contains("without a cursor"), "{gone}");
    assert_eq!(pages(&operator, path).await.len(), 4);
    console.stop().await;
    fleet.end().await;
}

/// The answer of the live model set to bytes and to a URL; nothing of it is recorded.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_classified_by_the_workers_while_somebody_waits() {
    let fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let (operator, url) = (console.caller(&OPERATOR).await, fleet.picture("/a.jpg"));

    let by_url = operator.post("/v1/classify", json!({ "url": url })).await.expect(200);
    assert!(by_url["tags"]["image_type"].is_string(), "{by_url}");
    let event = scrape("dealer", vec![listed(url)]);
    assert_eq!(fleet.tag(&event).await.outcomes["inferred"], 1, "nothing was recorded before");
    let rows = fleet.rows(&event.scrape_id).await;
    assert_eq!(serde_json::to_value(rows[0].tags.as_ref().unwrap()).unwrap(), by_url["tags"]);

    let bytes = jpeg();
    let by_bytes = operator.send("POST", "/v1/classify", Some((bytes, "image/jpeg"))).await.expect(200);
    assert_eq!((&by_bytes["width"], &by_bytes["height"]), (&json!(320), &json!(240)));
    let text = operator.send("POST", "/v1/classify", Some((b"not a picture".to_vec(), "image/png"))).await;
    text.expect(422);
    let gone =
        operator.post("/v1/classify", json!({ "url": fleet.origin.url("/gone.jpg") })).await.expect(422);
    assert!(gone["detail"].as_str().unwrap().ends_with(": gone"), "{gone}");
    let foreign = operator.post("/v1/classify", json!({ "url": "http://10.0.0.1/a.jpg" })).await.expect(422);
    assert!(foreign["detail"].as_str().unwrap().contains("address"), "{foreign}");
    operator.send("POST", "/v1/classify", Some((vec![1], "text/plain"))).await.expect(415);
    console.stop().await;
    fleet.end().await;
}
