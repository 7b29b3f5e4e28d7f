//! Pictures that cannot be had, or cannot be read.

use std::time::Duration;

use tagfleet_loadtest::origin::Response;
use tagfleet_shared::events::ListedImage;
use tagfleet_tests::{Fleet, Options, jpeg, listed, scrape};

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_be_undownloadable_has_its_own_reason() {
    let settings = vec![
        ("TAGFLEET__DOWNLOAD__MAX_BYTES", "100000".to_owned()),
        ("TAGFLEET__DOWNLOAD__HEADER_TIMEOUT", "1s".to_owned()),
        ("TAGFLEET__DOWNLOAD__TOTAL_TIMEOUT", "3s".to_owned()),
    ];
    let fleet = Fleet::with(Options { settings, ..Options::default() }).await;
    let html = b"<!DOCTYPE html><html><body>Not found</body></html>".as_slice();
    let origin = &fleet.origin;
    origin.put("/page.jpg", Response::Bytes { content_type: "image/jpeg", body: html.into() });
    origin.put("/large.jpg", Response::jpeg(vec![0xff; 100_001]));
    origin.put("/endless.jpg", Response::Endless);
    origin.put("/stall.jpg", Response::Stall);
    origin.put("/slow.jpg", Response::SlowBody { body: jpeg().into(), bytes_per_second: 100 });
    origin.put("/loop.jpg", Response::RedirectTo("/loop.jpg".into()));
    origin.put("/inside.jpg", Response::RedirectTo("http://127.0.0.2:9090/metadata".into()));
    origin.put("/denied.jpg", Response::Status(403));
    origin.put("/unwell.jpg", Response::Status(500));
    origin.put("/empty.jpg", Response::jpeg(Vec::new()));
    let expected = [
        (origin.url("/gone.jpg"), "gone"),
        (origin.url("/page.jpg"), "not_an_image"),
        (origin.url("/large.jpg"), "too_large"),
        (origin.url("/endless.jpg"), "too_large"),
        (origin.url("/stall.jpg"), "timeout"),
        (origin.url("/slow.jpg"), "timeout"),
        (origin.url("/loop.jpg"), "redirect_loop"),
        (origin.url("/inside.jpg"), "forbidden_address"),
        ("http://169.254.169.254/latest/meta-data".into(), "forbidden_address"),
        ("http://[::ffff:10.0.0.1]/a.jpg".into(), "forbidden_address"),
        ("file:///etc/passwd".into(), "bad_url"),
        ("no url at all".into(), "bad_url"),
        (origin.url("/denied.jpg"), "denied"),
        (origin.url("/unwell.jpg"), "server_error"),
        (origin.url("/empty.jpg"), "empty"),
    ];
    let event = scrape("dealer", expected.iter().map(|(url, _)| listed(url.clone())).collect());
    let tagged = fleet.tag(&event).await;

    let rows = fleet.rows(&event.scrape_id).await;
    let ends: Vec<_> = rows.iter().map(|row| (row.url.as_str(), row.end())).collect();
    let expected: Vec<_> =
        expected.iter().map(|(url, reason)| (url.as_str(), ("skipped", *reason))).collect();
    assert_eq!(ends, expected);
    assert_eq!(tagged.outcomes["skipped"], 15);
    fleet.queues_are_empty().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_picture_gets_the_defaults_with_a_reason() {
    let fleet = Fleet::start().await;
    fleet.origin.put("/broken.jpg", Response::jpeg([&[0xff, 0xd8, 0xff, 0xe0][..], &[7; 500]].concat()));
    let event = scrape("dealer", vec![listed(fleet.origin.url("/broken.jpg"))]);
    fleet.tag(&event).await;

    let row = &fleet.rows(&event.scrape_id).await[0];
    assert_eq!(row.end(), ("defaulted", "undecodable"));
    assert_eq!((row.tag("image_type"), row.tag("color")), ("Placeholder", "null"));
    assert_eq!(
        fleet.count("SELECT count(*) FROM image_tags").await,
        0,
        "a failure is never cached as an answer"
    );
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_broken_image_in_a_batch_harms_nobody() {
    let fleet = Fleet::start().await;
    fleet.origin.put("/broken.jpg", Response::jpeg(vec![0x99; 2000]));
    let mut urls = fleet.pictures(16);
    urls.insert(8, fleet.origin.url("/broken.jpg"));
    let event = scrape("dealer", urls.into_iter().map(listed).collect());
    let tagged = fleet.tag(&event).await;

    assert_eq!((tagged.outcomes["inferred"], tagged.outcomes["defaulted"]), (16, 1));
    assert_eq!(fleet.rows(&event.scrape_id).await[8].end().0, "defaulted");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_unwell_for_a_while_is_asked_again() {
    let fleet = Fleet::start().await;
    let unwell =
        |status, headers| Response::StatusThenBytes { status, times: 2, headers, body: jpeg().into() };
    fleet.origin.put("/503.jpg", unwell(503, Vec::new()));
    fleet.origin.put("/429.jpg", unwell(429, vec![("retry-after", "0".to_owned())]));
    let urls = [fleet.origin.url("/503.jpg"), fleet.origin.url("/429.jpg")];
    let event = scrape("dealer", urls.map(listed).to_vec());
    let tagged = fleet.tag(&event).await;

    assert_eq!(tagged.outcomes["inferred"], 2);
    assert_eq!(fleet.origin.requests("/503.jpg"), 3);
    fleet.queues_are_empty().await;
    fleet.end().await;
}

/// The next scrape within a while takes a dead link for granted.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_link_is_asked_for_once_in_a_while() {
    let fleet = Fleet::start().await;
    let dead = vec![listed(fleet.origin.url("/gone.jpg"))];
    fleet.tag(&scrape("dealer", dead.clone())).await;
    let again = scrape("dealer", dead.clone());
    fleet.tag(&again).await;
    assert_eq!(fleet.rows(&again.scrape_id).await[0].end(), ("skipped", "gone"));
    assert_eq!(fleet.origin.requests("/gone.jpg"), 1);

    fleet.picture("/gone.jpg");
    fleet.execute("UPDATE image_failures SET until = now()").await;
    let repaired = scrape("dealer", dead);
    assert_eq!(fleet.tag(&repaired).await.outcomes["inferred"], 1);
    fleet.end().await;
}

/// A pipeline that knows its pictures by a key may list one with an address that has expired, and with
/// a good one a minute later.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_link_says_nothing_of_another_link_of_the_same_image() {
    let fleet = Fleet::start().await;
    let at = |url| ListedImage { image_key: Some("img-1".into()), ..listed(url) };
    fleet.tag(&scrape("dealer", vec![at(fleet.origin.url("/expired.jpg"))])).await;
    let renewed = scrape("dealer", vec![at(fleet.picture("/renewed.jpg"))]);

    assert_eq!(fleet.tag(&renewed).await.outcomes["inferred"], 1);
    fleet.end().await;
}

/// Nor when both are at work at once: whoever waits for the one that turns out to be dead tries its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_link_does_not_stop_another_link_of_the_same_image_that_waits_for_it() {
    let fleet = Fleet::start().await;
    let dead = Response::After(Duration::from_millis(500), Box::new(Response::Status(404)));
    fleet.origin.put("/expired.jpg", dead);
    let at = |url| ListedImage { image_key: Some("img-1".into()), ..listed(url) };
    let both = [fleet.origin.url("/expired.jpg"), fleet.picture("/renewed.jpg")];
    let event = scrape("dealer", both.map(at).to_vec());
    fleet.tag(&event).await;

    assert_eq!(fleet.rows(&event.scrape_id).await[1].end(), ("inferred", ""));
    assert_eq!(fleet.origin.requests("/renewed.jpg"), 1);
    fleet.end().await;
}

/// A slow picture does not keep the acknowledgements of quick ones.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_picture_does_not_hold_up_a_full_prefetch_of_quick_ones() {
    let settings = vec![
        ("TAGFLEET__WORK__PREFETCH", "16".to_owned()),
        ("TAGFLEET__DOWNLOAD__HEADER_TIMEOUT", "5s".to_owned()),
        // Not given up before.
        ("TAGFLEET__BROKER__RETRY_DELAYS", vec!["200ms"; 40].join(",")),
    ];
    let fleet = Fleet::with(Options { settings, ..Options::default() }).await;
    fleet.origin.put("/slow.jpg", Response::Stall);
    let mut urls = vec![fleet.origin.url("/slow.jpg")];
    urls.extend(fleet.pictures(60));
    let event = scrape("dealer", urls.into_iter().map(listed).collect());
    fleet.publish(&event).await;

    tagfleet_tests::eventually("the quick ones are done before the slow one", || async {
        let rows = fleet.rows(&event.scrape_id).await;
        let quick = rows.len() == 61 && rows[1..].iter().all(|row| row.outcome.is_some());
        quick.then(|| assert_eq!(rows[0].outcome, None))
    })
    .await;
    fleet.origin.put("/slow.jpg", Response::jpeg(jpeg()));
    fleet.announced(&event.scrape_id).await;
    fleet.end().await;
}

/// A row that cannot be read is as good as none.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_the_cache_that_cannot_be_read_holds_up_nobody() {
    let mut fleet = Fleet::start().await;
    let images: Vec<_> = fleet.pictures(3).into_iter().map(listed).collect();
    fleet.tag(&scrape("dealer", images.clone())).await;
    fleet.workers.remove(0).stop().await;
    fleet
        .execute("UPDATE image_tags SET tags = '[1]' WHERE image_id = (SELECT min(image_id::text)::uuid FROM image_tags)")
        .await;
    fleet.start_worker().await;

    let tagged = fleet.tag(&scrape("dealer", images)).await;

    assert_eq!((tagged.outcomes["cached"], tagged.outcomes["inferred"]), (2, 1));
    fleet.end().await;
}
