//! The console does not answer for a moment, to a page that is open.

use fantoccini::key::Key;
use serde_json::json;
use tagfleet_tests::{Browser, Fleet, Options, chord, fill_inventory, key};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

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

/// Two pictures, which are corrected one after the other.
async fn correct_two(fleet: &Fleet, browser: &Browser) {
    fleet.tag(&inventory("north", &fleet.pictures(2))).await;
    browser.go("/images").await;
    for card in 1..=2 {
        browser.click("#clear").await;
        browser.click(&format!(".card:nth-child({card})")).await;
        browser.press("s").await;
        browser.until(&format!("{FIXED} === {card}")).await;
    }
}

/// And not one before it.
#[tokio::test(flavor = "multi_thread")]
async fn an_undo_that_fails_for_a_moment_is_done_the_next_time() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    correct_two(&fleet, &browser).await;

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
    correct_two(&fleet, &browser).await;
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

/// The end of the grid, in sight, asks again after a pause, and a key at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_grid_does_not_ask_a_console_that_fails_again_and_again() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    fill_inventory(&fleet, 2_000).await;
    browser.go("/images").await;
    browser.until("document.querySelectorAll('.card').length >= 120").await;

    goes_away(&browser).await;
    // A piece that is on its way comes yet.
    tagfleet_tests::eventually("the next piece cannot be had", || async {
        browser.press(&key(Key::End)).await;
        let said = browser.see("document.getElementById('said').innerText").await;
        said.as_str().unwrap().contains("The console does not answer").then_some(())
    })
    .await;
    let loaded = browser.see("document.querySelectorAll('.card').length").await;
    browser.see("(window.asked = 0, window.since = performance.now(), true)").await;
    browser.until("performance.now() - since > 1000").await;
    let asked = browser.see("asked").await.as_i64().unwrap();
    // When the end came into sight, and after a pause where this machine is slow.
    assert!(asked <= 4, "asked {asked} times in a second");
    assert_eq!(browser.see("document.querySelectorAll('.card').length").await, loaded);

    browser.press("n").await;
    browser.until(&format!("asked > {asked}")).await;
    comes_back(&browser).await;
    browser.until(&format!("document.querySelectorAll('.card').length > {loaded}")).await;
    browser.reads("The console answers again.").await;
    console.stop().await;
    fleet.end().await;
}

/// What a proxy says to everybody while its console is away.
async fn proxy_without_console(address: std::net::SocketAddr) -> JoinHandle<()> {
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
}

/// One bad answer does not stop it for good, and meanwhile nobody takes it for a stuck scrape.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_follows_a_scrape_says_that_it_is_not_live_and_goes_on() {
    let mut fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let console = fleet.start_insecure_console().await;
    let address = console.address;
    let Some(browser) = Browser::open(&console).await else { return };
    let event = inventory("north", &fleet.pictures(5));
    fleet.publish(&event).await;
    tagfleet_tests::eventually("it is listed", || async {
        (fleet.count("SELECT count(*) FROM scrape_images").await == 5).then_some(())
    })
    .await;
    browser.go(&format!("/scrapes/{}", event.scrape_id)).await;
    browser.reads("0 of 5").await;

    console.stop().await;
    let proxy = proxy_without_console(address).await;
    browser.reads("Not live since").await;
    browser.reads("the page asks again by itself").await;
    browser.keep("not-live").await;
    fleet.start_worker().await;
    fleet.announced(&event.scrape_id).await;
    assert_eq!(browser.see("document.body.innerText.includes('0 of 5')").await, json!(true));
    proxy.abort();
    let _ = proxy.await;
    fleet.change("TAGFLEET__HTTP__LISTEN", &address.to_string());
    let console = fleet.start_insecure_console().await;

    browser.until("document.querySelector('#now')?.dataset.ended === ''").await;
    browser.reads("5 of 5").await;
    browser.until("document.querySelector('.stale').innerText === ''").await;
    console.stop().await;
    fleet.end().await;
}
