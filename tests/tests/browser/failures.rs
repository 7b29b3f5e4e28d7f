//! Engineers look at what does not go on.

use fantoccini::key::Key;
use tagfleet_tests::{Browser, Fleet, Options, key};

use crate::inventory;

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_scrape_is_told_and_followed_until_it_is_tagged() {
    let settings = vec![("TAGFLEET__SCRAPES__STUCK_AFTER", "1s".into())];
    let mut fleet = Fleet::with(Options { workers: 0, settings, ..Options::default() }).await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    let urls = fleet.pictures(5);
    let event = inventory("north", &urls);
    browser.go("/scrapes").await;
    fleet.publish(&event).await;

    // The page is not loaded again.
    browser.until("document.querySelector('.stuck, .word.warn')?.innerText === 'stuck'").await;
    browser.keep("stuck-in-the-list").await;
    browser.press("j").await;
    browser.press(&key(Key::Enter)).await;
    browser.reads("No image has come to its outcome").await;
    browser.keep("stuck").await;

    fleet.start_worker().await;
    browser.until("document.querySelector('#now')?.dataset.ended === ''").await;
    browser.until("document.querySelector('#now .word.good')?.innerText === 'tagged'").await;
    browser.reads("of 5").await;
    browser.keep("followed-until-tagged").await;
    console.stop().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_opened_and_dropped() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    fleet.publish_bytes(br#"{"scrape_id": "broken"}"#.to_vec()).await;
    tagfleet_tests::eventually("the event is dead", || async {
        (fleet.dead_letters().await == 1).then_some(())
    })
    .await;

    browser.go("/dead-letters").await;
    browser.press("j").await;
    browser.press(&key(Key::Enter)).await;
    browser.until("document.querySelector('[aria-label=Letters] a') !== null").await;
    browser.keep("dead-letters").await;
    browser.click("[aria-label=Letters] a").await;
    browser.reads("\"scrape_id\": \"broken\"").await;
    browser.keep("dead-letter").await;
    browser.press("x").await;
    browser.client.accept_alert().await.unwrap();

    browser.reads("There are none.").await;
    assert_eq!(fleet.dead_letters().await, 0);
    console.stop().await;
    fleet.end().await;
}
