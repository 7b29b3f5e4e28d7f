//! What is done again and again about all that the tables hold: its cost does not grow with them.

use std::time::Duration;

use tagfleet_scheduler::store::{self, Client, Told};
use tagfleet_shared::events::Change;
use tagfleet_tests::{Fleet, Options, changed, eventually, listed};

/// Scrapes that ended long ago, of each kind: more than are forgotten in one piece.
const OLD: i64 = 5001;

/// A fleet of tables alone.
async fn nobody() -> Fleet {
    Fleet::with(Options { schedulers: 0, workers: 0, ..Options::default() }).await
}

/// Old inventories, each superseded by the next, and old micro-scrapes with the changes that they were made of.
async fn fill(fleet: &Fleet) {
    fleet
        .execute(&format!(
            "INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, listed, announced_at)
             SELECT 's-' || n, 'a-' || n, 'bulk', 'tagged', now()::date - 40, now() - interval '40 days', 1, now() - interval '40 days'
               FROM generate_series(1, {OLD}) n;
             UPDATE scrapes SET superseded_by = key + 1 WHERE key < {OLD};
             INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, listed, announced_at)
             SELECT 'c-' || n, 'a-' || n, 'express', 'changed', now()::date - 40, now() - interval '40 days', 1, now() - interval '40 days'
               FROM generate_series(1, {OLD}) n;
             INSERT INTO image_changes (id, advertiser_id, image_id, change, changed_at, received_at, url, scrape)
             SELECT gen_random_uuid(), 'a-' || n, gen_random_uuid(), 'added', now(), now() - interval '40 days', '', n
               FROM generate_series(1, {OLD}) n"
        ))
        .await;
    fleet.execute("ANALYZE scrapes, image_changes").await;
}

/// Rows of `scrapes` that were read by whoever read all of them, as far as this connection goes.
async fn read_in_full(client: &Client, fleet: &Fleet) -> i64 {
    client.batch_execute("SELECT pg_stat_force_next_flush()").await.unwrap();
    client.batch_execute("SELECT 1").await.unwrap();
    fleet.count("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'scrapes'").await
}

#[tokio::test(flavor = "multi_thread")]
async fn old_changes_are_forgotten_a_piece_at_a_time_whoever_else_is_in_the_tables() {
    let fleet = nobody().await;
    fill(&fleet).await;
    let client = fleet.database.pool.get().await.unwrap();
    let before = read_in_full(&client, &fleet).await;

    assert!(store::forget_old_changes(&client, 30).await.unwrap(), "there is more than a piece");
    assert!(!store::forget_old_changes(&client, 30).await.unwrap());

    let read = read_in_full(&client, &fleet).await - before;
    assert!(read < 10 * OLD, "{read} rows were read: for each that goes, all others");
    assert_eq!(fleet.count("SELECT count(*) FROM image_changes").await, 0);
    assert_eq!(fleet.count("SELECT count(*) FROM scrapes WHERE state = 'changed'").await, 0);
    assert_eq!(fleet.count("SELECT count(*) FROM scrapes").await, OLD, "inventories stay");
    drop(client);
    fleet.end().await;
}

/// Whoever noted it has acknowledged the event: nobody would hear of the picture again.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_comes_while_the_one_before_is_forgotten_is_not_lost() {
    const WAITING: &str = "
        SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%DELETE FROM image_changes%'";
    let fleet = nobody().await;
    fleet
        .execute(
            "INSERT INTO image_changes (id, advertiser_id, image_id, change, changed_at, received_at, url, scrape)
             SELECT gen_random_uuid(), 'a', gen_random_uuid(), 'added', now(), now() - interval '40 days', '', n
               FROM generate_series(1, 3) n",
        )
        .await;
    let mut client = fleet.database.pool.get().await.unwrap();
    let noting = client.transaction().await.unwrap();
    noting
        .execute("UPDATE image_changes SET scrape = NULL, received_at = now() WHERE scrape = 2", &[])
        .await
        .unwrap();
    let pool = fleet.database.pool.clone();
    let forgetting =
        tokio::spawn(async move { store::forget_old_changes(&pool.get().await.unwrap(), 30).await });
    eventually("the row is waited for", || async {
        // Or a transaction sees the same activity again and again.
        noting.batch_execute("SELECT pg_stat_clear_snapshot()").await.unwrap();
        (noting.query_one(WAITING, &[]).await.unwrap().get::<_, i64>(0) == 1).then_some(())
    })
    .await;

    noting.commit().await.unwrap();

    forgetting.await.unwrap().unwrap();
    let left =
        ["", " WHERE scrape IS NULL"].map(|which| format!("SELECT count(*) FROM image_changes{which}"));
    assert_eq!((fleet.count(&left[0]).await, fleet.count(&left[1]).await), (1, 1));
    drop(client);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_failures_are_forgotten_a_piece_at_a_time_and_those_that_count_are_not() {
    let fleet = nobody().await;
    fleet
        .execute(&format!(
            "INSERT INTO image_failures (image_id, outcome, reason, until)
             SELECT gen_random_uuid(), 'skipped', 'gone', now() - interval '1 day' FROM generate_series(1, {OLD});
             INSERT INTO image_failures (image_id, outcome, reason, until)
             VALUES (gen_random_uuid(), 'skipped', 'gone', now() + interval '1 day')"
        ))
        .await;
    let client = fleet.database.pool.get().await.unwrap();

    assert!(store::forget_old_failures(&client).await.unwrap(), "there is more than a piece");
    assert!(!store::forget_old_failures(&client).await.unwrap());

    assert_eq!(fleet.count("SELECT count(*) FROM image_failures").await, 1);
    drop(client);
    fleet.end().await;
}

/// Another scrape of the day is not tagged yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_micro_scrape_is_not_forgotten_before_its_images_are() {
    let fleet = nobody().await;
    fleet
        .execute(
            "SELECT ensure_partition(now()::date - 40);
             INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at)
             SELECT 'c-' || n, 'a', 'express', 'changed', now()::date - n, now() FROM generate_series(40, 41) n",
        )
        .await;
    let client = fleet.database.pool.get().await.unwrap();

    store::forget_old_changes(&client, 30).await.unwrap();

    assert_eq!(fleet.count("SELECT (now()::date - min(day))::int8 FROM scrapes").await, 40);
    drop(client);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_picture_is_not_forgotten_while_the_memory_of_workers_may_be_out_of_date() {
    let fleet = nobody().await;
    fleet
        .execute(
            "INSERT INTO image_changes (id, advertiser_id, image_id, change, changed_at, received_at, replaced_at, url, scrape)
             SELECT gen_random_uuid(), 'a', gen_random_uuid(), 'replaced', at, at, at, '', 1
               FROM (SELECT now() - hours * interval '1 hour' AS at FROM unnest('{40, 50}'::int[]) hours) t",
        )
        .await;
    let client = fleet.database.pool.get().await.unwrap();

    store::forget_old_changes(&client, 1).await.unwrap();

    let kept = "SELECT count(*) FROM image_changes WHERE replaced_at > now() - interval '48 hours'";
    assert_eq!((fleet.count("SELECT count(*) FROM image_changes").await, fleet.count(kept).await), (1, 1));
    drop(client);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gauges_status_and_housekeeping_read_open_and_recent_scrapes_and_no_others() {
    let fleet = nobody().await;
    fill(&fleet).await;
    let client = fleet.database.pool.get().await.unwrap();
    // A partition to look at.
    client.batch_execute("SELECT ensure_partition(now()::date - 31)").await.unwrap();
    let before = read_in_full(&client, &fleet).await;

    store::standing(&client, Duration::from_secs(1), &[]).await.unwrap();
    store::recent(&client, Duration::from_secs(1)).await.unwrap();
    store::kept_for(&client, 30).await.unwrap();
    assert_eq!(store::drop_old_partitions(&client, 30).await.unwrap(), 1);

    assert_eq!(read_in_full(&client, &fleet).await, before);
    client.batch_execute("SELECT sum(listed) FROM scrapes").await.unwrap();
    assert!(read_in_full(&client, &fleet).await > before, "this does, and is seen");
    drop(client);
    fleet.end().await;
}

/// What came late is old by then, and a busy fleet has many that came after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_that_ended_or_was_swept_within_the_hour_counts_however_many_came_after_it() {
    let fleet = nobody().await;
    fleet
        .execute(
            "SELECT ensure_partition(now()::date);
             INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, received_at, listed, tagged_at, announced_at, swept_at)
             VALUES ('late', 'a', 'standard', 'tagged', now()::date, now(), now() - interval '2 hours', 1, now(), now(), now());
             INSERT INTO scrape_images (day, scrape, seq, image_id, url, outcome, recorded_at)
             SELECT day, key, 0, gen_random_uuid(), '', 'cached', now() FROM scrapes;
             INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, listed, tagged_at, announced_at)
             SELECT 'c-' || n, 'a', 'express', 'changed', now()::date, now(), 1, now(), now() FROM generate_series(1, 12000) n",
        )
        .await;
    let client = fleet.database.pool.get().await.unwrap();

    let recent = store::recent(&client, Duration::from_secs(600)).await.unwrap();

    assert_eq!((recent.hour.images, recent.hour.late, recent.swept), (12_001, 1, 1));
    drop(client);
    fleet.end().await;
}

/// Micro-scrapes of so many pictures that have their outcome.
async fn tagged(fleet: &Fleet, sizes: &[i32]) {
    fleet.execute("SELECT ensure_partition(now()::date)").await;
    for size in sizes {
        fleet
            .execute(&format!(
                "WITH s AS (
                     INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, listed, published_at)
                     VALUES (gen_random_uuid(), 'a', 'express', 'changing', now()::date, now(), {size}, now())
                     RETURNING *
                 ), i AS (
                     INSERT INTO scrape_images (day, scrape, seq, image_id, url, outcome, recorded_at, change, changed_at)
                     SELECT day, key, n, gen_random_uuid(), '', 'cached', now(), 'added', now()
                       FROM s, generate_series(1, {size}) n
                 )
                 INSERT INTO scrape_progress (scrape, outcome, images) SELECT key, 'cached', 1 FROM s, generate_series(1, {size})"
            ))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_most_so_many_pictures_are_announced_at_once() {
    let fleet = nobody().await;
    tagged(&fleet, &[6, 6]).await;
    let mut client = fleet.database.pool.get().await.unwrap();
    for expected in [vec![6, 4], vec![2], vec![]] {
        let transaction = client.transaction().await.unwrap();

        let told = store::untold(&transaction, 10).await.unwrap();

        assert_eq!(told.iter().map(|told: &Told| told.images.len()).collect::<Vec<_>>(), expected);
        store::mark_told(&transaction, &told).await.unwrap();
        transaction.commit().await.unwrap();
    }
    assert_eq!(
        fleet.count("SELECT count(*) FROM scrapes WHERE state = 'changed' AND announced = 6").await,
        2
    );
    drop(client);
    fleet.end().await;
}

/// However many micro-scrapes of one picture each have come to their outcomes since somebody looked last.
#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_tagged_is_announced_before_the_next_wait() {
    let settings = vec![("TAGFLEET__ANNOUNCE__EVERY", "1h".to_owned())];
    let mut fleet = Fleet::with(Options { schedulers: 0, workers: 0, settings, ..Options::default() }).await;
    tagged(&fleet, &[1; 2 * store::TOLD_AT_ONCE + 1]).await;

    fleet.start_scheduler().await;

    let open = "SELECT count(*) FROM scrapes WHERE announced_at IS NULL";
    eventually("all are announced", || async { (fleet.count(open).await == 0).then_some(()) }).await;
    fleet.end().await;
}

/// A slow host may keep its last picture for hours, and the rows are summed up several times a second.
#[tokio::test(flavor = "multi_thread")]
async fn the_progress_of_a_micro_scrape_in_work_is_folded() {
    let mut fleet = nobody().await;
    tagged(&fleet, &[40]).await;
    fleet.execute("UPDATE scrapes SET listed = 41").await;
    fleet.start_scheduler().await;

    let rows = "SELECT count(*) FROM scrape_progress";
    eventually("it is folded", || async { (fleet.count(rows).await == 1).then_some(()) }).await;

    assert_eq!(fleet.count("SELECT sum(images) FROM scrape_progress").await, 40);
    eventually("all of them are announced", || async {
        (fleet.count("SELECT announced::int8 FROM scrapes").await == 40).then_some(())
    })
    .await;
    assert_eq!(fleet.count("SELECT count(*) FROM scrapes WHERE state = 'changing'").await, 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn announcing_pictures_keeps_nobody_from_gathering_what_has_changed_since() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let mut told = fleet.listen_to_pictures().await;
    let change = || changed("dealer", Change::Added, listed("http://img.test/1.jpg"));
    let published = |count| {
        let fleet = &fleet;
        async move {
            let sql = "SELECT count(*) FROM scrapes WHERE published_at IS NOT NULL";
            eventually("their jobs are published", || async {
                (fleet.count(sql).await == count).then_some(())
            })
            .await;
        }
    };
    fleet.publish_changes(&[change()]).await;
    published(1).await;
    fleet.execute("UPDATE scrape_images SET outcome = 'skipped', recorded_at = now()").await;
    let mut client = fleet.database.pool.get().await.unwrap();
    let held = client.transaction().await.unwrap();
    held.execute("SELECT FROM scrape_images FOR UPDATE", &[]).await.unwrap();
    fleet
        .execute(
            "INSERT INTO scrape_progress (scrape, outcome, images) SELECT key, 'skipped', 1 FROM scrapes",
        )
        .await;
    // What has been announced cannot be noted.
    told.next().await;

    fleet.publish_changes(&[change()]).await;
    published(2).await;

    held.rollback().await.unwrap();
    drop(client);
    fleet.abandon().await;
}
