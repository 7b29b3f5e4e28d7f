//! Pictures that an advertiser takes away, and about which a person or the advertiser has spoken: what they said
//! holds whatever comes first.

use tagfleet_shared::events::{Change, ListedImage};
use tagfleet_shared::fixes::{self, Correction, Place, Verdict};
use tagfleet_shared::ids::ImageId;
use tagfleet_shared::tags::Tags;
use tagfleet_tests::{Fleet, changed, eventually, listed, scrape};
use tokio_postgres::Transaction;

async fn fix(fleet: &Fleet, url: &str) {
    let correction = Correction {
        images: &[ImageId::of(None, url)],
        place: Place { advertiser: "dealer", attribute: "color" },
        verdict: Verdict::Set(Some("mauve")),
        by: "test",
        note: None,
    };
    fixes::fix(&fleet.database.pool, &correction).await.unwrap();
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(attribute, value)| (*attribute, Some(*value))).collect()
}

/// `tags`, `base` and `fix` of the row that tells of the removal.
async fn row(fleet: &Fleet, url: &str) -> [Option<String>; 3] {
    const SQL: &str =
        "SELECT tags::text, base::text, fix::text FROM scrape_images WHERE url = $1 AND change = 'removed'";
    let client = fleet.database.pool.get().await.unwrap();
    let row = client.query_one(SQL, &[&url]).await.unwrap();
    [0, 1, 2].map(|column| row.get(column))
}

/// Whether so many wait for somebody's lock, as one who holds it sees it: the pool has no connection to spare.
async fn waiting(held: &Transaction<'_>, least: i64) -> Option<()> {
    const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
                            WHERE datname = current_database() AND wait_event_type = 'Lock'";
    // A transaction sees this table as it was at first, if it is not told.
    held.execute("SELECT pg_stat_clear_snapshot()", &[]).await.unwrap();
    let waiting: i64 = held.query_one(WAITING, &[]).await.unwrap().get(0);
    (waiting >= least).then_some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_removed_has_what_was_configured_and_fixed_in_whatever_order() {
    let fleet = Fleet::start().await;
    let mut told = fleet.listen_to_pictures().await;
    let [before, after] = ["/before.jpg", "/after.jpg"].map(|path| fleet.picture(path));
    let removed = |url: &str| {
        let configured = Some(tags(&[("color", "red"), ("image_type", "interior")]));
        changed("dealer", Change::Removed, ListedImage { configured, ..listed(url.to_owned()) })
    };

    fix(&fleet, &before).await;
    fleet.publish_changes(&[removed(&before)]).await;
    let fixed = told.next().await;
    fleet.publish_changes(&[removed(&after)]).await;
    let configured = told.next().await;
    fix(&fleet, &after).await;

    assert_eq!(fixed.tags, tags(&[("color", "mauve"), ("image_type", "interior")]));
    assert_eq!(configured.tags, tags(&[("color", "red"), ("image_type", "interior")]));
    assert_eq!(row(&fleet, &before).await, row(&fleet, &after).await);
    assert!(row(&fleet, &before).await.iter().all(Option::is_some));
    fleet.end().await;
}

/// A pass cannot see a row that is not committed.
#[tokio::test(flavor = "multi_thread")]
async fn a_fix_that_is_committed_while_a_removal_is_written_is_in_its_row() {
    let fleet = Fleet::start().await;
    let mut told = fleet.listen_to_pictures().await;
    let url = fleet.picture("/1.jpg");
    fleet.tag(&scrape("dealer", vec![listed(url.clone())])).await;
    // The removal has to mark this row, after it has written its own.
    let mut holder = fleet.database.pool.get().await.unwrap();
    let held = holder.transaction().await.unwrap();
    held.execute("SELECT FROM scrape_images WHERE url = $1 FOR UPDATE", &[&url]).await.unwrap();
    fleet.publish_changes(&[changed("dealer", Change::Removed, listed(url.clone()))]).await;
    eventually("the removal waits", || waiting(&held, 1)).await;

    let release = async {
        eventually("the pass waits too", || waiting(&held, 2)).await;
        held.commit().await.unwrap();
    };
    tokio::join!(fix(&fleet, &url), release);

    assert_eq!(told.next().await.reason.as_deref(), Some("removed"));
    assert_eq!(row(&fleet, &url).await[0].as_deref(), Some(r#"{"color": "mauve"}"#));
    drop(holder);
    fleet.end().await;
}
