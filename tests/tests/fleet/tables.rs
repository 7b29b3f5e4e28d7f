//! What the fleet does to its tables, and what the tables do not let anybody do.

use tagfleet_shared::events::{ListedImage, ScrapeFinished};
use tagfleet_shared::tags::Scores;
use tagfleet_tests::{Fleet, ModelFolder, Options, eventually, listed, post, scrape};
use tokio_postgres::Row;
use tokio_postgres::types::Json;

/// An image that ends without a download.
fn unreadable(i: usize) -> ListedImage {
    ListedImage { image_key: Some(format!("key-{i}")), ..listed("not a url") }
}

/// A plan that was made when the table was small must do for a large one.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_reads_the_rows_that_it_writes_and_no_others() {
    const IMAGES: usize = 5000;
    const READ: &str = "SELECT coalesce(sum(idx_tup_read), 0)::int8 FROM pg_stat_user_indexes
                         WHERE indexrelname LIKE 'scrape_images_%_pkey'";
    let fleet = Fleet::start().await;
    fleet.tag(&scrape("small", vec![unreadable(0)])).await;

    let tagged = fleet.tag(&scrape("large", (1..=IMAGES).map(unreadable).collect())).await;

    assert_eq!(tagged.outcomes["skipped"], IMAGES as u64);
    // Statistics come a little later than the rows.
    let read = eventually("the reads are counted", || async {
        let read = fleet.count(READ).await;
        (read >= IMAGES as i64).then_some(read)
    })
    .await;
    assert!(read < 2 * IMAGES as i64, "{read} rows were read to write {IMAGES}");
    fleet.end().await;
}

/// After an evening without a scheduler thousands of scrapes have ended at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_ended_scrapes_is_announced() {
    const SCRAPES: i64 = 3000;
    let fleet = Fleet::start().await;
    fleet
        .execute(&format!(
            "WITH ended AS (
                 INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, listed, published, published_at)
                 SELECT 's-' || n, 'a-' || n, 'bulk', 'tagging', now()::date, now(), 1, 1, now()
                   FROM generate_series(1, {SCRAPES}) n
              RETURNING key
             ) INSERT INTO scrape_progress (scrape, outcome, images) SELECT key, 'cached', 1 FROM ended"
        ))
        .await;

    eventually("all of them are announced", || async {
        let announced = fleet.count("SELECT count(*) FROM scrapes WHERE announced_at IS NOT NULL").await;
        (announced == SCRAPES).then_some(())
    })
    .await;
    assert_eq!(fleet.count("SELECT count(*) FROM scrape_progress").await, 0);
    fleet.end().await;
}

/// What `tagged_images` says of each image: outcome, scores, digest of its model set.
async fn spoken(fleet: &Fleet, event: &ScrapeFinished) -> Vec<(String, Option<Scores>, Option<String>)> {
    let client = fleet.database.pool.get().await.unwrap();
    let sql = "SELECT outcome, scores, digest FROM tagged_images WHERE scrape_id = $1 ORDER BY seq";
    let rows = client.query(sql, &[&event.scrape_id.0]).await.unwrap();
    let scores = |row: &Row| row.get::<_, Option<Json<Scores>>>(1).map(|Json(scores)| scores);
    rows.iter().map(|row| (row.get(0), scores(row), row.get(2))).collect()
}

/// How sure the models were is stored when they look at an image, and shown with
/// every row of it.
#[tokio::test(flavor = "multi_thread")]
async fn the_scores_of_an_image_are_stored_and_shown_fresh_and_cached() {
    let fleet = Fleet::start().await;
    let images = vec![listed(fleet.picture("/1.jpg")), listed(fleet.origin.url("/gone.jpg"))];
    let (first, second) = (scrape("dealer", images.clone()), scrape("dealer", images));
    fleet.tag(&first).await;
    fleet.tag(&second).await;

    let client = fleet.database.pool.get().await.unwrap();
    let Json(stored): Json<Scores> =
        client.query_one("SELECT scores FROM image_tags", &[]).await.unwrap().get(0);
    assert!(stored.0.contains_key("image_type"), "{stored:?}");
    assert!(stored.0.values().all(|score| (0.0..=1.0).contains(score)), "{stored:?}");
    for (event, outcome) in [(&first, "inferred"), (&second, "cached")] {
        let rows = spoken(&fleet, event).await;
        assert_eq!((rows[0].0.as_str(), rows[0].1.as_ref()), (outcome, Some(&stored)));
        assert_eq!((rows[1].0.as_str(), rows[1].1.as_ref()), ("skipped", None));
    }
    drop(client);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_model_sets_of_one_name_are_told_apart_by_their_digests() {
    let folder = ModelFolder::new("digests");
    let fleet = Fleet::with(Options { settings: vec![folder.setting()], ..Options::default() }).await;
    let first = scrape("dealer", vec![listed(fleet.picture("/1.jpg"))]);
    fleet.tag(&first).await;
    folder.change(|manifest| format!("{manifest}\n# Not the same bytes any more.\n"));
    assert_eq!(post(fleet.workers[0].admin, "/models/reload").await.0, 200);
    let second = scrape("dealer", vec![listed(fleet.picture("/2.jpg"))]);
    fleet.tag(&second).await;

    assert_eq!(fleet.count("SELECT count(DISTINCT model_set) FROM tagged_images").await, 1);
    let (before, after) = (spoken(&fleet, &first).await, spoken(&fleet, &second).await);
    assert!(before[0].2.is_some() && before[0].2 != after[0].2, "{before:?} {after:?}");
    assert_eq!(fleet.count("SELECT count(DISTINCT digest) FROM feed_images").await, 2);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_fixes_is_append_only() {
    let fleet = Fleet::start().await;
    let fix = "INSERT INTO fixes (image_id, attribute, value, fixed_by) VALUES (gen_random_uuid(), 'color', 'red', 'ann')";
    fleet.execute(fix).await;
    fleet.execute("UPDATE fixes SET value = 'blue', fixed_by = 'bob'").await;
    fleet.execute("DELETE FROM fixes").await;

    let client = fleet.database.pool.get().await.unwrap();
    let history = client
        .query("SELECT action, from_value, to_value, fixed_by FROM fix_history ORDER BY id", &[])
        .await
        .unwrap();
    let history: Vec<(String, Option<String>, Option<String>, String)> =
        history.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        history,
        [
            ("set".into(), None, text("red"), "ann".into()),
            ("set".into(), text("red"), text("blue"), "bob".into()),
            ("withdrawn".into(), text("blue"), None, "bob".into()),
        ]
    );
    for forbidden in
        ["UPDATE fix_history SET fixed_by = 'eve'", "DELETE FROM fix_history", "TRUNCATE fix_history"]
    {
        let error = client.batch_execute(forbidden).await.unwrap_err();
        assert_eq!(error.as_db_error().unwrap().message(), "fix_history is append-only", "{forbidden}");
    }
    drop(client);
    fleet.end().await;
}
