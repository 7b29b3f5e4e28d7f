//! What the audit of the console tells, and that nobody fills it.

use serde_json::{Value, json};
use tagfleet_tests::{Fleet, Options, eventually, listed, scrape};

/// A program that goes on though it is refused is answered as ever, and counted.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_again_and_again_has_no_lines_of_their_own() {
    let limits =
        [("TAGFLEET__LIMITS__REFUSALS_PER_MINUTE", "3"), ("TAGFLEET__LIMITS__WRITES_PER_MINUTE", "1")];
    let settings = limits.map(|(name, value)| (name, value.to_owned())).to_vec();
    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, settings, ..Options::default() }).await;
    let console = fleet.start_console().await;
    let (lesser, wild) = (console.caller(&["read"]).await, console.caller(&["fix"]).await);
    let undo = json!({ "entries": [1] });

    wild.post("/v1/fixes/undo", undo.clone()).await.expect(404);
    let mut refused = 0;
    for _ in 0..40 {
        lesser.ask("GET", "/v1/audit", &Value::Null).await.expect(403);
        // On a slow machine one more may be within the limit.
        let answer = wild.post("/v1/fixes/undo", undo.clone()).await;
        refused += 1 + i64::from(answer.status == 429);
    }
    // And one more may have a line of its own.
    let noted = "SELECT count(*) FROM audit WHERE kind = 'refusal' AND detail NOT LIKE '% more %'";
    let noted = fleet.count(noted).await;
    assert!((6..40).contains(&noted), "{noted} lines");
    lesser.get("/v1/scrapes").await;
    console.stop().await;
    let counted = "SELECT sum(split_part(detail, ' ', 1)::int) FROM audit WHERE detail LIKE '% more %'";
    assert_eq!(fleet.count(counted).await, refused - noted, "the others are counted");
    fleet.end().await;
}

/// Which letters were dropped and how many, which scrape was handed in: what no path tells.
#[tokio::test(flavor = "multi_thread")]
async fn the_audit_says_what_was_done() {
    let fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let operator = console.caller(&["read", "submit", "operate"]).await;
    for n in 0..2 {
        fleet.publish_bytes(format!("no event {n}").into_bytes()).await;
    }
    eventually("both are dead", || async { (fleet.dead_letters().await == 2).then_some(()) }).await;
    let groups = operator.get("/v1/dead-letters").await;
    let reason = groups["items"][0]["reason"].as_str().unwrap();
    let one = json!({ "reasons": [reason], "limit": 1 });
    assert_eq!(operator.post("/v1/dead-letters/drop", one).await.expect(200)["messages"], 1);
    let letters = operator.get("/v1/dead-letters/messages").await;
    let id = letters["items"][0]["id"].as_str().unwrap();
    operator.post("/v1/dead-letters/redrive", json!({ "ids": [id] })).await.expect(200);

    let event = scrape("north", vec![listed(fleet.picture("/a.jpg"))]);
    let name = &event.scrape_id.0;
    operator.post("/v1/scrapes", serde_json::to_value(&event).unwrap()).await.expect(202);
    fleet.announced(&event.scrape_id).await;
    operator.post(&format!("/v1/scrapes/{name}/rerun"), Value::Null).await.expect(202);
    let again = operator.post("/v1/advertisers/north/retag", Value::Null).await.expect(202);
    let again = again["scrape_id"].as_str().unwrap();

    let audit = operator.get("/v1/audit?kind=write").await;
    let told: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|line| line["detail"].as_str().unwrap())
        .collect();
    let expected = [
        format!("dropped: 1, of those at most 1, with reason {reason}"),
        format!("sent back: 1, of those with id {id}; images opened again: 0"),
        format!("handed in: {name}"),
        "images run again: 0".to_owned(),
        format!("the inventory of {name} is tagged again as {again}"),
    ];
    assert_eq!(told, expected);
    console.stop().await;
    fleet.abandon().await;
}

/// As a write ends whoever listens still: who hangs up before their refusal is noted does not go without a line.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_noted_whoever_listens_still() {
    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, ..Options::default() }).await;
    let console = fleet.start_console().await;
    let (lesser, reader) = (console.caller(&["read"]).await, console.caller(&["read"]).await);
    let mut client = fleet.database.pool.get().await.unwrap();
    let lock = client.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE audit IN ACCESS EXCLUSIVE MODE").await.unwrap();

    let undo = json!({ "entries": [1] });
    let refused = tokio::spawn(async move { lesser.post("/v1/fixes/undo", undo).await });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                    AND wait_event = 'relation' AND query LIKE '%INSERT INTO audit%'";
    eventually("its line waits", || async { (fleet.count(waits).await > 0).then_some(()) }).await;
    refused.abort();
    assert!(refused.await.unwrap_err().is_cancelled());
    // The console has heard of it by the time that it has answered others.
    for _ in 0..5 {
        reader.get("/v1/scrapes").await;
    }
    lock.rollback().await.unwrap();
    drop(client);

    let noted = "SELECT count(*) FROM audit WHERE kind = 'refusal' AND status = 403";
    eventually("the audit tells of it", || async { (fleet.count(noted).await == 1).then_some(()) }).await;
    console.stop().await;
    fleet.end().await;
}
