//! The console does not answer for a moment, to a page that is open.

use fantoccini::key::Key;
use tagfleet_tests::{Browser, Fleet, chord, key};

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

/// The end of the grid, in sight, asks once; a key asks again.
#[tokio::test(flavor = "multi_thread")]
async fn a_grid_does_not_ask_a_console_that_fails_again_and_again() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    fleet.tag(&inventory("north", &fleet.pictures(1))).await;
    fleet
        .execute(
            "INSERT INTO scrape_images (day, scrape, seq, image_id, url, outcome, tags, model_set, recorded_at)
             SELECT i.day, i.scrape, n, gen_random_uuid(), i.url || '?' || n, i.outcome, i.tags, i.model_set, now()
               FROM scrape_images i, generate_series(1, 149) AS n",
        )
        .await;
    browser.go("/images").await;
    browser.until("document.querySelectorAll('.card').length === 120").await;

    goes_away(&browser).await;
    browser.press(&key(Key::End)).await;
    browser.reads("The console does not answer").await;
    browser.see("(window.since = performance.now(), true)").await;
    browser.until("performance.now() - since > 1000").await;
    let asked = browser.see("asked").await.as_i64().unwrap();
    // By the key, and when the end came into sight.
    assert!((1..=2).contains(&asked), "asked {asked} times in a second");
    assert_eq!(browser.see("document.querySelectorAll('.card').length").await, 120);

    comes_back(&browser).await;
    browser.press("n").await;
    browser.until("document.querySelectorAll('.card').length === 150").await;
    console.stop().await;
    fleet.end().await;
}
