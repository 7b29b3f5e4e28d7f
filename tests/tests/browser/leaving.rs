//! People leave the grid, and come back.

use fantoccini::key::Key;
use serde_json::json;
use tagfleet_tests::{Browser, Fleet, Options, chord, fill_inventory, key};

use crate::inventory;
use crate::login::log_in;

const FIXES: &str = "SELECT count(*) FROM fixes";

/// A correction takes a while from here on: each waits until the page is told to go on.
async fn hold(browser: &Browser) {
    let hold = "(window.held = new Promise((go) => { window.go = go; }), window.reached = window.fetch,
        window.fetch = async (...asked) => { await held; return reached(...asked); }, true)";
    browser.see(hold).await;
}

/// Also those that have not gone out yet; a link waits for them.
#[tokio::test(flavor = "multi_thread")]
async fn corrections_are_written_before_the_page_is_left() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    fleet.tag(&inventory("north", &fleet.pictures(3))).await;
    browser.go("/images").await;
    hold(&browser).await;

    for card in 1..=3 {
        browser.click("#clear").await;
        browser.click(&format!(".card:nth-child({card})")).await;
        browser.press("s").await;
    }
    browser.press("gs").await;
    assert_eq!(fleet.count(FIXES).await, 0);
    assert_eq!(browser.see("location.pathname").await, json!("/images"));
    let asks = "dispatchEvent(new Event('beforeunload', {cancelable: true})) === false";
    assert_eq!(browser.see(asks).await, json!(true), "what leaves at once has the browser ask");
    browser.see("(go(), true)").await;

    browser.until("location.pathname === '/scrapes'").await;
    assert_eq!(fleet.count(FIXES).await, 3);
    console.stop().await;
    fleet.end().await;
}

/// What is refused is read before the page is left.
#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_while_a_correction_fails_is_told_so_and_stays() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    fleet.tag(&inventory("north", &fleet.pictures(1))).await;
    browser.go("/images").await;
    browser.until("document.querySelectorAll('.card').length === 1").await;
    fleet.execute("UPDATE image_tags SET bytes_hash = gen_random_uuid()").await;
    hold(&browser).await;

    browser.click(".card").await;
    browser.press("s").await;
    browser.press(&key(Key::Enter)).await;
    browser.see("(go(), true)").await;

    browser.reads("Changed since you saw it").await;
    assert_eq!(browser.see("location.pathname").await, json!("/images"));
    // And then opens the picture, if they still want to.
    browser.press(&key(Key::Enter)).await;
    browser.reads("Where it is listed").await;
    console.stop().await;
    fleet.end().await;
}

/// However far down, and with what they had selected.
#[tokio::test(flavor = "multi_thread")]
async fn who_opens_a_picture_and_goes_back_is_where_they_were() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    fill_inventory(&fleet, 1_000).await;
    browser.go("/images").await;
    for loaded in [120, 520, 920, 1000] {
        browser.until(&format!("document.querySelectorAll('.card').length >= {loaded}")).await;
        browser.press(&key(Key::End)).await;
    }
    for _ in 0..20 {
        browser.press(&key(Key::Up)).await;
    }
    let at = "document.querySelector('.card.active').id";
    let before = browser.see(at).await;
    browser.press(" ").await;
    browser.press(&chord(Key::Shift, Key::Right)).await;
    browser.reads("2 selected").await;
    let opened = browser.see("document.querySelector('[aria-selected=true]').dataset.image").await;

    browser.press(&key(Key::Enter)).await;
    browser.reads("Where it is listed").await;
    browser.until(&format!("location.pathname === '/images/' + {opened}")).await;
    browser.client.back().await.unwrap();

    browser.until(&format!("document.querySelector('.card.active')?.id === {before}")).await;
    browser.reads("2 selected").await;
    let in_sight = "(() => { const {top, bottom} = document.querySelector('.card.active').getBoundingClientRect(); return top >= 0 && bottom <= innerHeight })()";
    browser.until(in_sight).await;
    console.stop().await;
    fleet.end().await;
}

/// Not back in the same page by the provider, who knows the browser still.
#[tokio::test(flavor = "multi_thread")]
async fn who_logs_out_is_out() {
    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, ..Options::default() }).await;
    let console = fleet.start_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    for session in ["first", "second"] {
        log_in(&fleet, &browser, session, "viewer").await;
        browser.go("/scrapes").await;
        browser.reads("ann@example.com, viewer").await;
        if session == "second" {
            // It had ended by itself, which the page does not know.
            fleet.execute("DELETE FROM sessions").await;
        }
        browser.press("gq").await;
        browser.reads("This browser is logged out of the console.").await;
        assert_eq!(browser.see("location.pathname").await, json!("/left"));
        assert_eq!(fleet.count("SELECT count(*) FROM sessions").await, 0);
    }
    console.stop().await;
    fleet.end().await;
}
