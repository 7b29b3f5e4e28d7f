//! The loops of a scheduler, while one of them is kept waiting or comes to its end.

use std::pin::pin;

use tagfleet_tests::{Fleet, Options, eventually, get, listed, metric, scrape};

/// In a panic, perhaps: nothing is left in the hands of nobody, and `/readyz` tells the truth.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_drops_a_consumer_consumes_no_more_and_what_it_held_goes_back() {
    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, ..Options::default() }).await;
    let queue = fleet.broker.topology().finished_queue();
    for n in 0..3 {
        fleet.publish(&scrape(&format!("dealer-{n}"), Vec::new())).await;
    }
    let mut consumer = fleet.broker.consume(queue.clone(), 10);
    let receiving = consumer.is_receiving();
    let held = consumer.next().await;
    assert!(receiving.load(std::sync::atomic::Ordering::Relaxed));

    drop((held, consumer));

    eventually("all of them are back", || async {
        (fleet.broker.depth(&queue).await.unwrap() == (3, 0)).then_some(())
    })
    .await;
    assert!(!receiving.load(std::sync::atomic::Ordering::Relaxed));
    fleet.abandon().await;
}

/// A scrape of one image, which had its outcome two hours after the event.
async fn ended_late(fleet: &Fleet) {
    fleet
        .execute(
            "WITH s AS (
                 INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, received_at, listed, published, published_at)
                 VALUES (gen_random_uuid(), 'a', 'standard', 'tagging', now()::date, now(), now() - interval '2 hours', 1, 1, now())
                 RETURNING key
             ) INSERT INTO scrape_progress (scrape, outcome, images) SELECT key, 'cached', 1 FROM s",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_of_late_images_holds_up_no_announcement() {
    const LATE: &str = "tagfleet_scheduler_images_tagged_total{in_time=\"no\",lane=\"standard\"}";
    let settings = vec![("TAGFLEET__DATABASE__STATEMENT_TIMEOUT", "10m".to_owned())];
    let fleet = Fleet::with(Options { workers: 0, settings, ..Options::default() }).await;
    let announced = |count| {
        let fleet = &fleet;
        async move {
            let sql = "SELECT count(*) FROM scrapes WHERE announced_at IS NOT NULL";
            eventually("they are announced", || async { (fleet.count(sql).await == count).then_some(()) })
                .await;
        }
    };
    let today =
        "SELECT count(*) FROM pg_class WHERE relname = 'scrape_images_' || to_char(now(), 'YYYYMMDD')";
    eventually("there is a partition for today", || async { (fleet.count(today).await == 1).then_some(()) })
        .await;
    let mut client = fleet.database.pool.get().await.unwrap();
    let held = client.transaction().await.unwrap();
    held.execute("LOCK TABLE scrape_images", &[]).await.unwrap();
    ended_late(&fleet).await;
    announced(1).await;
    let waiting = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%news.late%'";
    eventually("it is counted", || async { (fleet.count(waiting).await == 1).then_some(()) }).await;

    ended_late(&fleet).await;
    announced(2).await;

    held.execute(
        "INSERT INTO scrape_images (day, scrape, seq, image_id, url, outcome, recorded_at)
         SELECT day, key, 0, gen_random_uuid(), '', 'cached', now() FROM scrapes",
        &[],
    )
    .await
    .unwrap();
    held.commit().await.unwrap();
    eventually("both of them are counted", || async {
        (metric(&get(fleet.schedulers[0].admin, "/metrics").await.1, LATE) == 2.0).then_some(())
    })
    .await;
    drop(client);
    fleet.end().await;
}

/// Every loop waits for the database, or keeps its connection while the broker keeps it waiting.
#[tokio::test(flavor = "multi_thread")]
async fn readiness_tells_the_truth_while_no_connection_is_free() {
    let settings = [
        ("TAGFLEET__DATABASE__POOL_SIZE", "7"),
        ("TAGFLEET__FAN_OUT__SCRAPES_AT_ONCE", "1"),
        ("TAGFLEET__SWEEP__EVERY", "100ms"),
    ];
    let settings = settings.map(|(name, value)| (name, value.to_owned())).into();
    let fleet = Fleet::with(Options { workers: 0, settings, ..Options::default() }).await;
    let mut client = fleet.database.pool.get().await.unwrap();
    let held = client.transaction().await.unwrap();
    held.execute("LOCK TABLE scrapes", &[]).await.unwrap();
    fleet.publish(&scrape("dealer", vec![listed("http://img.test/1.jpg")])).await;
    let waiting = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("no connection is free", || async { (fleet.count(waiting).await == 7).then_some(()) }).await;

    let admin = fleet.schedulers[0].admin;
    eventually("it is ready", || async { (get(admin, "/readyz").await.0 == 200).then_some(()) }).await;
    assert_eq!(fleet.count(waiting).await, 7, "and no connection was free");
    held.rollback().await.unwrap();
    drop(client);
    fleet.abandon().await;
}

/// A migration is tried again until it gets its turn: whoever waits for a table keeps everybody waiting who comes
/// after.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_does_not_wait_in_line_for_a_table_that_is_in_use() {
    use tagfleet_shared::db::{self, DatabaseConfig};

    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, ..Options::default() }).await;
    fleet.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
    let config = DatabaseConfig {
        url: fleet.database.url.clone().into(),
        pool_size: 1,
        timeout: tagfleet_tests::PATIENCE,
        statement_timeout: tagfleet_tests::PATIENCE,
    };
    let pool = db::pool(&config).unwrap();
    let mut client = fleet.database.pool.get().await.unwrap();
    let held = client.transaction().await.unwrap();
    // What the first migration makes is being made by somebody else.
    held.execute("CREATE TABLE model_sets ()", &[]).await.unwrap();
    let waits = |waits: bool| {
        let fleet = &fleet;
        async move {
            let sql = "SELECT count(*) FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event_type = 'Lock'";
            eventually(&format!("it waits: {waits}"), || async {
                (fleet.count(sql).await == i64::from(waits)).then_some(())
            })
            .await;
        }
    };
    let migrating = pin!(db::migrate(&pool));
    let looking = async {
        waits(true).await;
        waits(false).await;
        held.rollback().await.unwrap();
    };

    let (migrated, ()) = tokio::join!(migrating, looking);

    migrated.unwrap();
    assert_eq!(fleet.count("SELECT count(*) FROM model_sets").await, 0);
    drop(client);
    fleet.end().await;
}
