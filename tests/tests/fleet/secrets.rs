//! What is secret stays so: not in logs, not in metrics, not in dead letters.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tagfleet_loadtest::origin::Response;
use tagfleet_shared::broker::Outgoing;
use tagfleet_shared::events::ScrapeFinished;
use tagfleet_shared::lane::Lane;
use tagfleet_tests::{Caller, Fleet, Options, Process, eventually, get, listed, scrape};

/// Stands in every URL of the test that may carry a secret.
const SECRET: &str = "hush-hush";

const BINARIES: [&str; 3] = ["tagfleet-worker", "tagfleet-scheduler", "tagfleet-console"];

/// Everything that the fleet's own code has to say.
const FILTER: &str = "info,tagfleet_worker=trace,tagfleet_scheduler=trace,tagfleet_shared=trace";

/// A provider that nobody answers for, and the secret that it knows us by.
const LOGIN: [(&str, &str); 4] = [
    ("TAGFLEET__HTTP__PUBLIC_URL", "http://127.0.0.1"),
    ("TAGFLEET__LOGIN__ISSUER", "http://127.0.0.1:9"),
    ("TAGFLEET__LOGIN__CLIENT_ID", "console"),
    ("TAGFLEET__LOGIN__CLIENT_SECRET", SECRET),
];

/// Image and manifest hosts hand out URLs with tokens in them, and Postgres is
/// reached with a password.
#[tokio::test(flavor = "multi_thread")]
async fn no_log_and_no_metric_shows_a_secret() {
    let settings = vec![
        ("TAGFLEET__LOG__FILTER", FILTER.to_owned()),
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

/// A URL where something else belongs, in whatever is sent to the fleet: what is said of it does not repeat the URL.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_malformed_is_refused_without_being_repeated() {
    let settings = vec![("TAGFLEET__LOG__FILTER", FILTER.to_owned())];
    let options = Options { workers: 0, schedulers: 0, settings, ..Options::default() };
    let fleet = Fleet::with(options).await;
    let (worker, scheduler) = (fleet.spawn_worker(), fleet.spawn_scheduler());
    let url = format!("https://cdn.test/a.jpg?token={SECRET}");
    let event = |field: &str, value: Value| {
        let mut event =
            json!({"scrape_id": "s", "advertiser_id": "a", "finished_at": "2026-11-21T09:00:00Z"});
        event[field] = value;
        event
    };
    let events = [event("images", json!([url])), event("lane", json!(url)), event("finished_at", json!(url))];
    let changes = ["image", "change", "changed_at"].map(|field| json!({ field: url }));
    let jobs = ["day", "scrape", "image"].map(|field| json!({"type": "tag_image_v1", field: url}));
    let jobs = jobs.into_iter().chain([json!({"type": url}), json!(url)]);
    let bytes = |body: Value| body.to_string().into_bytes();
    let jobs = jobs.map(|job| Outgoing::job(fleet.broker.topology(), Lane::Express, bytes(job)));
    let jobs: Vec<_> = jobs.collect();
    let letters = events.len() + changes.len() + jobs.len();
    let lines = [json!({"url": fleet.pictures(1)[0]}), json!(url), json!({"url": [url]})]
        .map(|line| line.to_string());
    let body = lines.join("\n").into();
    fleet.origin.put("/manifest", Response::Bytes { content_type: "application/x-ndjson", body });
    let inventory = ScrapeFinished {
        images: None,
        manifest_url: Some(fleet.origin.url("/manifest")),
        ..scrape("dealer", Vec::new())
    };

    for event in events {
        fleet.publish_bytes(bytes(event)).await;
    }
    fleet.publish_change_bytes(changes.map(bytes).into()).await;
    fleet.broker.publisher().publish(&jobs).await.unwrap();
    let tagged = fleet.tag(&inventory).await;

    assert_eq!((tagged.outcomes["inferred"], tagged.outcomes["skipped"]), (1, 2));
    for _ in 0..letters {
        let (reason, error, _) = fleet.dead_letter().await;
        assert!(reason.starts_with("malformed_") && !error.contains(SECRET), "{reason}: {error}");
        // Of a job, whose fields hang on its type, serde knows no place.
        assert!(reason == "malformed_job" || error.contains(" at line 1 column "), "{error}");
    }
    assert_eq!(scheduler.logged().matches("malformed line in the manifest").count(), 2);
    for process in [&worker, &scheduler] {
        assert!(!process.logged().contains(SECRET), "{}", process.log.display());
    }
    assert!(worker.terminate().await && scheduler.terminate().await);
    fleet.end().await;
}

fn admin_port(process: &Process) -> Option<SocketAddr> {
    let log = process.logged();
    let rest = log.split("admin port open on ").nth(1)?;
    rest.split('"').next()?.parse().ok()
}

/// The provider's secret, and a token that opens nothing: the console logs what went wrong, and
/// neither.
#[tokio::test(flavor = "multi_thread")]
async fn no_log_and_no_metric_of_the_console_shows_a_secret() {
    let mut settings: Vec<(&str, String)> = LOGIN.map(|(name, value)| (name, value.to_owned())).into();
    settings.push(("TAGFLEET__LOG__FILTER", "info,tagfleet_console=trace,tagfleet_shared=trace".into()));
    let options = Options { workers: 0, schedulers: 0, settings, ..Options::default() };
    let fleet = Fleet::with(options).await;
    let console = Process::run("tagfleet-console", &fleet.settings_of_console());
    let admin = eventually("it tells its port", || async { admin_port(&console) }).await;
    let address = eventually("it tells its address", || async { address(&console) }).await;
    let stranger = Caller::new(address);

    let login = stranger.ask("GET", "/login?next=/", &Value::Null).await;
    let with_token = stranger.with("authorization", format!("Bearer tagfleet_{SECRET}"));
    let refused = with_token.ask("GET", &format!("/v1/scrapes?token={SECRET}"), &Value::Null).await;

    assert_eq!((login.status, refused.status), (503, 401), "{login:?}");
    let (_, metrics) = get(admin, "/metrics").await;
    assert!(metrics.contains("tagfleet_") && !metrics.contains(SECRET));
    let log = console.logged();
    assert!(log.contains("the login provider does not answer") && !log.contains(SECRET), "{log}");
    assert!(console.terminate().await);
    fleet.end().await;
}

fn address(console: &Process) -> Option<SocketAddr> {
    let log = console.logged();
    let rest = log.split("console open on http://").nth(1)?;
    rest.split('"').next()?.parse().ok()
}

/// `config` shows that there is a secret, and not which.
#[test]
fn config_shows_no_secret_of_any_binary() {
    let secrets = [
        ("TAGFLEET__BROKER__URL", format!("amqp://guest:{SECRET}@localhost:5672")),
        ("TAGFLEET__DATABASE__URL", format!("postgres://me:{SECRET}@localhost/db")),
    ];
    for binary in BINARIES {
        let mut command = Process::command(binary);
        command.arg("config").envs(secrets.clone());
        let hidden = if binary == "tagfleet-console" {
            command.envs(LOGIN);
            3
        } else {
            command.env("TAGFLEET__TRACES__ENDPOINT", format!("https://collector:4318/{SECRET}/v1/traces"));
            2
        };
        let output = command.output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && !shown.contains(SECRET), "{binary}: {shown}");
        assert_eq!(shown.matches("hidden").count(), hidden, "{binary}: {shown}");
    }
}

/// A password that is wrong is told of without being told.
#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_cannot_be_used_is_refused_without_its_password() {
    for (variable, url) in [
        ("TAGFLEET__BROKER__URL", format!("guest:{SECRET}@localhost:5672")),
        ("TAGFLEET__BROKER__URL", format!("amqp://guest:{SECRET}@local host/")),
        ("TAGFLEET__DATABASE__URL", format!("postgres://me:a?{SECRET}=b@localhost/db")),
        ("TAGFLEET__DATABASE__URL", format!("me:{SECRET}@localhost/db")),
        // Instead of the path of a file that holds it.
        ("TAGFLEET__DATABASE__URL_FILE", format!("postgres://me:{SECRET}@localhost/db")),
    ] {
        for binary in BINARIES {
            let output = Process::command(binary).arg("config").env(variable, &url).output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(!said.contains(SECRET), "{variable}={url}: {said}");
        }
    }
}
