//! Who looks at the dead letters.

use serde_json::{Value, json};
use tagfleet_tests::{Fleet, Options, eventually};

/// To look is to take letters out of their queue and give them back: nobody else sees them meanwhile, and RabbitMQ 4
/// deletes one that was taken too often. Whoever may only read does not take them, and is not led to them.
#[tokio::test(flavor = "multi_thread")]
async fn only_operators_look_at_dead_letters() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let console = fleet.start_console().await;
    let editor = console.caller(&["read", "fix", "classify"]).await;
    let operator = console.caller(&["read", "operate"]).await;
    fleet.publish_bytes(b"{\"not\": \"an event\"}".to_vec()).await;
    eventually("it is dead", || async { (fleet.dead_letters().await == 1).then_some(()) }).await;

    // What was looked at is back in its own time.
    let is_back = || eventually("it is back", || async { (fleet.dead_letters().await == 1).then_some(()) });
    let letters = operator.get("/v1/dead-letters/messages").await["items"].clone();
    let id = letters[0]["id"].as_str().unwrap();
    let (of_api, of_page) = (format!("/v1/dead-letters/messages/{id}"), format!("/dead-letters/{id}"));
    for path in ["/v1/dead-letters", "/v1/dead-letters/messages", &of_api, "/dead-letters", &of_page] {
        let problem = editor.ask("GET", path, &Value::Null).await.expect(403);
        assert!(problem["detail"].as_str().unwrap().contains("operate"), "{path}: {problem}");
        is_back().await;
        assert_eq!(operator.ask("GET", path, &Value::Null).await.status, 200, "{path}");
    }
    is_back().await;
    assert_eq!(operator.get("/v1/dead-letters").await["items"][0]["messages"], json!(1));
    for (person, are_led_there) in [(&editor, false), (&operator, true)] {
        let page = person.ask("GET", "/scrapes", &Value::Null).await;
        assert_eq!(page.text.contains("href=\"/dead-letters\""), are_led_there, "{page:?}");
        assert!(page.text.contains("href=\"/conflicts\""), "{page:?}");
    }
    console.stop().await;
    fleet.end().await;
}

/// Or who waits for them would look for what is half done.
#[tokio::test(flavor = "multi_thread")]
async fn while_somebody_else_looks_nothing_is_begun_and_that_is_said() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let console = fleet.start_console().await;
    let operator = console.caller(&["read", "operate"]).await;
    fleet.publish_bytes(b"{\"not\": \"an event\"}".to_vec()).await;
    eventually("it is dead", || async { (fleet.dead_letters().await == 1).then_some(()) }).await;
    let mut begun = fleet.broker.dead_letters().await.unwrap();
    begun.next().await.unwrap().unwrap();

    for what in ["drop", "redrive"] {
        let path = format!("/v1/dead-letters/{what}");
        let problem = operator.post(&path, json!({ "reasons": ["malformed_event"] })).await.expect(503);
        assert!(problem["detail"].as_str().unwrap().contains("somebody else"), "{problem}");
        assert!(problem["what_to_do"].as_str().unwrap().contains("nothing was changed"), "{problem}");
    }
    begun.close().await.unwrap();
    assert_eq!(operator.get("/v1/dead-letters").await["items"][0]["messages"], json!(1));
    console.stop().await;
    fleet.end().await;
}
