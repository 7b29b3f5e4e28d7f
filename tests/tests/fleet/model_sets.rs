//! Another model set in a running fleet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tagfleet_loadtest::origin::Response;
use tagfleet_shared::events::{Change, ListedImage};
use tagfleet_shared::ids::ScrapeId;
use tagfleet_shared::tags::Tags;
use tagfleet_tests::{Fleet, ModelFolder, Options, changed, eventually, get, jpeg, listed, post, scrape};
use tokio_postgres::types::Json;

/// What the shipped set calls its classes, and what the second set calls them.
const SHIPPED: [&str; 3] = ["Dealer", "Stock", "Placeholder"];
const SECOND: [&str; 3] = ["Photo", "Rendering", "Card"];

/// The same models under another name, with other words for what they see.
fn exchange(folder: &ModelFolder) {
    folder.change(|mut manifest| {
        let name = manifest.lines().find(|line| line.starts_with("name = ")).unwrap().to_owned();
        manifest = manifest.replacen(&name, "name = \"second\"", 1);
        for (before, after) in SHIPPED.into_iter().zip(SECOND) {
            manifest = manifest.replace(&format!("{before:?}"), &format!("{after:?}"));
        }
        manifest
    });
}

/// A set whose test fails: the stock picture is to be a card.
fn spoil(folder: &ModelFolder) {
    let (before, after) = (r#"tags = { image_type = "Rendering" }"#, r#"tags = { image_type = "Card" }"#);
    folder.change(|manifest| {
        assert!(manifest.contains(before), "{manifest}");
        manifest.replace(before, after).replace("name = \"second\"", "name = \"third\"")
    });
}

/// How many rows name which set. The words of a row are those of its set.
async fn speakers(fleet: &Fleet, scrape: &ScrapeId) -> BTreeMap<String, usize> {
    let client = fleet.database.pool.get().await.unwrap();
    let sql = "SELECT model_set, tags, outcome FROM tagged_images WHERE scrape_id = $1";
    let mut speakers = BTreeMap::new();
    for row in client.query(sql, &[&scrape.0]).await.unwrap() {
        let (set, outcome): (String, String) = (row.get(0), row.get(2));
        let Json(tags): Json<Tags> = row.get(1);
        let words = if set == "second" { SECOND } else { SHIPPED };
        let said = tags.get("image_type").unwrap();
        assert!(words.contains(&said), "{outcome}: the set {set} does not say {said}");
        *speakers.entry(set).or_default() += 1;
    }
    speakers
}

/// What models said of images is kept by set, and in the words of that set.
async fn assert_kept_apart(fleet: &Fleet) {
    let foreign = fleet.count(
        "SELECT count(*) FROM image_tags t JOIN model_sets m ON m.id = t.model_set
          WHERE (m.name = 'second') <> (t.tags ->> 'image_type' = ANY ('{Photo,Rendering,Card}'))",
    );
    assert_eq!(foreign.await, 0);
}

async fn sets_in_metrics(fleet: &Fleet) -> BTreeSet<String> {
    let text = get(fleet.workers[0].admin, "/metrics").await.1;
    let lines = text.lines().filter(|line| line.starts_with("tagfleet_worker_model_info{"));
    lines.map(|line| line.split_once("set=\"").unwrap().1.split('"').next().unwrap().to_owned()).collect()
}

/// Pictures that arrive a while after they were asked for, one that is none, and
/// ordinary ones.
fn images(fleet: &Fleet, round: &str) -> (Vec<ListedImage>, Vec<String>) {
    let slow: Vec<String> = (0..8).map(|n| format!("/{round}/slow-{n}.jpg")).collect();
    for path in &slow {
        fleet.origin.put(path, Response::After(Duration::from_secs(3), Box::new(Response::jpeg(jpeg()))));
    }
    let garbage = format!("/{round}/garbage.jpg");
    fleet.origin.put(&garbage, Response::jpeg(vec![0x81; 3000]));
    let mut images: Vec<_> = slow.iter().map(|path| listed(fleet.origin.url(path))).collect();
    images.push(listed(fleet.origin.url(&garbage)));
    images.extend(fleet.pictures(40).into_iter().map(listed));
    (images, slow)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_in_mid_scrape_mixes_no_two_sets_in_a_row() {
    let folder = ModelFolder::new("reload");
    let fleet = Fleet::with(Options { settings: vec![folder.setting()], ..Options::default() }).await;
    let shipped = sets_in_metrics(&fleet).await.pop_first().unwrap();
    let (images, slow) = images(&fleet, "first");
    let first = scrape("dealer", images.clone());
    fleet.publish(&first).await;
    // These are in flight with the first set and end after the second has come.
    for path in &slow {
        fleet.requested(path, 1).await;
    }
    exchange(&folder);

    let (status, body) = post(fleet.workers[0].admin, "/models/reload").await;

    assert_eq!(status, 200, "{body}");
    assert!(body.contains("the model set second ("), "{body}");
    assert_eq!(sets_in_metrics(&fleet).await, BTreeSet::from(["second".to_owned()]));
    let tagged = fleet.announced(&first.scrape_id).await;
    assert_eq!(tagged.outcomes["inferred"], 48, "{:?}", tagged.outcomes);
    let spoke = speakers(&fleet, &first.scrape_id).await;
    assert!(spoke[&shipped] >= slow.len(), "{spoke:?}");

    // The same images again: what another set said of them does not count.
    let again = scrape("dealer", images);
    assert_eq!(fleet.tag(&again).await.outcomes["defaulted"], 1);
    assert_eq!(speakers(&fleet, &again.scrape_id).await, BTreeMap::from([("second".to_owned(), 49)]));
    assert_kept_apart(&fleet).await;
    fleet.end().await;
}

/// What one set was told of is true for all: pools have sets of their own, and a roll-back brings one back.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_replaced_is_tagged_anew_by_every_model_set() {
    let folder = ModelFolder::new("replaced");
    let shipped = std::fs::read_to_string(folder.path().join("manifest.toml")).unwrap();
    let fleet = Fleet::with(Options { settings: vec![folder.setting()], ..Options::default() }).await;
    let mut told = fleet.listen_to_pictures().await;
    let (other, same) = (fleet.picture("/other.jpg"), fleet.picture("/same.jpg"));
    let images = || [listed(&other), listed(&same)];
    let inventory = || scrape("dealer", images().into());
    fleet.tag(&inventory()).await;
    exchange(&folder);
    assert_eq!(post(fleet.workers[0].admin, "/models/reload").await.0, 200);
    fleet.tag(&inventory()).await;
    fleet.picture("/other.jpg");

    fleet.publish_changes(&images().map(|image| changed("dealer", Change::Replaced, image))).await;
    let mut outcomes = [told.next().await.outcome, told.next().await.outcome];
    outcomes.sort();
    assert_eq!(outcomes, ["cached", "inferred"]);
    assert_eq!(fleet.tag(&inventory()).await.outcomes["cached"], 2);

    folder.change(|_| shipped);
    assert_eq!(post(fleet.workers[0].admin, "/models/reload").await.0, 200);
    let back = fleet.tag(&inventory()).await;
    assert_eq!(
        (back.outcomes["inferred"], back.outcomes["cached"]),
        (1, 1),
        "the same picture keeps its tags"
    );
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_fails_is_refused_and_the_old_one_goes_on() {
    let folder = ModelFolder::new("refused");
    exchange(&folder);
    let fleet = Fleet::with(Options { settings: vec![folder.setting()], ..Options::default() }).await;
    let worker = fleet.workers[0].admin;

    spoil(&folder);
    let (status, body) = post(worker, "/models/reload").await;
    assert_eq!(status, 422, "{body}");
    assert!(body.contains(r#"selftest "selftest/stock.jpg": image_type is Rendering"#), "{body}");
    std::fs::remove_file(folder.path().join("vehicle.onnx")).unwrap();
    let (status, body) = post(worker, "/models/reload").await;
    assert_eq!(status, 422, "{body}");

    assert_eq!(sets_in_metrics(&fleet).await, BTreeSet::from(["second".to_owned()]));
    eventually("it is ready", || async { (get(worker, "/readyz").await.0 == 200).then_some(()) }).await;
    let event = scrape("dealer", fleet.pictures(10).into_iter().map(listed).collect());
    assert_eq!(fleet.tag(&event).await.outcomes["inferred"], 10);
    assert_eq!(speakers(&fleet, &event.scrape_id).await, BTreeMap::from([("second".to_owned(), 10)]));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_takes_the_new_set_on_sighup_and_drops_no_job() {
    let folder = ModelFolder::new("sighup");
    let options = Options { workers: 0, settings: vec![folder.setting()], ..Options::default() };
    let fleet = Fleet::with(options).await;
    let worker = fleet.spawn_worker();
    let (images, slow) = images(&fleet, "first");
    let first = scrape("dealer", images);
    fleet.publish(&first).await;
    for path in &slow {
        fleet.requested(path, 1).await;
    }

    exchange(&folder);
    worker.signal("-HUP");
    eventually("the worker has the second set", || async {
        worker.logged().contains("the model set second (").then_some(())
    })
    .await;

    assert_eq!(fleet.announced(&first.scrape_id).await.images, 49);
    let second = scrape("dealer", fleet.pictures(10).into_iter().map(listed).collect());
    assert_eq!(fleet.tag(&second).await.outcomes["inferred"], 10);
    assert_eq!(speakers(&fleet, &second.scrape_id).await, BTreeMap::from([("second".to_owned(), 10)]));
    let spoke = speakers(&fleet, &first.scrape_id).await;
    assert_eq!(spoke.values().sum::<usize>(), 49, "{spoke:?}");
    assert_kept_apart(&fleet).await;
    let dead = fleet.broker.depth(&fleet.broker.topology().dead()).await.unwrap();
    assert_eq!(dead.0, 0, "no job was dead-lettered");
    assert!(worker.terminate().await, "a stop is not a failure");
    fleet.end().await;
}
