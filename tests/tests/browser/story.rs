//! A picture's page: its fixes and its history.

use fantoccini::key::Key;
use tagfleet_tests::{Browser, Fleet, key};

use crate::inventory;

#[tokio::test(flavor = "multi_thread")]
async fn a_fix_is_withdrawn_and_an_entry_of_the_history_holds_again() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    let event = inventory("north", &fleet.pictures(1));
    fleet.tag(&event).await;
    let machine = fleet.rows(&event.scrape_id).await[0].tag("image_type").to_owned();
    browser.go("/images").await;
    browser.press(&key(Key::Home)).await;
    browser.press(&key(Key::Enter)).await;

    for (entries, value) in [(1, "Stock"), (2, "Placeholder")] {
        browser.until("document.getElementById('fix') !== null").await;
        browser.press("1").await;
        browser.press(value).await;
        browser.press(&key(Key::Escape)).await;
        browser.press("c1").await;
        becomes(&fleet, &browser, entries, value).await;
    }
    browser.press("w").await;
    becomes(&fleet, &browser, 3, &machine).await;
    browser.reads("Placeholder withdrawn").await;
    // Back to Stock, with the first entry of all.
    browser.click(".timeline li:last-child [data-row]").await;
    becomes(&fleet, &browser, 4, "Stock").await;
    browser.keep("history").await;
    assert_eq!(fleet.count("SELECT count(*) FROM fixes WHERE value = 'Stock'").await, 1);
    console.stop().await;
    fleet.end().await;
}

/// The page tells so many entries, and this value of the image type, which readers see as well.
async fn becomes(fleet: &Fleet, browser: &Browser, entries: usize, value: &str) {
    browser.until(&format!("document.querySelectorAll('.timeline li').length === {entries}")).await;
    browser
        .until(&format!(
            "[...document.querySelectorAll('[aria-labelledby=values] tr')].some((row) => row.cells[1].innerText === 'image_type' && row.cells[2].innerText === '{value}')"
        ))
        .await;
    let sql = format!("SELECT count(*) FROM tagged_images WHERE tags ->> 'image_type' = '{value}'");
    assert_eq!(fleet.count(&sql).await, 1);
}
