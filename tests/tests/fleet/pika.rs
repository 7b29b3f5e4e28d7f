//! Neighbours of the fleet that are written in Python.

use tagfleet_loadtest::origin::Response;
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
    let Some(python) = python("pika") else { return };
    let fleet = Fleet::start().await;
    let mut arguments = fleet.pictures(3);
    arguments.push(fleet.origin.url("/gone.jpg"));

    let outcomes = run(&fleet, &python, "examples/publish_scrape.py", &arguments).await;

    assert_eq!((&outcomes["inferred"], &outcomes["skipped"]), (&3.into(), &1.into()));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_in_python_tells_of_a_picture_and_hears_of_its_tags() {
    let Some(python) = python("pika") else { return };
    let fleet = Fleet::start().await;
    let url = fleet.picture("/1.jpg");
    for (change, outcome) in [("added", "inferred"), ("replaced", "cached"), ("removed", "skipped")] {
        let arguments = [change.to_owned(), url.clone()];
        let told = run(&fleet, &python, "examples/publish_change.py", &arguments).await;

        assert_eq!(told["outcome"], outcome, "{change}");
        assert_eq!(told["tags"].get("image_type").is_some(), change != "removed", "{told}");
    }
    fleet.end().await;
}

/// A spider crawls a site on this machine, and its pictures are tagged: as one scrape when it has finished, or one
/// by one.
#[tokio::test(flavor = "multi_thread")]
async fn a_scrapy_spider_sees_its_pictures_tagged() {
    let Some(python) = python("scrapy") else { return };
    let fleet = Fleet::start().await;
    let (mut told, mut tagged) = (fleet.listen_to_pictures().await, fleet.listen_to_scrapes().await);
    let urls = fleet.pictures(4);
    page(&fleet, "/", r#"<a class="listing" href="/car/1">1</a><a class="listing" href="/car/2">2</a>"#);
    for (car, urls) in [("1", &urls[..3]), ("2", &urls[3..])] {
        let photos: String = urls.iter().map(|url| format!(r#"<img class="photo" src="{url}">"#)).collect();
        page(&fleet, &format!("/car/{car}"), &format!(r#"<h1 data-listing="car-{car}">A car</h1>{photos}"#));
    }

    crawl(&fleet, &python, "scrape").await;
    let scrape = tagged.next().await;
    assert_eq!((&*scrape.advertiser_id.0, scrape.images, scrape.outcomes["inferred"]), ("dealer-7", 4, 4));
    let of_first =
        "SELECT count(*) FROM scrape_images WHERE listing_id = 'car-1' AND position BETWEEN 0 AND 2";
    assert_eq!(fleet.count(of_first).await, 3);

    crawl(&fleet, &python, "changes").await;
    let mut heard = told.different(4).await;
    heard.sort_by_key(|event| urls.iter().position(|url| *url == event.url));
    assert_eq!(heard.iter().map(|event| &event.url).collect::<Vec<_>>(), urls.iter().collect::<Vec<_>>());
    assert!(heard.iter().all(|event| event.outcome == "cached" && event.tags.0.contains_key("image_type")));
    fleet.end().await;
}

/// The Python of the tests, if it has this package.
fn python(package: &str) -> Option<String> {
    let python = foreign_variable("TAGFLEET_PYTHON").filter(|python| {
        let import = std::process::Command::new(python).args(["-c", &format!("import {package}")]).output();
        import.is_ok_and(|import| import.status.success())
    });
    if python.is_none() {
        let lack =
            format!("there is no Python with {package} in TAGFLEET_PYTHON (scripts/setup.sh installs one)");
        lacks("python", &lack);
    }
    python
}

fn prefix(fleet: &Fleet) -> String {
    fleet.broker.topology().events_exchange().strip_suffix(".events").unwrap().to_owned()
}

/// Runs an example to its end: what it prints, as JSON.
async fn run(fleet: &Fleet, python: &str, example: &str, arguments: &[String]) -> serde_json::Value {
    let output = Command::new(python)
        .arg(repository().join(example))
        .args(arguments)
        .env("AMQP_URL", Services::shared().amqp_url)
        .env("TAGFLEET_PREFIX", prefix(fleet))
        .output();
    let output = tokio::time::timeout(tagfleet_tests::PATIENCE, output).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn page(fleet: &Fleet, path: &str, html: &str) {
    let body = format!("<!DOCTYPE html><html><body>{html}</body></html>");
    fleet.origin.put(path, Response::Bytes { content_type: "text/html", body: body.into() });
}

/// Sends the spider to the site; it publishes scrapes or changes.
async fn crawl(fleet: &Fleet, python: &str, publishes: &str) {
    let setting = |name: &str, value: &str| ["-s".to_owned(), format!("TAGFLEET_{name}={value}")];
    let output = Command::new(python)
        .args(["-m", "scrapy", "runspider", "spider.py", "-a", "advertiser=dealer-7"])
        .args(["-a", &format!("site={}", fleet.origin.url("/"))])
        .args(setting("AMQP_URL", &Services::shared().amqp_url))
        .args(setting("PREFIX", &prefix(fleet)))
        .args(setting("PUBLISHES", publishes))
        .current_dir(repository().join("examples/scrapy"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output();
    let output = tokio::time::timeout(tagfleet_tests::PATIENCE, output).await.unwrap().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && log.contains("'tagfleet/failed': 0"), "{log}");
}
