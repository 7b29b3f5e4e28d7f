//! Scrapes that a newer one of their advertiser overtakes, and those that none does.

use jiff::ToSpan;
use tagfleet_loadtest::origin::Response;
use tagfleet_shared::events::ScrapeFinished;
use tagfleet_tests::{Fleet, Options, eventually, listed, scrape};

/// Waits until a scrape is fanned out.
async fn fanned_out(fleet: &Fleet, event: &ScrapeFinished) {
    let sql = format!(
        "SELECT count(*) FROM scrapes WHERE scrape_id = '{}' AND published_at IS NOT NULL",
        event.scrape_id
    );
    eventually("its jobs are there", || async { (fleet.count(&sql).await == 1).then_some(()) }).await;
}

/// A scrape with a manifest instead of images.
fn behind_manifest(fleet: &Fleet, advertiser: &str, path: &str) -> ScrapeFinished {
    let manifest_url = Some(fleet.origin.url(path));
    ScrapeFinished { images: None, manifest_url, ..scrape(advertiser, Vec::new()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_scrape_supersedes_an_unfinished_older_one() {
    let mut fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let urls = fleet.pictures(6);
    let older = scrape("dealer", urls.iter().cloned().map(listed).collect());
    let newer = scrape("dealer", urls[..2].iter().cloned().map(listed).collect());
    let other = scrape("another dealer", urls[..1].iter().cloned().map(listed).collect());
    for event in [&older, &newer, &other] {
        fleet.publish(event).await;
        fanned_out(&fleet, event).await;
    }
    fleet.start_worker().await;
    let tagged = fleet.announced(&newer.scrape_id).await;
    assert_eq!((tagged.outcomes["inferred"] + tagged.outcomes["cached"], tagged.superseded_by), (2, None));
    assert_eq!(fleet.announced(&other.scrape_id).await.superseded_by, None);

    let overtaken = fleet.announced(&older.scrape_id).await;
    assert_eq!(overtaken.superseded_by, Some(newer.scrape_id));
    assert_eq!(overtaken.outcomes["skipped"], 6);
    assert!(fleet.rows(&older.scrape_id).await.iter().all(|row| row.end() == ("skipped", "superseded")));
    assert_eq!(fleet.origin.total_requests(), 2, "its jobs cost a look-up and nothing else");
    fleet.queues_are_empty().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_that_arrives_after_a_newer_one_is_superseded_from_the_start() {
    let mut fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let newer = scrape("dealer", fleet.pictures(1).into_iter().map(listed).collect());
    let mut late = scrape("dealer", fleet.pictures(4).into_iter().map(listed).collect());
    late.finished_at = newer.finished_at - 1.hour();
    fleet.publish(&newer).await;
    fanned_out(&fleet, &newer).await;
    let overtaken = fleet.tag(&late).await;

    assert_eq!(overtaken.superseded_by, Some(newer.scrape_id.clone()));
    assert_eq!((overtaken.images, overtaken.outcomes["skipped"]), (4, 4));
    fleet.start_worker().await;
    assert_eq!(fleet.announced(&newer.scrape_id).await.outcomes["inferred"], 1);
    fleet.end().await;
}

/// It has nothing to show instead: what the advertiser had is still tagged,
/// whichever of the two comes first.
#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_that_is_refused_supersedes_nothing() {
    let mut fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let in_work = scrape("dealer", fleet.pictures(3).into_iter().map(listed).collect());
    let mut late = scrape("other dealer", fleet.pictures(2).into_iter().map(listed).collect());
    late.finished_at = in_work.finished_at - 1.hour();
    fleet.publish(&in_work).await;
    fanned_out(&fleet, &in_work).await;
    for advertiser in ["dealer", "other dealer"] {
        fleet.publish(&behind_manifest(&fleet, advertiser, "/gone.ndjson")).await;
        assert_eq!(fleet.dead_letter().await.0, "manifest_unavailable");
    }
    fleet.publish(&late).await;
    fleet.start_worker().await;

    for (event, images) in [(&in_work, 3), (&late, 2)] {
        let tagged = fleet.announced(&event.scrape_id).await;
        assert_eq!((tagged.outcomes["inferred"], tagged.superseded_by), (images, None));
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_supersedes_when_its_first_page_is_there_and_not_before() {
    let settings = vec![("TAGFLEET__FAN_OUT__MANIFEST_IDLE_TIMEOUT", "500ms".to_owned())];
    let mut fleet = Fleet::with(Options { workers: 0, settings, ..Options::default() }).await;
    fleet.origin.put("/slow.ndjson", Response::Stall);
    let mut older = scrape("dealer", fleet.pictures(3).into_iter().map(listed).collect());
    let newer = behind_manifest(&fleet, "dealer", "/slow.ndjson");
    older.finished_at = newer.finished_at - 1.hour();
    fleet.publish(&newer).await;
    fleet.requested("/slow.ndjson", 1).await;
    fleet.publish(&older).await;
    fanned_out(&fleet, &older).await;
    assert_eq!(fleet.count("SELECT count(*) FROM scrapes WHERE superseded_by IS NOT NULL").await, 0);

    let line = format!("{}\n", serde_json::to_string(&listed(fleet.picture("/1.jpg"))).unwrap());
    let manifest = Response::Bytes { content_type: "application/x-ndjson", body: line.into() };
    fleet.origin.put("/slow.ndjson", manifest);
    fanned_out(&fleet, &newer).await;
    fleet.start_worker().await;
    assert_eq!(fleet.announced(&newer.scrape_id).await.outcomes["inferred"], 1);
    let overtaken = fleet.announced(&older.scrape_id).await;
    assert_eq!((overtaken.outcomes["skipped"], overtaken.superseded_by), (3, Some(newer.scrape_id)));
    fleet.end().await;
}

/// The advertiser has nothing to show any more: that is news too.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_inventory_supersedes() {
    let mut fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let older = scrape("dealer", fleet.pictures(3).into_iter().map(listed).collect());
    fleet.publish(&older).await;
    fanned_out(&fleet, &older).await;
    let empty = scrape("dealer", Vec::new());
    assert_eq!(fleet.tag(&empty).await.images, 0);
    fleet.start_worker().await;

    let overtaken = fleet.announced(&older.scrape_id).await;
    assert_eq!((overtaken.outcomes["skipped"], overtaken.superseded_by), (3, Some(empty.scrape_id)));
    fleet.end().await;
}
