//! What a fleet exports is what docs/METRICS.md says, and no more of it for a larger world.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde_json::Value;
use tagfleet_loadtest::origin::Response;
use tagfleet_shared::events::ListedImage;
use tagfleet_tests::{Fleet, eventually, every_format, get, jpeg, listed, metric, repository, scrape};

/// A series as the table has it.
#[derive(Debug)]
struct Documented {
    kind: String,
    labels: BTreeSet<String>,
    most: usize,
}

fn documented() -> BTreeMap<String, Documented> {
    let text = std::fs::read_to_string(repository().join("docs/METRICS.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `tagfleet_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split(" | ").collect();
        let (name, labels) =
            cells[0].trim_end_matches('`').split_once('{').unwrap_or((cells[0].trim_end_matches('`'), ""));
        let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
        let documented = Documented {
            kind: cells[1].to_owned(),
            labels: labels.map(str::to_owned).collect(),
            most: cells[3].parse().unwrap(),
        };
        (format!("tagfleet_{name}"), documented)
    })
    .collect()
}

/// What a process exports of its own: each series with its labels, by the name of its metric, and the types.
fn exported(text: &str) -> (BTreeMap<String, Vec<String>>, BTreeMap<String, String>) {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let types: BTreeMap<_, _> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE tagfleet_"))
        .map(|line| (format!("tagfleet_{}", words(line)[0]), words(line)[1].clone()))
        .collect();
    let mut series: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("tagfleet_")) {
        let (of, _) = line.rsplit_once(' ').unwrap();
        let name = of.split('{').next().unwrap();
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let name =
            base.filter(|base| types.get(*base).is_some_and(|kind| kind == "histogram")).unwrap_or(name);
        series.entry(name.to_owned()).or_default().push(of.to_owned());
    }
    (series, types)
}

/// The labels of a series, that of the buckets left out.
fn labels(series: &str) -> BTreeSet<String> {
    let Some((_, labels)) = series.split_once('{') else { return BTreeSet::new() };
    let named = labels.split("\",").filter_map(|label| Some(label.split_once("=\"")?.0.to_owned()));
    named.filter(|label| label != "le").collect()
}

async fn text_of(admin: SocketAddr) -> String {
    get(admin, "/metrics").await.1
}

/// The world of a fleet: good, missing and broken pictures of one advertiser on one host of many.
fn images(fleet: &Fleet, number: usize) -> Vec<ListedImage> {
    let port = fleet.origin.address().port();
    let at = |path: &str| listed(format!("http://127.0.0.{}:{port}{path}", 1 + number));
    let url = fleet.picture(&format!("/good-{number}.jpg"));
    vec![listed(url.clone()), listed(url), at(&format!("/gone-{number}.jpg"))]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_is_what_the_table_says() {
    let fleet = Fleet::start().await;
    fleet.tag(&scrape("dealer", images(&fleet, 0))).await;
    eventually("the queues are counted", || async {
        text_of(fleet.schedulers[0].admin).await.contains("queue_messages").then_some(())
    })
    .await;

    let console = fleet.start_console().await;
    assert_eq!(console.stranger().ask("GET", "/v1/scrapes", &Value::Null).await.status, 401);
    assert_eq!(console.caller(&["read"]).await.ask("GET", "/nothing", &Value::Null).await.status, 404);

    let table = documented();
    let (worker, scheduler) = (fleet.workers[0].admin, fleet.schedulers[0].admin);
    for (name, admin, least) in
        [("worker", worker, 20), ("scheduler", scheduler, 15), ("console", console.admin, 4)]
    {
        let text = text_of(admin).await;
        keep(name, &text);
        let (series, types) = exported(&text);
        assert!(series.len() > least, "{text}");
        for (name, series) in series {
            let said = table.get(&name).unwrap_or_else(|| panic!("{name} is not in docs/METRICS.md"));
            assert_eq!(types[&name], said.kind, "{name}");
            assert!(series.len() <= said.most, "{name}: {} series, at most {}", series.len(), said.most);
            for one in series {
                assert_eq!(labels(&one), said.labels, "{one}");
            }
        }
    }
    console.stop().await;
    fleet.end().await;
}

/// For `promtool check metrics`, which scripts/monitoring-test.sh has.
fn keep(process: &str, text: &str) {
    let folder = repository().join("target/metrics");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{process}.prom")), text).unwrap();
}

/// "A worker of a usual set that has tagged an inventory has fewer than N in all."
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_has_tagged_an_inventory_has_as_few_series_as_the_table_says() {
    let fleet = Fleet::start().await;
    for number in 0..4 {
        let mut all: Vec<_> = every_format(&jpeg())
            .into_iter()
            .map(|(name, bytes)| {
                let path = format!("/{number}-{name}");
                fleet.origin.put(&path, Response::jpeg(bytes));
                listed(fleet.origin.url(&path))
            })
            .collect();
        all.extend(images(&fleet, number));
        fleet.tag(&scrape(&format!("dealer-{number}"), all)).await;
    }

    let said = std::fs::read_to_string(repository().join("docs/METRICS.md")).unwrap();
    let said = said.split("has fewer than ").nth(1).unwrap().split(' ').next().unwrap();
    let usual: usize = said.parse().unwrap();
    let series: usize = exported(&text_of(fleet.workers[0].admin).await).0.values().map(Vec::len).sum();
    assert!((usual / 2..usual).contains(&series), "{series} series, and the table says {usual}");
    fleet.end().await;
}

/// A route is a pattern, and what is none of them is `none`.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_console_is_asked_for_it_has_no_more_series() {
    let fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let caller = console.caller(&["read"]).await;
    let ask = async |number: u32| {
        for path in [format!("/v1/scrapes/no-{number}"), format!("/images/{number}"), format!("/no/{number}")]
        {
            caller.ask("GET", &path, &Value::Null).await;
        }
    };
    ask(0).await;
    let before = exported(&text_of(console.admin).await).0;

    for number in 1..20 {
        ask(number).await;
    }

    assert_eq!(exported(&text_of(console.admin).await).0, before);
    let routes = &before["tagfleet_console_requests_total"];
    assert!(routes.iter().any(|series| series.contains(r#"route="none""#)), "{routes:#?}");
    console.stop().await;
    fleet.end().await;
}

/// Neither an advertiser nor a host nor a scrape is a label, in whatever way.
#[tokio::test(flavor = "multi_thread")]
async fn forty_advertisers_on_forty_hosts_have_no_more_series_than_one() {
    let mut fleet = Fleet::with(tagfleet_tests::Options {
        settings: vec![("TAGFLEET__DOWNLOAD__ALLOW_NETWORKS", "127.0.0.0/8".into())],
        workers: 0,
        ..tagfleet_tests::Options::default()
    })
    .await;
    fleet.start_worker().await;
    let names = async |fleet: &Fleet| {
        let (worker, scheduler) = (fleet.workers[0].admin, fleet.schedulers[0].admin);
        let all = [text_of(worker).await, text_of(scheduler).await].map(|text| exported(&text).0);
        all.into_iter().flat_map(BTreeMap::into_values).flatten().collect::<BTreeSet<_>>()
    };
    // All that can happen to such scrapes has happened: new, gone, cached and matched.
    for advertiser in ["first", "second"] {
        fleet.tag(&scrape(advertiser, images(&fleet, 0))).await;
    }
    fleet.tag(&scrape("third", images(&fleet, 1))).await;
    let before = eventually("the queues are counted", || async {
        let names = names(&fleet).await;
        names.iter().any(|name| name.contains("queue_messages")).then_some(names)
    })
    .await;

    let events: Vec<_> =
        (2..42).map(|number| scrape(&format!("advertiser-{number}"), images(&fleet, number))).collect();
    for event in &events {
        fleet.publish(event).await;
    }
    for event in &events {
        fleet.announced(&event.scrape_id).await;
    }

    let after = names(&fleet).await;
    let new: Vec<_> = after.difference(&before).collect();
    // What the models say of a picture, and how the broker was when it was looked at.
    let of_a_picture = |name: &str| name.contains("tags_total") || name.contains("tag_confidence_ratio");
    let new: Vec<_> = new.into_iter().filter(|name| !of_a_picture(name)).collect();
    assert!(new.is_empty(), "{new:#?}");
    assert!(!after.iter().any(|name| name.contains("advertiser") || name.contains("127.0.0.")), "{after:#?}");
    let text = text_of(fleet.workers[0].admin).await;
    assert!(
        metric(&text, r#"tagfleet_worker_hosts{state="well"}"#) > 0.0,
        "the hosts are counted, not named"
    );
    fleet.end().await;
}

/// Who is no label is found in the database.
#[tokio::test(flavor = "multi_thread")]
async fn advertisers_and_hosts_in_trouble_are_found_by_sql() {
    let fleet = Fleet::start().await;
    let gone = (0..3).map(|number| listed(fleet.origin.url(&format!("/gone-{number}.jpg")))).collect();
    fleet.tag(&scrape("in-trouble", gone)).await;
    fleet.tag(&scrape("well", vec![listed(fleet.picture("/good.jpg"))])).await;

    let client = fleet.database.pool.get().await.unwrap();
    let rows =
        client.query("SELECT advertiser_id, skipped, percent::float8 FROM advertisers_in_trouble", &[]).await;
    let rows = rows.unwrap();
    assert_eq!(rows.len(), 1, "who is well is not among them");
    assert_eq!((rows[0].get::<_, &str>(0), rows[0].get::<_, i64>(1)), ("in-trouble", 3));
    assert_eq!(rows[0].get::<_, f64>(2), 100.0);
    let sql = "SELECT host, reason, images FROM hosts_in_trouble";
    let rows = client.query(sql, &[]).await.unwrap();
    assert_eq!(
        (rows[0].get::<_, &str>(0), rows[0].get::<_, &str>(1), rows[0].get::<_, i64>(2)),
        ("127.0.0.1", "gone", 3)
    );
    drop(client);
    fleet.end().await;
}
