//! What people corrected, told to others: the feed and the events.

use std::collections::HashSet;

use futures::future::join_all;
use serde_json::{Value, json};
use tagfleet_shared::broker::TAG_FIXED;
use tagfleet_shared::events::{FixAction, TagFixed};
use tagfleet_shared::ids::ImageId;
use tagfleet_tests::{Fleet, Options, PATIENCE, Private, eventually, listed, scrape, skip};

use crate::console_fixes::EDITOR;

/// A feed that begins at a time tells what was written then by somebody who has not committed yet when it is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_feed_from_a_time_on_misses_no_entry_that_is_committed_late() {
    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, ..Options::default() }).await;
    let console = fleet.start_console().await;
    let reader = console.caller(&["read"]).await;
    let write = "INSERT INTO fixes (image_id, attribute, value, fixed_by) VALUES (gen_random_uuid(), 'color', $1, 'ann')";
    let mut slow = fleet.database.pool.get().await.unwrap();
    let slow = slow.transaction().await.unwrap();
    slow.execute(write, &[&"red"]).await.unwrap();
    fleet.database.pool.get().await.unwrap().execute(write, &[&"blue"]).await.unwrap();

    let feed = reader.ask("GET", "/v1/fixes?since=1970-01-01T00:00:00Z", &Value::Null);
    let commit = async {
        eventually("the feed waits for those who write", || async {
            let waiting = "SELECT count(*) FROM pg_stat_activity
                            WHERE datname = current_database() AND wait_event = 'advisory'";
            (fleet.count(waiting).await > 0).then_some(())
        })
        .await;
        slow.commit().await.unwrap();
    };
    let (told, ()) = tokio::join!(feed, commit);
    let told: Vec<Value> = told.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let values: Vec<_> = told.iter().map(|entry| entry["to"].as_str().unwrap()).collect();
    assert_eq!(values, ["red", "blue"]);
    console.stop().await;
    fleet.end().await;
}

/// NDJSON and CSV tell every correction once, in order; what came later comes after the last id.
#[tokio::test(flavor = "multi_thread")]
async fn the_feed_of_fixes_misses_none() {
    let fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let (editor, url) = (console.caller(&EDITOR).await, fleet.picture("/a.jpg"));
    fleet.tag(&scrape("dealer", vec![listed(url.clone())])).await;
    let image = ImageId::of(None, &url);
    let advertisers: Vec<_> = (0..20).map(|n| format!("dealer-{n}")).collect();

    let people = join_all(advertisers.iter().map(|advertiser| editor.fix(image, advertiser, Some("red"))));
    let reader = async {
        let (mut ids, mut since) = (Vec::new(), 0);
        while ids.len() < advertisers.len() {
            let lines = editor.ask("GET", &format!("/v1/fixes?since={since}"), &Value::Null).await;
            assert_eq!(lines.header("content-type"), "application/x-ndjson");
            for line in lines.text.lines() {
                let entry: Value = serde_json::from_str(line).unwrap();
                since = entry["id"].as_i64().unwrap();
                assert_eq!((&entry["url"], &entry["to"]), (&json!(url), &json!("red")));
                ids.push(since);
            }
        }
        ids
    };
    let (answers, ids) = tokio::join!(people, reader);
    assert!(answers.iter().all(|answer| answer.status == 201));
    assert!(ids.is_sorted());
    let written: HashSet<_> =
        answers.iter().map(|answer| answer.json()["entries"][0]["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.iter().copied().collect::<HashSet<_>>(), written, "each once, and none missing");

    let csv = editor.clone().with("accept", "text/csv");
    let table = csv.ask("GET", "/v1/fixes?since=1970-01-01T00:00:00Z", &Value::Null).await;
    assert!(table.text.starts_with(
        "id,image_id,advertiser_id,attribute,action,from,to,by,note,at,url,image_key,machine\n"
    ));
    assert_eq!(table.text.lines().count(), 21);
    assert_eq!(
        csv.ask("GET", "/v1/fixes?since=2962-01-01T00:00:00Z", &Value::Null).await.text.lines().count(),
        1
    );
    console.stop().await;
    fleet.end().await;
}

/// Every fix is published as tag.fixed; what is written while the broker is away comes when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn every_fix_is_published_though_the_broker_goes_away() {
    if tagfleet_shared::config::foreign_variable("TAGFLEET_PRIVATE_DATABASE_URL").is_none() {
        skip("the servers were given by URL, and are not ours to restart");
        return;
    }
    let servers = tokio::task::spawn_blocking(|| Private::start("console")).await.unwrap();
    let services = Some(servers.services.clone());
    let fleet = Fleet::with(Options { services, ..Options::default() }).await;
    let console = fleet.start_console().await;
    let (editor, url) = (console.caller(&EDITOR).await, fleet.picture("/a.jpg"));
    fleet.tag(&scrape("dealer", vec![listed(url.clone())])).await;
    let image = ImageId::of(None, &url);
    let mut news = fleet.broker.listen(TAG_FIXED).await.unwrap();
    let colors = ["red", "blue", "green"];

    editor.fix(image, "dealer", Some(colors[0])).await.expect(201);
    eventually("the first is published", || async {
        (fleet.count("SELECT count(*) FROM fix_outbox").await == 0).then_some(())
    })
    .await;
    servers.fault("stop-rabbitmq").await;
    editor.fix(image, "dealer", Some(colors[1])).await.expect(201);
    editor.fix(image, "dealer", Some(colors[2])).await.expect(201);
    servers.fault("start-rabbitmq").await;

    let mut told: Vec<TagFixed> = Vec::new();
    while told.len() < 3 {
        let received = tokio::time::timeout(PATIENCE, news.next()).await.expect("the fix is published");
        let fixed: TagFixed = serde_json::from_slice(&received.body).unwrap();
        received.ack();
        if told.iter().all(|known| known.fix_id != fixed.fix_id) {
            told.push(fixed);
        }
    }
    told.sort_by_key(|fixed| fixed.fix_id);
    for (fixed, color) in told.iter().zip(colors) {
        assert_eq!(
            (fixed.image_id, fixed.action, fixed.to.as_deref()),
            (image.0, FixAction::Set, Some(color))
        );
        assert_eq!(
            (fixed.url.as_deref(), fixed.advertiser_id.as_ref().map(|id| &*id.0)),
            (Some(&*url), Some("dealer"))
        );
    }
    news.close().finished().await;
    console.stop().await;
    fleet.end().await;
    tokio::task::spawn_blocking(|| drop(servers)).await.unwrap();
}
