//! Another picture under the same URL or key: what is known of it is not true any more.

use serde_json::Value;
use tagfleet_loadtest::origin::Response;
use tagfleet_shared::events::{Change, ImageTagged, ListedImage};
use tagfleet_shared::fixes;
use tagfleet_shared::ids::ImageId;
use tagfleet_tests::{Fleet, Options, Told, changed, eventually, get, jpeg, listed, metric, scrape};

const BYTES: &str = "SELECT count(DISTINCT bytes_hash) FROM image_tags";

async fn replaced(fleet: &Fleet, told: &mut Told, image: ListedImage) -> ImageTagged {
    fleet.publish_changes(&[changed("dealer", Change::Replaced, image)]).await;
    told.next().await
}

/// Images that workers knew from their memory so far.
async fn from_memory(fleet: &Fleet) -> f64 {
    let mut images = 0.0;
    for worker in &fleet.workers {
        let text = get(worker.admin, "/metrics").await.1;
        images += metric(&text, "tagfleet_worker_cache_lookups_total{tier=\"memory\"}");
    }
    images
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_replaced_is_tagged_anew_for_everybody_and_fixes_still_win() {
    let fleet = Fleet::with(Options { workers: 2, ..Options::default() }).await;
    let mut told = fleet.listen_to_pictures().await;
    let (url, same) = (fleet.picture("/1.jpg"), fleet.origin.url("/same.jpg"));
    let keyed = |url: &str| ListedImage { image_key: Some("key".into()), ..listed(url) };
    // So often that both workers remember it.
    let many = || scrape("dealer", vec![keyed(&url); 200]);
    fleet.tag(&many()).await;
    assert!(from_memory(&fleet).await > 0.0);
    let image = ImageId::of(Some("key"), "");
    fleet
        .execute(&format!(
            "INSERT INTO fixes (image_id, attribute, value, fixed_by) VALUES ('{image}', 'color', 'mauve', 'test')"
        ))
        .await;
    fixes::apply(&fleet.database.pool, image).await.unwrap();
    // Each worker may have asked for it.
    let before = fleet.origin.requests("/1.jpg");
    let another = Response::jpeg(jpeg());
    fleet.origin.put("/1.jpg", another.clone());

    let tagged = replaced(&fleet, &mut told, keyed(&url)).await;

    assert_eq!((&*tagged.outcome, tagged.tags.get("color")), ("inferred", Some("mauve")));
    assert_eq!(fleet.origin.requests("/1.jpg"), before + 1);
    fleet.origin.put("/same.jpg", another);
    let of_same = scrape("dealer", vec![listed(same)]);
    assert_eq!(fleet.tag(&of_same).await.outcomes["matched"], 1, "the row is about the new picture");
    assert_eq!(fleet.count(BYTES).await, 1);
    let (after, remembered) = (many(), from_memory(&fleet).await);
    assert_eq!(fleet.tag(&after).await.outcomes["cached"], 200);
    let image_type = tagged.tags.get("image_type").unwrap_or("null");
    assert!(fleet.rows(&after.scrape_id).await.iter().all(|row| row.tag("image_type") == image_type));
    assert_eq!(from_memory(&fleet).await, remembered, "no memory is trusted");
    assert_eq!(fleet.origin.requests("/1.jpg"), before + 1, "nobody else has to ask");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_replaced_by_the_same_keeps_its_tags() {
    let fleet = Fleet::start().await;
    let mut told = fleet.listen_to_pictures().await;
    let url = fleet.picture("/1.jpg");
    fleet.tag(&scrape("dealer", vec![listed(&url)])).await;

    assert_eq!(replaced(&fleet, &mut told, listed(&url)).await.outcome, "cached");
    assert_eq!(fleet.origin.requests("/1.jpg"), 2);
    assert_eq!(fleet.count("SELECT count(*) FROM image_tags WHERE validated_at IS NOT NULL").await, 1);
    fleet.end().await;
}

/// The one before is not shown any more: its tags would be a lie.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_replaced_and_cannot_be_had_is_skipped_and_asked_for_again_when_it_is_told_of() {
    let fleet = Fleet::start().await;
    let mut told = fleet.listen_to_pictures().await;
    let (known, unknown) = (fleet.picture("/1.jpg"), fleet.origin.url("/2.jpg"));
    fleet.tag(&scrape("dealer", vec![listed(&known)])).await;
    fleet.origin.put("/1.jpg", Response::Status(404));
    for url in [&known, &unknown] {
        let tagged = replaced(&fleet, &mut told, listed(url)).await;
        assert_eq!((&*tagged.outcome, tagged.reason.as_deref()), ("skipped", Some("gone")));
    }
    // That it was not there a short while ago says nothing of the one that is there now.
    for path in ["/1.jpg", "/2.jpg"] {
        let url = fleet.picture(path);
        assert_eq!(replaced(&fleet, &mut told, listed(url)).await.outcome, "inferred");
    }
    fleet.end().await;
}

/// What was known before is forgotten: nobody gets it with the next scrape, nor when a worker still remembers it.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_replaced_and_cannot_be_had_or_read_never_gets_the_tags_of_the_one_before() {
    let fleet = Fleet::start().await;
    let mut told = fleet.listen_to_pictures().await;
    let ends = [(Response::Status(404), "skipped"), (Response::jpeg(vec![0x81; 3000]), "defaulted")];
    for (n, (response, end)) in ends.into_iter().enumerate() {
        let path = format!("/{n}.jpg");
        let url = fleet.picture(&path);
        let inventory = || scrape("dealer", vec![listed(&url)]);
        fleet.tag(&inventory()).await;
        fleet.origin.put(&path, response);

        assert_eq!(replaced(&fleet, &mut told, listed(&url)).await.outcome, end);

        assert_eq!(fleet.count("SELECT count(*) FROM image_tags").await, 0);
        assert_eq!(fleet.tag(&inventory()).await.outcomes[end], 1);
        fleet.execute("UPDATE image_failures SET until = now()").await;
        fleet.picture(&path);
        assert_eq!(fleet.tag(&inventory()).await.outcomes["inferred"], 1);
        fleet.execute("DELETE FROM image_tags").await;
    }
    fleet.end().await;
}

/// The worker still remembers the one before, and had no reason to look since.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_replaced_and_cannot_be_had_is_looked_at_when_what_was_skipped_is_run_again() {
    let fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let operator = console.caller(&["read", "operate"]).await;
    let mut told = fleet.listen_to_pictures().await;
    let url = fleet.picture("/1.jpg");
    let inventory = || scrape("dealer", vec![listed(&url)]);
    fleet.tag(&inventory()).await;
    fleet.origin.put("/1.jpg", Response::Status(404));
    assert_eq!(replaced(&fleet, &mut told, listed(&url)).await.outcome, "skipped");
    let skipped = inventory();
    assert_eq!(fleet.tag(&skipped).await.outcomes["skipped"], 1);
    fleet.picture("/1.jpg");

    let path = format!("/v1/scrapes/{}/rerun", skipped.scrape_id);
    operator.post(&path, Value::Null).await.expect(202);

    let again = eventually("it is announced again", || async {
        fleet.announcements(&skipped.scrape_id).await.into_iter().nth(1)
    })
    .await;
    assert_eq!(again.outcomes["inferred"], 1, "{again:?}");
    assert_eq!(fleet.count("SELECT count(*) FROM image_tags").await, 1);
    fleet.end().await;
}

/// A look that began before may be recorded after, and is no word about the picture that is shown now.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_ends_while_the_replaced_picture_is_looked_for_does_not_bring_it_back() {
    let fleet = Fleet::start().await;
    let mut told = fleet.listen_to_pictures().await;
    let url = fleet.picture("/1.jpg");
    let inventory = || scrape("dealer", vec![listed(&url)]);
    fleet.tag(&inventory()).await;
    fleet.origin.put("/1.jpg", Response::Status(404));
    fleet.execute("UPDATE image_tags SET tagged_at = now() + interval '1 minute'").await;

    assert_eq!(replaced(&fleet, &mut told, listed(&url)).await.outcome, "skipped");

    assert_eq!(fleet.count("SELECT count(*) FROM image_tags").await, 0);
    assert_eq!(fleet.tag(&inventory()).await.outcomes["skipped"], 1);
    fleet.end().await;
}

/// The old picture may be so slow that the new one was asked for, and could not be had, before it has come.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_the_old_picture_that_ends_after_that_at_the_new_one_is_not_kept() {
    let fleet = Fleet::start().await;
    let mut told = fleet.listen_to_pictures().await;
    let (old, url) = (jpeg(), fleet.origin.url("/1.jpg"));
    let bytes_per_second = old.len() as u64 / 3;
    fleet.origin.put("/1.jpg", Response::SlowBody { body: old.into(), bytes_per_second });
    let inventory = || scrape("dealer", vec![listed(&url)]);
    let first = inventory();
    fleet.publish(&first).await;
    fleet.requested("/1.jpg", 1).await;
    fleet.origin.put("/1.jpg", Response::Status(404));

    assert_eq!(replaced(&fleet, &mut told, listed(&url)).await.outcome, "skipped");

    assert_eq!(fleet.announced(&first.scrape_id).await.outcomes["inferred"], 1, "it came later");
    assert_eq!(fleet.count("SELECT count(*) FROM image_tags").await, 0);
    assert_eq!(fleet.tag(&inventory()).await.outcomes["skipped"], 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_replaced_in_many_listings_is_asked_for_once() {
    let fleet = Fleet::start().await;
    let mut told = fleet.listen_to_pictures().await;
    let url = fleet.picture("/1.jpg");
    let shown = |n: usize| ListedImage { listing_id: Some(format!("car-{n}")), ..listed(&url) };
    fleet.tag(&scrape("dealer", (0..20).map(shown).collect())).await;
    fleet.picture("/1.jpg");
    let changes: Vec<_> = (0..20).map(|n| changed("dealer", Change::Replaced, shown(n))).collect();

    fleet.publish_changes(&changes).await;

    let different = told.different(20).await;
    let tags = &different[0].tags;
    assert!(different.iter().all(|tagged| tagged.tags == *tags), "{different:?}");
    let scrapes = fleet.count("SELECT count(*) FROM scrapes WHERE state IN ('changing', 'changed')").await;
    assert!(fleet.origin.requests("/1.jpg") <= 1 + scrapes.unsigned_abs(), "once for each micro-scrape");
    fleet.end().await;
}

/// What a job was told goes with it wherever it goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_replaced_is_tagged_anew_after_retries() {
    let settings = vec![("TAGFLEET__BROKER__RETRY_DELAYS", vec!["200ms"; 40].join(","))];
    let fleet = Fleet::with(Options { settings, ..Options::default() }).await;
    let mut told = fleet.listen_to_pictures().await;
    let url = fleet.picture("/1.jpg");
    fleet.tag(&scrape("dealer", vec![listed(&url)])).await;
    fleet.origin.put("/1.jpg", Response::Status(503));
    fleet.publish_changes(&[changed("dealer", Change::Replaced, listed(&url))]).await;
    fleet.requested("/1.jpg", 2).await;
    fleet.picture("/1.jpg");

    assert_eq!(told.next().await.outcome, "inferred");
    assert_eq!(fleet.count(BYTES).await, 1);
    fleet.end().await;
}

/// Nor does it end with the tags of the picture before where its worker dies.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_replaced_is_tagged_anew_when_its_worker_dies() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let mut told = fleet.listen_to_pictures().await;
    let url = fleet.picture("/1.jpg");
    let first = fleet.spawn_worker();
    fleet.tag(&scrape("dealer", vec![listed(&url)])).await;
    fleet.origin.put("/1.jpg", Response::Stall);
    fleet.publish_changes(&[changed("dealer", Change::Replaced, listed(&url))]).await;
    fleet.requested("/1.jpg", 2).await;
    first.kill();
    fleet.picture("/1.jpg");
    let second = fleet.spawn_worker();

    assert_eq!(told.next().await.outcome, "inferred");
    assert!(second.terminate().await);
    fleet.end().await;
}

/// Two changes of one picture, and a slow host: the one that was looked at last counts.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_pictures_in_a_row_the_later_stays_whichever_is_tagged_first() {
    let fleet = Fleet::with(Options { workers: 2, ..Options::default() }).await;
    let mut told = fleet.listen_to_pictures().await;
    let url = fleet.picture("/1.jpg");
    fleet.tag(&scrape("dealer", vec![listed(&url)])).await;
    for _ in 0..5 {
        fleet.picture("/1.jpg");
        fleet.publish_changes(&[changed("dealer", Change::Replaced, listed(&url))]).await;
        let open = "SELECT count(*) FROM image_changes WHERE scrape IS NULL";
        eventually("it is gathered", || async { (fleet.count(open).await == 0).then_some(()) }).await;
    }
    let last = jpeg();
    fleet.origin.put("/1.jpg", Response::jpeg(last.clone()));
    let event = changed("dealer", Change::Replaced, listed(&url));
    let at = event.changed_at.as_microsecond();
    fleet.publish_changes(&[event]).await;
    while told.next().await.changed_at.as_microsecond() != at {}

    fleet.origin.put("/same.jpg", Response::jpeg(last));
    let same = scrape("dealer", vec![listed(fleet.origin.url("/same.jpg"))]);
    assert_eq!(fleet.tag(&same).await.outcomes["matched"], 1);
    fleet.end().await;
}
