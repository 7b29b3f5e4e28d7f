//! Scrapes that go well.

use std::collections::BTreeMap;

use tagfleet_loadtest::origin::Response;
use tagfleet_shared::events::ListedImage;
use tagfleet_tests::{Fleet, Options, jpeg, listed, scrape};

fn outcomes(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let all = ["inferred", "cached", "matched", "skipped", "defaulted"];
    let mut outcomes: BTreeMap<_, _> = all.iter().map(|name| ((*name).to_owned(), 0)).collect();
    outcomes.extend(pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)));
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_is_tagged_and_announced_with_the_right_counts() {
    let fleet = Fleet::with(Options { workers: 2, ..Options::default() }).await;
    let mut images: Vec<_> = fleet.pictures(12).into_iter().map(listed).collect();
    images.push(listed(fleet.origin.url("/gone.jpg")));
    fleet.origin.put("/garbage.jpg", Response::jpeg(vec![0x81; 3000]));
    images.push(listed(fleet.origin.url("/garbage.jpg")));

    let event = scrape("dealer", images);
    let tagged = fleet.tag(&event).await;

    assert_eq!(tagged.images, 14);
    assert_eq!(tagged.outcomes, outcomes(&[("inferred", 12), ("skipped", 1), ("defaulted", 1)]));
    assert_eq!(tagged.advertiser_id, event.advertiser_id);
    assert!(
        tagged.received_at <= tagged.published_at
            && tagged.published_at <= tagged.tagged_at + jiff::Span::new().seconds(1)
    );
    let rows = fleet.rows(&event.scrape_id).await;
    for row in &rows[..12] {
        assert_eq!(row.end(), ("inferred", ""));
        assert!(["Dealer", "Stock", "Placeholder"].contains(&row.tag("image_type")));
        assert!(row.tags.as_ref().unwrap().0.contains_key("color"));
    }
    fleet.queues_are_empty().await;
    assert_eq!(fleet.announcements(&event.scrape_id).await.len(), 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_scrape_of_the_same_inventory_downloads_and_infers_nothing() {
    let mut fleet = Fleet::start().await;
    let images: Vec<_> = fleet.pictures(10).into_iter().map(listed).collect();
    let first = scrape("dealer", images.clone());
    fleet.tag(&first).await;
    let downloads = fleet.origin.total_requests();
    assert_eq!(downloads, 10);

    // From the memory of the same worker.
    let second = scrape("dealer", images.clone());
    assert_eq!(fleet.tag(&second).await.outcomes, outcomes(&[("cached", 10)]));

    // From the database, by a worker that has seen nothing.
    fleet.workers.remove(0).stop().await;
    fleet.start_worker().await;
    let third = scrape("dealer", images);
    assert_eq!(fleet.tag(&third).await.outcomes, outcomes(&[("cached", 10)]));

    assert_eq!(fleet.origin.total_requests(), downloads);
    let tags = |rows: Vec<tagfleet_tests::Row>| rows.into_iter().map(|row| row.tags).collect::<Vec<_>>();
    assert_eq!(tags(fleet.rows(&first.scrape_id).await), tags(fleet.rows(&third.scrape_id).await));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_under_two_urls_are_inferred_once() {
    let fleet = Fleet::start().await;
    let bytes = jpeg();
    for path in ["/a.jpg", "/b.jpg", "/c.jpg"] {
        fleet.origin.put(path, Response::jpeg(bytes.clone()));
    }
    let at_once =
        scrape("dealer", vec![listed(fleet.origin.url("/a.jpg")), listed(fleet.origin.url("/b.jpg"))]);
    assert_eq!(fleet.tag(&at_once).await.outcomes, outcomes(&[("inferred", 1), ("matched", 1)]));

    let later = scrape("another", vec![listed(fleet.origin.url("/c.jpg"))]);
    assert_eq!(fleet.tag(&later).await.outcomes, outcomes(&[("matched", 1)]));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_concurrent_jobs_of_one_image_download_once() {
    let fleet = Fleet::start().await;
    let url = fleet.picture("/shared.jpg");
    let event = scrape("dealer", vec![listed(url); 10]);
    let tagged = fleet.tag(&event).await;

    assert_eq!(tagged.outcomes, outcomes(&[("inferred", 1), ("cached", 9)]));
    assert_eq!(fleet.origin.requests("/shared.jpg"), 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_key_names_a_picture_whose_url_changes() {
    let fleet = Fleet::start().await;
    let keyed = |url: String| ListedImage { url, image_key: Some("car-7".into()), ..ListedImage::default() };
    fleet.tag(&scrape("dealer", vec![keyed(fleet.picture("/monday.jpg"))])).await;
    let tuesday = scrape("dealer", vec![keyed(fleet.picture("/tuesday.jpg"))]);

    assert_eq!(fleet.tag(&tuesday).await.outcomes, outcomes(&[("cached", 1)]));
    assert_eq!(fleet.origin.requests("/tuesday.jpg"), 0);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_without_images_is_tagged_at_once() {
    let fleet = Fleet::start().await;
    let tagged = fleet.tag(&scrape("dealer", Vec::new())).await;
    assert_eq!((tagged.images, tagged.outcomes), (0, outcomes(&[])));
    fleet.end().await;
}
