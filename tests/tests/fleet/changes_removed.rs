//! Pictures that an advertiser takes away between two scrapes.

use jiff::{Timestamp, ToSpan};
use tagfleet_shared::events::{Change, ImageChanged, ScrapeFinished};
use tagfleet_shared::fixes;
use tagfleet_shared::ids::ImageId;
use tagfleet_shared::tags::Tags;
use tagfleet_tests::{Fleet, changed, listed, scrape, shown};

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_removed_leaves_the_feed_of_its_advertiser_and_keeps_its_tags_and_fixes() {
    const FED: &str = "SELECT count(*) FROM feed_images WHERE advertiser_id = 'dealer'";
    let fleet = Fleet::start().await;
    let mut told = fleet.listen_to_pictures().await;
    let url = fleet.picture("/1.jpg");
    let inventory =
        |url: &str| vec![shown(url, "car-1"), shown(url, "car-2"), listed(fleet.picture("/2.jpg"))];
    let first = scrape("dealer", inventory(&url));
    for event in [&first, &scrape("other dealer", inventory(&url))] {
        fleet.tag(event).await;
    }
    let image = ImageId::of(None, &url);
    fleet
        .execute(&format!(
            "INSERT INTO fixes (image_id, attribute, value, fixed_by) VALUES ('{image}', 'color', 'mauve', 'test')"
        ))
        .await;
    fixes::apply(&fleet.database.pool, image).await.unwrap();
    assert_eq!(fleet.count(FED).await, 3);

    fleet.publish_changes(&[changed("dealer", Change::Removed, shown(&url, "car-1"))]).await;
    let tagged = told.next().await;
    assert_eq!((&*tagged.outcome, tagged.reason.as_deref()), ("skipped", Some("removed")));
    let fixed: Tags = [("color", Some("mauve"))].into_iter().collect();
    assert_eq!((tagged.change, tagged.tags), (Change::Removed, fixed));
    assert_eq!(fleet.count(FED).await, 2, "the other listing shows it still");
    fleet.publish_changes(&[changed("dealer", Change::Removed, listed(&url))]).await;
    told.next().await;
    assert_eq!(fleet.count(FED).await, 1);
    assert_eq!(fleet.count("SELECT count(*) FROM feed_images WHERE advertiser_id <> 'dealer'").await, 3);
    assert_eq!(fleet.rows(&first.scrape_id).await[0].tag("color"), "mauve");
    assert_eq!(fleet.count("SELECT count(*) FROM image_tags").await, 2);
    assert_eq!(fleet.count("SELECT count(*) FROM hosts_in_trouble").await, 0);

    // It is shown again by whoever lists it again.
    fleet.publish_changes(&[changed("dealer", Change::Added, listed(&url))]).await;
    assert_eq!(told.next().await.outcome, "cached");
    assert_eq!(fleet.count(FED).await, 2);
    assert_eq!(fleet.origin.total_requests(), 2);
    fleet.end().await;
}

/// Its event waited, or its manifest is long: what was removed meanwhile is shown by none of its pages.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_was_removed_before_its_inventory_was_listed_is_not_in_the_feed() {
    const FED: &str = "SELECT url FROM feed_images ORDER BY url";
    let fleet = Fleet::start().await;
    let mut told = fleet.listen_to_pictures().await;
    let url = fleet.picture("/1.jpg");
    let (now, kept) = (Timestamp::now(), fleet.picture("/2.jpg"));
    let removed = |ago: i64, listing| ImageChanged {
        changed_at: now - ago.seconds(),
        ..changed("dealer", Change::Removed, shown(&url, listing))
    };
    // Of car-3 before the scrape ended, which has seen it there again.
    fleet.publish_changes(&[removed(30, "car-1"), removed(90, "car-3")]).await;
    for _ in 0..2 {
        assert_eq!(told.next().await.reason.as_deref(), Some("removed"));
    }
    let images = vec![shown(&url, "car-1"), shown(&url, "car-2"), shown(&url, "car-3"), listed(&kept)];
    let event = ScrapeFinished { finished_at: now - 60.seconds(), ..scrape("dealer", images) };

    let tagged = fleet.tag(&event).await;

    assert_eq!((tagged.images, tagged.outcomes["skipped"]), (4, 0));
    let client = fleet.database.pool.get().await.unwrap();
    let fed: Vec<String> = client.query(FED, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(fed, [&*url, &*url, &*kept]);
    let marked = "SELECT count(*) FROM scrape_images WHERE listing_id = 'car-1' AND removed_at IS NOT NULL AND outcome <> 'skipped'";
    assert_eq!(fleet.count(marked).await, 1);
    drop(client);
    fleet.end().await;
}
