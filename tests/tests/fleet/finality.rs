//! A person's fix is final, in a short race; `tagfleet-loadtest fixes` runs long ones.

use tagfleet_loadtest::fixes::{Race, race};
use tagfleet_tests::{Services, TestDatabase};

async fn raced(operations: u64, plant: bool) -> (u64, Vec<String>) {
    let database = TestDatabase::create(&Services::shared().database_url).await;
    let counts = race(&database.url, Race { operations, seed: 7, plant }).await.unwrap();
    assert!(counts.operations() >= operations);
    (counts.violations(), counts.told())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_machine_undoes_a_fix_however_they_race() {
    assert_eq!(raced(20_000, false).await, (0, Vec::new()));
}

/// The checker finds what it is for.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_lost_its_fix_is_found() {
    let (violations, told) = raced(1, true).await;
    assert!(violations >= 1);
    assert!(told[0].contains("and not one of"), "{told:?}");
}
