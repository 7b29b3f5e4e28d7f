//! The contract of the console: the committed document is that of the code, and every problem is one of RFC 9457.

use serde_json::Value;
use tagfleet_console::api::document;
use tagfleet_console::routes;
use tagfleet_console::state::Console as State;
use tagfleet_tests::{Fleet, Options, repository};

#[tokio::test]
async fn the_committed_contract_is_that_of_the_code() {
    let text = document::text(&State::unconnected().unwrap());
    let committed = std::fs::read_to_string(repository().join("docs/openapi.json")).unwrap_or_default();
    assert!(
        committed == text,
        "docs/openapi.json is not up to date; in the root of the repository run:\n\
         cargo run -p tagfleet-console -- openapi docs/openapi.json"
    );
}

/// A route that is there is in the contract, with its right, and one that is in the contract is there.
#[tokio::test]
async fn the_contract_names_every_route_with_its_right() {
    let console = State::unconnected().unwrap();
    let document: Value = serde_json::from_str(&document::text(&console)).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let mut named = 0;
    for route in routes::all(&console).list().iter().filter(|route| !route.page) {
        let operation = &paths[&route.path][route.method.as_str().to_lowercase()];
        assert_eq!(operation["x-right"].as_str(), route.right.map(|right| right.as_str()), "{route:?}");
        named += 1;
    }
    let operations: usize = paths.values().map(|item| item.as_object().unwrap().len()).sum();
    assert_eq!(operations, named);
}

/// Whatever goes wrong, the answer says what and what to do about it.
#[tokio::test(flavor = "multi_thread")]
async fn every_problem_says_what_to_do() {
    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, ..Options::default() }).await;
    let console = fleet.start_console().await;
    let reader = console.caller(&["read", "fix"]).await;
    for (method, path, status) in [
        ("GET", "/nowhere", 404),
        ("PATCH", "/v1/scrapes", 405),
        ("GET", "/v1/scrapes?limit=0", 400),
        ("GET", "/v1/scrapes?limit=many", 400),
        ("GET", "/v1/scrapes?cursor=made-up", 400),
        ("GET", "/v1/scrapes?advertiser=%00", 400),
        ("GET", "/v1/images/7", 400),
        ("GET", "/v1/scrapes/nobody", 404),
        ("GET", "/v1/audit", 403),
        ("POST", "/v1/fixes/undo", 415),
    ] {
        let answer = reader.ask(method, path, &Value::Null).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{method} {path}");
        let problem = answer.json();
        assert_eq!(problem["status"], status, "{method} {path}");
        assert!(problem["type"].as_str().unwrap().starts_with("/problems/"), "{problem}");
        for part in ["title", "detail", "what_to_do"] {
            assert!(!problem[part].as_str().unwrap().is_empty(), "{method} {path}: {problem}");
        }
    }
    let large = vec![b' '; 17 << 20];
    let answer = reader.send("POST", "/v1/fixes/undo", Some((large, "application/json"))).await;
    answer.expect(413);
    console.stop().await;
    fleet.end().await;
}
