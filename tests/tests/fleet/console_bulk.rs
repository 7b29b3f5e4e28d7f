//! Many images are corrected at once, and of all of them one has changed.

use serde_json::{Value, json};
use tagfleet_shared::ids::ImageId;
use tagfleet_tests::{Fleet, Options};
use uuid::Uuid;

use crate::console_fixes::EDITOR;

const IMAGES: usize = 200;

/// A fleet without workers that lists so many images, whose models know red and blue; the images.
async fn fleet() -> (Fleet, Vec<Uuid>) {
    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, ..Options::default() }).await;
    fleet
        .execute(&format!(
            "SELECT ensure_partition(now()::date);
             INSERT INTO model_sets (digest, name, attributes, loaded_at)
             VALUES ('d', 'd', '[{{\"name\": \"color\", \"classes\": [\"red\", \"blue\"], \"default\": null}}]', now());
             INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, listed)
             VALUES ('s', 'dealer', 'express', 'tagged', now()::date, now(), {IMAGES});
             INSERT INTO scrape_images (day, scrape, seq, image_id, url, outcome, tags)
             SELECT now()::date, s.key, n, gen_random_uuid(), 'http://img.test/' || n, 'inferred', '{{\"color\": null}}'
               FROM scrapes s, generate_series(1, {IMAGES}) n"
        ))
        .await;
    let client = fleet.database.pool.get().await.unwrap();
    let rows = client.query("SELECT image_id FROM scrape_images ORDER BY seq", &[]).await.unwrap();
    drop(client);
    (fleet, rows.iter().map(|row| row.get(0)).collect())
}

/// Whoever corrects two hundred is told which one somebody else has corrected meanwhile, and nothing is written: of that
/// image, and of no other.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_images_the_one_that_has_changed_is_named_and_none_is_corrected() {
    let (fleet, images) = fleet().await;
    let console = fleet.start_console().await;
    let (ann, bob) = (console.caller(&EDITOR).await, console.caller(&EDITOR).await);
    // Nobody has corrected any of them, and no models have seen their bytes.
    let mut seen: Vec<_> =
        images.iter().map(|image| json!({ "image_id": image, "version": "0.0" })).collect();
    let corrects = async |seen: &[Value]| {
        let (verdict, scope) = (json!({ "set": "red" }), json!({ "advertiser": "dealer" }));
        let bulk = json!({ "images": seen, "attribute": "color", "verdict": verdict, "scope": scope });
        ann.post("/v1/fixes/bulk", bulk).await
    };
    let with = async |color: &str| {
        fleet.count(&format!("SELECT count(*) FROM scrape_images WHERE tags ->> 'color' = '{color}'")).await
    };
    let changed = images[137];
    bob.fix(ImageId(changed), "dealer", Some("blue")).await.expect(201);

    let problem = corrects(&seen).await.expect(409);

    assert_eq!(problem["detail"], json!(format!("changed since you saw it: {changed}; nothing was written")));
    assert_eq!((with("red").await, with("blue").await), (0, 1));
    let written = "SELECT count(*) FROM fixes WHERE value = 'red'";
    let noted = "SELECT count(*) FROM fix_history";
    assert_eq!((fleet.count(written).await, fleet.count(noted).await), (0, 1), "bob's is the only one");

    // The same without it, and they are all corrected.
    seen.retain(|image| image["image_id"] != json!(changed));
    let entries = corrects(&seen).await.expect(200)["entries"].clone();
    assert_eq!(entries.as_array().unwrap().len(), IMAGES - 1);
    assert_eq!((with("red").await, with("blue").await), (i64::try_from(IMAGES - 1).unwrap(), 1));
    console.stop().await;
    fleet.end().await;
}
