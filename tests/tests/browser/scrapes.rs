//! Engineers look at scrapes, and operators run again what has ended.

use tagfleet_loadtest::origin::Response;
use tagfleet_shared::ids::ScrapeId;
use tagfleet_tests::{Browser, Fleet, Options, jpeg};

use crate::inventory;

#[tokio::test(flavor = "multi_thread")]
async fn skipped_images_are_run_again_and_an_advertiser_is_tagged_again() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    let mut urls = fleet.pictures(3);
    urls.push(fleet.origin.url("/late.jpg"));
    let event = inventory("north", &urls);
    fleet.tag(&event).await;

    browser.go(&format!("/scrapes/{}", event.scrape_id)).await;
    browser.until("document.getElementById('of-skipped').innerText === '1'").await;
    browser.keep("one-skipped").await;
    fleet.origin.put("/late.jpg", Response::jpeg(jpeg()));
    browser.press("r").await;
    browser.client.accept_alert().await.unwrap();
    browser.reads("Images run again: 1.").await;
    browser.until("document.getElementById('of-inferred')?.innerText === '4'").await;
    browser.reads("tagged").await;
    browser.until("document.getElementById('of-skipped').innerText === '0'").await;

    browser.press("b").await;
    browser.client.accept_alert().await.unwrap();
    browser.until("document.querySelectorAll('tbody tr').length === 2").await;
    browser.until("[...document.querySelectorAll('.word.good')].length === 2").await;
    browser.keep("tagged-again").await;
    let again = browser.see("document.querySelector('tbody a').innerText").await;
    let announced = fleet.announced(&ScrapeId(again.as_str().unwrap().into())).await;
    assert_eq!((announced.images, announced.outcomes["cached"]), (4, 4));
    console.stop().await;
    fleet.end().await;
}

/// What a person has selected, scrolled or focused stays so, though the page follows what goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_follows_is_drawn_anew_only_where_it_changed() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    browser.size(500, 900).await;
    fleet.publish(&inventory("north", &fleet.pictures(2))).await;
    browser.go("/scrapes").await;
    browser.until("document.querySelectorAll('tbody tr').length === 1").await;
    browser.until("document.querySelector('tbody td:nth-child(3)').innerText === 'tagging'").await;

    // Longer than a stream lasts: the next one begins with the same.
    browser
        .see("(window.row = document.querySelector('tbody tr'), window.since = performance.now(), true)")
        .await;
    browser.see("(getSelection().selectAllChildren(row.cells[0]), true)").await;
    browser.until("performance.now() - since > 12_000").await;
    browser.until("row.isConnected && getSelection().toString().startsWith('scrape-')").await;

    browser.see("(document.getElementById('rows').focus(), document.getElementById('rows').scrollLeft = 70, true)").await;
    fleet.publish(&inventory("south", &fleet.pictures(2))).await;
    browser.until("document.querySelectorAll('tbody tr').length === 2").await;
    browser
        .until("document.activeElement.id === 'rows' && document.getElementById('rows').scrollLeft === 70")
        .await;
    console.stop().await;
    fleet.abandon().await;
}

/// A browser has six connections to a server without HTTP/2, for all its tabs: one that nobody looks at takes none.
#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_page_follows_nothing_until_somebody_looks() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    fleet.publish(&inventory("north", &fleet.pictures(2))).await;
    browser.go("/scrapes").await;
    browser.until("document.querySelectorAll('tbody tr').length === 1").await;
    browser
        .see("(window.followed = 0, window.EventSource = class extends EventSource { constructor(address) { super(address); followed++; } }, true)")
        .await;
    let hide = |hidden: bool| {
        format!(
            "(Object.defineProperty(document, 'hidden', {{value: {hidden}, configurable: true}}),
              document.dispatchEvent(new Event('visibilitychange')))"
        )
    };

    browser.see(&hide(true)).await;
    assert_eq!(browser.see("followed").await, serde_json::json!(0));
    browser.see(&hide(false)).await;

    browser.until("followed === 1").await;
    fleet.publish(&inventory("south", &fleet.pictures(2))).await;
    browser.until("document.querySelectorAll('tbody tr').length === 2").await;
    console.stop().await;
    fleet.abandon().await;
}
