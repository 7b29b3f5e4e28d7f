//! A scrape pipeline in Python.

use tagfleet_shared::config::foreign_variable;
use tagfleet_tests::{Fleet, Services, lacks, repository};
use tokio::process::Command;

#[test]
fn the_readme_shows_the_example_that_is_run() {
    let example = std::fs::read_to_string(repository().join("examples/publish_scrape.py")).unwrap();
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    assert!(readme.contains(&example), "README.md does not hold examples/publish_scrape.py word for word");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_in_python_publishes_a_scrape_and_hears_of_its_tags() {
    let Some(python) = foreign_variable("TAGFLEET_PYTHON") else {
        lacks("python", "there is no Python with pika in TAGFLEET_PYTHON (scripts/setup.sh installs one)");
        return;
    };
    let fleet = Fleet::start().await;
    let exchange = fleet.broker.topology().events_exchange();
    let output = Command::new(python)
        .arg(repository().join("examples/publish_scrape.py"))
        .args(fleet.pictures(3))
        .arg(fleet.origin.url("/gone.jpg"))
        .env("AMQP_URL", Services::shared().amqp_url)
        .env("TAGFLEET_PREFIX", exchange.strip_suffix(".events").unwrap())
        .output();
    let output = tokio::time::timeout(tagfleet_tests::PATIENCE, output).await.unwrap().unwrap();

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let outcomes: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&outcomes["inferred"], &outcomes["skipped"]), (&3.into(), &1.into()));
    fleet.end().await;
}
