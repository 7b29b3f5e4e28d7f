//! Dead letters in a person's hands.

use fantoccini::key::Key;
use serde_json::json;
use tagfleet_shared::broker::Outgoing;
use tagfleet_shared::dead::{self, Filter};
use tagfleet_shared::events::ScrapeFinished;
use tagfleet_shared::lane::Lane;
use tagfleet_tests::{Browser, Fleet, Options, eventually, key};

use crate::inventory;

/// They die again, for nothing was mended; each page tells that they were sent back before.
#[tokio::test(flavor = "multi_thread")]
async fn letters_are_sent_back_one_and_all_and_all_of_a_reason_are_dropped() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    for n in 0..3 {
        fleet.publish_bytes(format!("{{\"not\": \"an event {n}\"}}").into_bytes()).await;
    }
    dead(&fleet, &browser, 0).await;

    browser.press("j").await;
    browser.press(&key(Key::Enter)).await;
    browser.until("document.querySelectorAll('[aria-label=Letters] tbody tr').length === 3").await;
    browser.press("r").await;
    browser.client.accept_alert().await.unwrap();
    browser.reads("Messages sent back: 3.").await;
    dead(&fleet, &browser, 3).await;

    browser.click("[aria-label=Reasons] a").await;
    browser.click("[aria-label=Letters] a").await;
    browser.reads("1 time").await;
    browser.press("r").await;
    browser.until("location.pathname === '/dead-letters'").await;
    dead(&fleet, &browser, 3).await;
    browser.click("[aria-label=Reasons] a").await;
    let sent = "[...document.querySelectorAll('[aria-label=Letters] td:last-child')].map((cell) => cell.innerText).sort()";
    browser.until("document.querySelector('[aria-label=Letters]') !== null").await;
    assert_eq!(browser.see(sent).await, json!(["1", "1", "2"]));
    browser.keep("sent-back").await;

    // What has died since the page was drawn is not what was looked at.
    fleet.publish_bytes(b"{\"not\": \"an event 3\"}".to_vec()).await;
    eventually("a fourth is dead", || async { (fleet.dead_letters().await == 4).then_some(()) }).await;
    browser.press("x").await;
    assert_eq!(browser.client.get_alert_text().await.unwrap(), "Drop all 3 for good?");
    browser.client.accept_alert().await.unwrap();
    browser.reads("Messages dropped: 3.").await;
    eventually("one is left", || async { (fleet.dead_letters().await == 1).then_some(()) }).await;
    let left = dead::look(&fleet.broker, Filter::default()).await.unwrap();
    assert!(String::from_utf8_lossy(&left[0].body).contains("an event 3"), "the oldest were dropped");
    console.stop().await;
    fleet.end().await;
}

/// A job that killed its workers leads to its picture and its scrape.
#[tokio::test(flavor = "multi_thread")]
async fn the_letter_of_a_job_leads_to_its_picture() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    let lane = Some(Lane::Express);
    let event = ScrapeFinished { lane, ..inventory("north", &fleet.pictures(1)) };
    fleet.publish(&event).await;
    let topology = fleet.broker.topology();
    let mut jobs = fleet.broker.consume(topology.lane_queue(Lane::Express), 1);
    let job = jobs.next().await;
    let letter = Outgoing::dead_letter(topology, &job, "killed_worker", "in a test");
    fleet.broker.publisher().publish(&[letter]).await.unwrap();
    job.ack();
    jobs.close().finished().await;

    browser.go("/dead-letters?reason=killed_worker").await;
    browser.click("[aria-label=Letters] a").await;
    browser.reads(&event.scrape_id.0).await;
    browser.keep("letter-of-a-job").await;
    browser.press("i").await;
    browser.reads("Where it is listed").await;
    browser.reads(&event.scrape_id.0).await;
    console.stop().await;
    fleet.abandon().await;
}

/// Opens the page once it has three letters, of which so many were sent back before.
async fn dead(fleet: &Fleet, browser: &Browser, before: usize) {
    eventually("three are dead", || async {
        if fleet.dead_letters().await != 3 {
            return None;
        }
        browser.go("/dead-letters").await;
        let row = "[...document.querySelectorAll('[aria-label=Reasons] .number')].slice(-2).map((cell) => cell.innerText)";
        (browser.see(row).await == json!(["3", before.to_string()])).then_some(())
    })
    .await;
}
