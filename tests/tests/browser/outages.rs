//! The console does not answer for a moment, to a page that is open.

use fantoccini::key::Key;
use tagfleet_tests::{Browser, Fleet, chord};

use crate::inventory;

const FIXED: &str = "document.querySelectorAll('.card .tag.fixed').length";

/// From here on the console does not answer this page; the page counts how often it asked.
async fn goes_away(browser: &Browser) {
    let away = "(window.asked = 0, window.reached = window.fetch,
        window.fetch = () => { window.asked++; return Promise.reject(new TypeError('away')); }, true)";
    browser.see(away).await;
}

async fn comes_back(browser: &Browser) {
    browser.see("(window.fetch = window.reached, true)").await;
}

/// And not one before it.
#[tokio::test(flavor = "multi_thread")]
async fn an_undo_that_fails_for_a_moment_is_done_the_next_time() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    fleet.tag(&inventory("north", &fleet.pictures(2))).await;
    browser.go("/images").await;
    for card in 1..=2 {
        browser.click("#clear").await;
        browser.click(&format!(".card:nth-child({card})")).await;
        browser.press("s").await;
        browser.until(&format!("{FIXED} === {card}")).await;
    }

    goes_away(&browser).await;
    browser.press(&chord(Key::Control, 'z')).await;
    browser.reads("The console does not answer").await;
    comes_back(&browser).await;
    browser.press(&chord(Key::Control, 'z')).await;

    browser.reads("Undone: 1 picture.").await;
    browser.until("document.querySelector('.card:nth-child(2) .tag.fixed') === null").await;
    browser.until("document.querySelector('.card:nth-child(1) .tag.fixed') !== null").await;
    console.stop().await;
    fleet.end().await;
}

/// What cannot be undone any more does not stand before what can.
#[tokio::test(flavor = "multi_thread")]
async fn an_undo_of_what_somebody_has_corrected_since_is_not_tried_again() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    fleet.tag(&inventory("north", &fleet.pictures(2))).await;
    browser.go("/images").await;
    for card in 1..=2 {
        browser.click("#clear").await;
        browser.click(&format!(".card:nth-child({card})")).await;
        browser.press("s").await;
        browser.until(&format!("{FIXED} === {card}")).await;
    }
    fleet
        .execute("UPDATE fixes SET value = 'Dealer', fixed_by = 'another' WHERE image_id = (SELECT image_id FROM scrape_images WHERE seq = 1)")
        .await;

    browser.press(&chord(Key::Control, 'z')).await;
    browser.reads("Changed since you saw it").await;
    browser.press(&chord(Key::Control, 'z')).await;

    browser.reads("Undone: 1 picture.").await;
    assert_eq!(fleet.count("SELECT count(*) FROM fixes WHERE value = 'Dealer'").await, 1);
    assert_eq!(fleet.count("SELECT count(*) FROM fixes").await, 1);
    console.stop().await;
    fleet.end().await;
}
