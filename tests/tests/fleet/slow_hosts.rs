//! Hosts that are slow to answer, and the pictures of others.

use futures::future::join_all;
use tagfleet_loadtest::origin::{Content, Origin, Response};
use tagfleet_tests::{Fleet, Options, jpeg, listed, scrape};
use tokio::sync::watch;

/// More of them than there are places wait for an answer, and no place is taken for that.
#[tokio::test(flavor = "multi_thread")]
async fn pictures_flow_while_many_hosts_do_not_answer() {
    let settings = [
        ("TAGFLEET__WORK__PICTURES", "16"),
        ("TAGFLEET__DOWNLOAD__PER_HOST", "4"),
        ("TAGFLEET__DOWNLOAD__HEADER_TIMEOUT", "10m"),
        ("TAGFLEET__DOWNLOAD__TOTAL_TIMEOUT", "10m"),
    ];
    let settings = settings.map(|(name, value)| (name, value.to_owned())).to_vec();
    let fleet = Fleet::with(Options { settings, ..Options::default() }).await;
    let (open, gate) = watch::channel(false);
    let slow: Vec<_> = (0..5).map(|_| Origin::start(Content::Nothing).unwrap()).collect();
    let paths = ["/1.jpg", "/2.jpg", "/3.jpg", "/4.jpg"];
    let questions: Vec<_> = slow.iter().flat_map(|host| paths.map(|path| (host, path))).collect();
    for (host, path) in &questions {
        host.put(path, Response::Gated(gate.clone(), Box::new(Response::jpeg(jpeg()))));
    }
    let slow = scrape("slow", questions.iter().map(|(host, path)| listed(host.url(path))).collect());
    fleet.publish(&slow).await;
    let asked = join_all(questions.iter().map(|(host, path)| host.until_requested(path, 1)));
    assert!(tokio::time::timeout(tagfleet_tests::PATIENCE, asked).await.is_ok(), "they take the places");

    let quick = fleet.tag(&scrape("quick", fleet.pictures(40).into_iter().map(listed).collect())).await;

    assert_eq!(quick.outcomes["inferred"], 40, "{:?}", quick.outcomes);
    assert!(fleet.rows(&slow.scrape_id).await.iter().all(|row| row.outcome.is_none()));
    open.send(true).unwrap();
    let tagged = fleet.announced(&slow.scrape_id).await;
    assert_eq!(tagged.outcomes["skipped"], 0, "{:?}", tagged.outcomes);
    assert!(questions.iter().all(|(host, path)| host.requests(path) == 1));
    fleet.end().await;
}
