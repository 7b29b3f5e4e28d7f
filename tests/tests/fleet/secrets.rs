//! What is secret stays so: not in logs, not in metrics, not in dead letters.

use std::net::SocketAddr;

use tagfleet_shared::events::ScrapeFinished;
use tagfleet_tests::{Fleet, Options, Process, eventually, get, listed, scrape};

/// Stands in every URL of the test that may carry a secret.
const SECRET: &str = "hush-hush";

/// Image and manifest hosts hand out URLs with tokens in them, and Postgres is
/// reached with a password.
#[tokio::test(flavor = "multi_thread")]
async fn no_log_and_no_metric_shows_a_secret() {
    let settings = vec![
        (
            "TAGFLEET__LOG__FILTER",
            "info,tagfleet_worker=trace,tagfleet_scheduler=trace,tagfleet_shared=trace".into(),
        ),
        ("TAGFLEET__FAN_OUT__MANIFEST_PATIENCE", "1s".into()),
    ];
    let options = Options { workers: 0, schedulers: 0, settings, ..Options::default() };
    let fleet = Fleet::with(options).await;
    let (worker, scheduler) = (fleet.spawn_worker(), fleet.spawn_scheduler());
    let closed = "http://127.0.0.1:9";
    let urls = [
        format!("{closed}/a.jpg?token={SECRET}"),
        format!("http://me:{SECRET}@127.0.0.1/a.jpg"),
        format!("http://10.0.0.1/a.jpg?token={SECRET}"),
        format!("no url at all {SECRET}"),
        fleet.origin.url(&format!("/nowhere.jpg?token={SECRET}")),
    ];
    let event = scrape("dealer", urls.into_iter().map(listed).collect());
    let elsewhere = ScrapeFinished {
        images: None,
        manifest_url: Some(format!("{closed}/inventory?token={SECRET}")),
        ..scrape("other", Vec::new())
    };

    fleet.publish(&elsewhere).await;
    fleet.tag(&event).await;
    let (_, error, _) = fleet.dead_letter().await;

    assert!(!error.contains(SECRET), "{error}");
    for process in [&worker, &scheduler] {
        let admin = eventually("it tells its port", || async { admin_port(process) }).await;
        let (_, metrics) = get(admin, "/metrics").await;
        assert!(metrics.contains("tagfleet_") && !metrics.contains(SECRET));
        assert!(!process.logged().contains(SECRET), "{}", process.log.display());
    }
    assert!(worker.terminate().await && scheduler.terminate().await);
    fleet.abandon().await;
}

fn admin_port(process: &Process) -> Option<SocketAddr> {
    let log = process.logged();
    let rest = log.split("admin port open on ").nth(1)?;
    rest.split('"').next()?.parse().ok()
}

/// A password that is wrong is told of without being told.
#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_cannot_be_used_is_refused_without_its_password() {
    for (variable, url) in [
        ("TAGFLEET__BROKER__URL", format!("guest:{SECRET}@localhost:5672")),
        ("TAGFLEET__BROKER__URL", format!("amqp://guest:{SECRET}@local host/")),
        ("TAGFLEET__DATABASE__URL", format!("postgres://me:a?{SECRET}=b@localhost/db")),
        ("TAGFLEET__DATABASE__URL", format!("me:{SECRET}@localhost/db")),
    ] {
        for binary in ["tagfleet-worker", "tagfleet-scheduler"] {
            let output = Process::command(binary).arg("config").env(variable, &url).output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(!said.contains(SECRET), "{variable}={url}: {said}");
        }
    }
}
