//! A picture's page: its fixes and its history.

use fantoccini::key::Key;
use tagfleet_tests::{Browser, Fleet, chord, key};

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

/// The last entry may be anybody's, of any age, or itself an undoing: it is told before it is undone.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_entry_of_a_picture_is_undone_after_a_question_that_tells_it() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    let event = inventory("north", &fleet.pictures(1));
    fleet.tag(&event).await;
    let machine = fleet.rows(&event.scrape_id).await[0].tag("image_type").to_owned();
    fleet
        .execute(
            "INSERT INTO fixes (image_id, advertiser_id, attribute, value, fixed_by, note)
             SELECT image_id, 'north', 'image_type', 'Stock', 'bob', 'as the dealer says' FROM scrape_images;
             SELECT apply_fixes(image_id) FROM scrape_images",
        )
        .await;
    browser.go("/images").await;
    browser.press(&key(Key::Home)).await;
    browser.press(&key(Key::Enter)).await;
    browser.until("document.getElementById('fix') !== null").await;

    browser.press(&chord(Key::Control, 'z')).await;
    let question = browser.client.get_alert_text().await.unwrap();
    assert!(question.starts_with("Undo image_type: Stock for north, by bob, 2"), "{question}");
    assert!(question.ends_with(" UTC, “as the dealer says”?"), "{question}");
    browser.client.dismiss_alert().await.unwrap();
    becomes(&fleet, &browser, 1, "Stock").await;
    browser.press(&chord(Key::Control, 'z')).await;
    browser.client.accept_alert().await.unwrap();
    becomes(&fleet, &browser, 2, &machine).await;

    browser.press(&chord(Key::Control, 'z')).await;
    let question = browser.client.get_alert_text().await.unwrap();
    assert!(question.starts_with("Undo image_type: Stock withdrawn for north, by anybody"), "{question}");
    assert!(question.ends_with("“undone”?"), "{question}");
    browser.client.dismiss_alert().await.unwrap();
    console.stop().await;
    fleet.end().await;
}

/// And not for whoever comes first: a picture that several share is corrected for the one whose it was in the grid.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_corrected_for_the_advertiser_from_whose_it_was_opened() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    let shared = fleet.pictures(1);
    for advertiser in ["north", "so & so"] {
        fleet.tag(&inventory(advertiser, &shared)).await;
    }
    browser.go("/images?advertiser=so+%26+so").await;
    browser.click(".card").await;
    browser.press(&key(Key::Enter)).await;
    browser.until("document.querySelector('[name=scope]')?.value === 'so & so'").await;

    browser.click("[data-fix=color]").await;

    browser.until("document.querySelectorAll('.timeline li').length === 1").await;
    assert_eq!(fleet.count("SELECT count(*) FROM fixes WHERE advertiser_id = 'so & so'").await, 1);
    // And in a tab of its own, by the button that opens links so.
    browser.go("/images?advertiser=north").await;
    browser.until("document.querySelector('.card') !== null").await;
    browser.see("(window.open = (address) => { window.opened = address; }, true)").await;
    browser.see("document.querySelector('.card img').dispatchEvent(new MouseEvent('auxclick', {button: 1, bubbles: true}))").await;
    browser.until("window.opened?.startsWith('/images/') && window.opened.endsWith('?for=north')").await;
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
