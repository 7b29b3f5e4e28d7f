//! Known images that are due: their hosts are asked whether they have changed.

use tagfleet_loadtest::origin::Response;
use tagfleet_shared::events::{ScrapeFinished, ScrapeTagged};
use tagfleet_shared::fixes;
use tagfleet_shared::ids::ImageId;
use tagfleet_tests::{Fleet, Options, Row, eventually, get, jpeg, listed, metric, scrape};

use crate::poison::dies_of_every_picture;

const VALIDATED: &str = "SELECT count(*) FROM image_tags WHERE validated_at > now() - interval '1 minute'";
const FRESH: &str = "SELECT count(*) FROM image_tags WHERE tagged_at > now() - interval '1 minute'";

/// What was looked at an hour ago, or a little more, is due.
async fn fleet() -> Fleet {
    let settings = vec![("TAGFLEET__CACHE__REVALIDATE_AFTER", "1h".to_owned())];
    Fleet::with(Options { settings, ..Options::default() }).await
}

fn picture(etag: &'static str, last_modified: &'static str) -> Response {
    Response::Validated { etag, last_modified, body: jpeg().into() }
}

fn of(fleet: &Fleet, path: &str) -> ScrapeFinished {
    scrape("dealer", vec![listed(fleet.origin.url(path))])
}

async fn tag(fleet: &Fleet, path: &str) -> (ScrapeTagged, Row) {
    let event = of(fleet, path);
    let tagged = fleet.tag(&event).await;
    (tagged, fleet.rows(&event.scrape_id).await.remove(0))
}

/// Two hours later, for a worker that has seen nothing.
async fn two_hours_later(fleet: &mut Fleet) {
    fleet.workers.remove(0).stop().await;
    fleet
        .execute(
            "UPDATE image_tags SET tagged_at = tagged_at - interval '2 hours',
                                   validated_at = validated_at - interval '2 hours'",
        )
        .await;
    fleet.start_worker().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_due_is_renewed_where_its_host_says_that_it_is_unchanged() {
    for (etag, last_modified) in [("\"7\"", ""), ("", "Fri, 06 Nov 2026 08:49:37 GMT")] {
        let mut fleet = fleet().await;
        fleet.origin.put("/a.jpg", picture(etag, last_modified));
        let (_, first) = tag(&fleet, "/a.jpg").await;
        let sent = fleet.origin.bytes_sent();
        two_hours_later(&mut fleet).await;
        assert_eq!(fleet.count(VALIDATED).await, 0);

        let (tagged, second) = tag(&fleet, "/a.jpg").await;

        assert_eq!(tagged.outcomes["cached"], 1, "{:?}", tagged.outcomes);
        assert_eq!(second.tags, first.tags);
        assert_eq!((fleet.origin.requests("/a.jpg"), fleet.origin.bytes_sent()), (2, sent));
        assert_eq!((fleet.count(VALIDATED).await, fleet.count(FRESH).await), (1, 0));
        tag(&fleet, "/a.jpg").await;
        assert_eq!(fleet.origin.requests("/a.jpg"), 2, "it is not due for a while");
        fleet.end().await;
    }
}

/// Nor does it have to say anything of them: then they are sent, and compared.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_keep_their_tags() {
    let mut fleet = fleet().await;
    fleet.picture("/a.jpg");
    let (_, first) = tag(&fleet, "/a.jpg").await;
    // A row of an older worker, which knows nothing of all this.
    fleet
        .execute(
            "UPDATE image_tags SET validated_at = NULL, url_id = NULL, etag = NULL, last_modified = NULL",
        )
        .await;
    two_hours_later(&mut fleet).await;

    let (tagged, second) = tag(&fleet, "/a.jpg").await;

    assert_eq!(tagged.outcomes["cached"], 1, "{:?}", tagged.outcomes);
    assert_eq!(second.tags, first.tags);
    assert_eq!(fleet.origin.requests("/a.jpg"), 2);
    assert_eq!((fleet.count(VALIDATED).await, fleet.count(FRESH).await), (1, 0));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_bytes_are_tagged_anew_and_fixes_still_win() {
    let mut fleet = fleet().await;
    fleet.origin.put("/a.jpg", picture("\"1\"", ""));
    tag(&fleet, "/a.jpg").await;
    let image = ImageId::of(None, &fleet.origin.url("/a.jpg"));
    fleet
        .execute(&format!(
            "INSERT INTO fixes (image_id, attribute, value, fixed_by) VALUES ('{image}', 'color', 'mauve', 'test')"
        ))
        .await;
    fixes::apply(&fleet.database.pool, image).await.unwrap();
    let another = picture("\"2\"", "");
    fleet.origin.put("/a.jpg", another.clone());
    two_hours_later(&mut fleet).await;

    let (tagged, row) = tag(&fleet, "/a.jpg").await;

    assert_eq!(tagged.outcomes["inferred"], 1, "{:?}", tagged.outcomes);
    assert_eq!(row.tag("color"), "mauve");
    assert_eq!((fleet.count(VALIDATED).await, fleet.count(FRESH).await), (1, 1));
    // The next ones, from memory and from the database, know the new picture.
    assert_eq!(tag(&fleet, "/a.jpg").await.0.outcomes["cached"], 1);
    fleet.origin.put("/same.jpg", another);
    let (tagged, same) = tag(&fleet, "/same.jpg").await;
    assert_eq!(tagged.outcomes["matched"], 1, "{:?}", tagged.outcomes);
    assert_eq!(same.tag("image_type"), row.tag("image_type"));
    two_hours_later(&mut fleet).await;
    assert_eq!(tag(&fleet, "/a.jpg").await.0.outcomes["cached"], 1);
    assert_eq!(fleet.origin.requests("/a.jpg"), 3, "its new name was remembered");
    assert_eq!(fleet.count("SELECT count(*) FROM image_tags WHERE etag = '\"2\"'").await, 2);
    fleet.end().await;
}

/// Whatever keeps it: nothing gets worse.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_due_and_cannot_be_had_keeps_its_tags() {
    let mut fleet = fleet().await;
    let ways = [
        ("/gone.jpg", Response::Status(404)),
        ("/unwell.jpg", Response::Status(503)),
        ("/page.jpg", Response::jpeg(b"<!DOCTYPE html><html></html>".as_slice())),
        ("/broken.jpg", Response::jpeg([&[0xff, 0xd8, 0xff, 0xe0][..], &[7; 500]].concat())),
    ];
    let event = || scrape("dealer", ways.iter().map(|(path, _)| listed(fleet.origin.url(path))).collect());
    let (before, after) = (event(), event());
    ways.iter().for_each(|(path, _)| drop(fleet.picture(path)));
    fleet.tag(&before).await;
    ways.iter().for_each(|(path, way)| fleet.origin.put(path, way.clone()));
    two_hours_later(&mut fleet).await;

    let tagged = fleet.tag(&after).await;

    assert_eq!(tagged.outcomes["cached"], 4, "{:?}", tagged.outcomes);
    let tags = |rows: Vec<Row>| rows.into_iter().map(|row| row.tags).collect::<Vec<_>>();
    assert_eq!(tags(fleet.rows(&after.scrape_id).await), tags(fleet.rows(&before.scrape_id).await));
    assert_eq!(fleet.count(VALIDATED).await, 0, "they are due still");
    assert_eq!(fleet.count("SELECT count(*) FROM image_failures").await, 0);
    fleet.end().await;
}

/// A known image whose new picture is poison keeps its tags, and costs no other worker its decoders for
/// as long as what is known of it is taken for granted.
#[tokio::test(flavor = "multi_thread")]
async fn a_known_image_whose_new_picture_is_poison_is_let_alone_by_all_workers() {
    let mut fleet = fleet().await;
    fleet.origin.put("/a.jpg", picture("\"1\"", ""));
    let (_, first) = tag(&fleet, "/a.jpg").await;
    fleet.origin.put("/a.jpg", picture("\"2\"", ""));
    fleet.change("TAGFLEET__DECODERS__PROGRAM", dies_of_every_picture().to_str().unwrap());
    two_hours_later(&mut fleet).await;

    let (tagged, second) = tag(&fleet, "/a.jpg").await;

    assert_eq!(tagged.outcomes["cached"], 1, "{:?}", tagged.outcomes);
    assert_eq!(second.tags, first.tags);
    assert_eq!((fleet.count(VALIDATED).await, fleet.count(FRESH).await), (1, 0));
    fleet.workers.remove(0).stop().await;
    fleet.start_worker().await;
    assert_eq!(tag(&fleet, "/a.jpg").await.0.outcomes["cached"], 1);
    assert_eq!(fleet.origin.requests("/a.jpg"), 2, "another worker does not even ask for it");
    fleet.end().await;
}

/// An outage is not a failure, of a known image neither: its job is held until somebody can look.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_due_waits_through_an_outage_of_the_decoders() {
    let mut fleet = fleet().await;
    fleet.origin.put("/a.jpg", picture("\"1\"", ""));
    tag(&fleet, "/a.jpg").await;
    fleet.origin.put("/a.jpg", picture("\"2\"", ""));
    fleet.change("TAGFLEET__DECODERS__PROGRAM", "/bin/false");
    fleet.change("TAGFLEET__WORK__GRACE", "200ms");
    two_hours_later(&mut fleet).await;
    let event = of(&fleet, "/a.jpg");
    fleet.publish(&event).await;
    let held = "tagfleet_worker_outages_total{server=\"decoders\"}";
    eventually("its job is held", || async {
        let text = get(fleet.workers[0].admin, "/metrics").await.1;
        (metric(&text, held) > 0.0).then_some(())
    })
    .await;
    fleet.workers.remove(0).stop().await;
    fleet.change("TAGFLEET__DECODERS__PROGRAM", tagfleet_tests::program().to_str().unwrap());
    fleet.start_worker().await;

    assert_eq!(fleet.announced(&event.scrape_id).await.outcomes["inferred"], 1);
    fleet.end().await;
}

/// Many scrapes of one image ask for it once.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_in_memory_is_due_as_well() {
    let settings = vec![("TAGFLEET__CACHE__REVALIDATE_AFTER", "1ms".to_owned())];
    let fleet = Fleet::with(Options { settings, ..Options::default() }).await;
    fleet.origin.put("/a.jpg", picture("\"7\"", ""));
    tag(&fleet, "/a.jpg").await;

    for times in 2..=4 {
        let (tagged, _) = tag(&fleet, "/a.jpg").await;
        assert_eq!(tagged.outcomes["cached"], 1, "{:?}", tagged.outcomes);
        assert_eq!(fleet.origin.requests("/a.jpg"), times);
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_ever_due_unless_it_is_asked_for() {
    let mut fleet = Fleet::start().await;
    fleet.origin.put("/a.jpg", picture("\"7\"", ""));
    tag(&fleet, "/a.jpg").await;
    two_hours_later(&mut fleet).await;
    fleet.execute("UPDATE image_tags SET tagged_at = tagged_at - interval '10 years'").await;

    assert_eq!(tag(&fleet, "/a.jpg").await.0.outcomes["cached"], 1);
    assert_eq!(fleet.origin.requests("/a.jpg"), 1);
    assert_eq!(fleet.count("SELECT count(*) FROM image_tags WHERE etag IS NOT NULL").await, 0);
    fleet.end().await;
}
