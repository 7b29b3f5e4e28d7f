//! People correct tags.

use fantoccini::key::Key;
use serde_json::json;
use tagfleet_tests::{Browser, Fleet, chord, key};

use crate::inventory;

const FIXES: &str = "SELECT count(*) FROM fixes";
const FIXED: &str = "document.querySelectorAll('.card .tag.fixed').length";

#[tokio::test(flavor = "multi_thread")]
async fn a_person_corrects_one_picture_and_its_page_tells_so() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    let event = inventory("north", &fleet.pictures(6));
    fleet.tag(&event).await;

    browser.go("/images").await;
    browser.until("document.querySelectorAll('.card').length === 6").await;
    browser.click(".card:nth-child(2)").await;
    browser.press("s").await;

    browser
        .until(
            "document.querySelector('.card:nth-child(2) .tag.fixed')?.innerText.includes('Stock') === true",
        )
        .await;
    browser.until(&format!("{FIXED} === 1")).await;
    assert_eq!(fleet.rows(&event.scrape_id).await[1].tag("image_type"), "Stock");
    browser.keep("one-corrected").await;

    browser.press(&key(Key::Enter)).await;
    browser.reads("a person, for this advertiser").await;
    browser.until("document.querySelectorAll('.timeline li').length === 1").await;
    let image = browser.see("document.querySelector('[data-large]').src.includes('?size=1280')").await;
    assert_eq!(image, json!(true));

    // And once more, on its page: a note, and for everyone.
    browser.press("y").await;
    browser.press("as the dealer says").await;
    browser.press(&key(Key::Escape)).await;
    browser.click("[name=scope] [data-everyone]").await;
    browser.click("[data-fix=color]").await;
    browser.until("document.querySelectorAll('.timeline li').length === 2").await;
    browser.reads("as the dealer says").await;
    browser.keep("picture").await;

    // Back to what held after the first entry of the history.
    browser.press(&chord(Key::Control, 'z')).await;
    browser.client.accept_alert().await.unwrap();
    browser.until("document.querySelectorAll('.timeline li').length === 3").await;
    assert_eq!(fleet.count(FIXES).await, 1);

    // Whoever goes back is where they were.
    browser.click("nav a").await;
    browser.until("document.querySelectorAll('.card').length === 6").await;
    browser.press(&key(Key::Home)).await;
    browser.press(&key(Key::Right)).await;
    browser.press(&key(Key::Enter)).await;
    browser.reads("Where it is listed").await;
    browser.client.back().await.unwrap();
    browser
        .until("document.querySelector('.card:nth-child(2)')?.classList.contains('active') === true")
        .await;
    console.stop().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_pictures_are_corrected_at_once_and_undone_at_once() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    let event = inventory("north", &fleet.pictures(60));
    fleet.tag(&event).await;

    browser.go("/images").await;
    browser.until("document.querySelectorAll('.card').length === 60").await;
    browser.click(".card:nth-child(1)").await;
    browser.see("document.querySelector('.card:nth-child(50)').scrollIntoView({block: 'center'})").await;
    browser.shift_click(".card:nth-child(50)").await;
    browser.reads("50 selected").await;
    browser.press("2").await;
    let letter = browser.see("document.querySelector('[data-of=color] [data-value]').dataset.key").await;
    browser.press(letter.as_str().unwrap()).await;

    browser.until(&format!("{FIXED} === 50")).await;
    assert_eq!(fleet.count(FIXES).await, 50);
    browser.keep("fifty-corrected").await;

    browser.press(&chord(Key::Control, 'z')).await;
    browser.until(&format!("{FIXED} === 0")).await;
    assert_eq!(fleet.count(FIXES).await, 0);
    browser.reads("Undone: 50 pictures.").await;

    // With the keys alone: two down from the first, and back with what is said by none.
    browser.press(&key(Key::Escape)).await;
    browser.press(&key(Key::Home)).await;
    browser.press(" ").await;
    browser.press(&chord(Key::Shift, Key::Right)).await;
    browser.press(&chord(Key::Shift, Key::Right)).await;
    browser.reads("3 selected").await;
    browser.press("1").await;
    browser.press("e").await;
    browser.press("everyone").await;
    browser.press(&key(Key::Escape)).await;
    browser.press("p").await;
    browser.until(&format!("{FIXED} === 3")).await;
    assert_eq!(fleet.count("SELECT count(*) FROM fixes WHERE advertiser_id = ''").await, 3);
    browser.press("w").await;
    browser.until(&format!("{FIXED} === 0")).await;
    assert_eq!(fleet.count(FIXES).await, 0);

    // Chosen with the mouse, it gives the letters back.
    let chosen = "(() => {
        const scope = document.getElementById('scope');
        scope.focus();
        scope.dispatchEvent(new Event('pointerdown', {bubbles: true}));
        scope.value = '';
        scope.dispatchEvent(new Event('change', {bubbles: true}));
        return document.activeElement.id;
    })()";
    assert_eq!(browser.see(chosen).await, json!("grid"));
    console.stop().await;
    fleet.end().await;
}

/// Somebody else has corrected the same picture since the page was loaded.
#[tokio::test(flavor = "multi_thread")]
async fn a_correction_of_what_has_changed_is_refused_in_words() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    fleet.tag(&inventory("north", &fleet.pictures(1))).await;
    browser.go("/images").await;
    browser.until("document.querySelectorAll('.card').length === 1").await;
    fleet
        .execute(
            "INSERT INTO fixes (image_id, advertiser_id, attribute, value, fixed_by)
             SELECT image_id, 'north', 'image_type', 'Placeholder', 'another' FROM scrape_images;
             SELECT apply_fixes(image_id) FROM scrape_images",
        )
        .await;

    browser.see("(window.card = document.querySelector('.card')) && true").await;
    browser.click(".card").await;
    browser.press("s").await;

    browser.reads("Changed since you saw it").await;
    // And the picture is shown as it is now, on the card that is there.
    browser
        .until("document.querySelector('.card .tag.fixed')?.innerText.includes('Placeholder') === true")
        .await;
    assert_eq!(fleet.count("SELECT count(*) FROM fixes WHERE value = 'Stock'").await, 0);
    let same = "window.card === document.querySelector('.card.active[aria-selected=true]')";
    assert_eq!(browser.see(same).await, json!(true));
    console.stop().await;
    fleet.end().await;
}

/// Until there is nothing of theirs; and what somebody else has corrected since is shown as it is now.
#[tokio::test(flavor = "multi_thread")]
async fn corrections_of_one_picture_are_undone_one_after_the_other() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    fleet.tag(&inventory("north", &fleet.pictures(1))).await;
    browser.go("/images").await;
    browser.click(".card").await;
    let fixed = |value: &str| {
        format!("document.querySelector('.card .tag.fixed')?.innerText.includes('{value}') === true")
    };

    for (letter, value) in [("s", "Stock"), ("p", "Placeholder")] {
        browser.press(letter).await;
        browser.until(&fixed(value)).await;
    }
    browser.press(&chord(Key::Control, 'z')).await;
    browser.until(&fixed("Stock")).await;
    browser.press(&chord(Key::Control, 'z')).await;
    browser.until(&format!("{FIXED} === 0")).await;
    assert_eq!(fleet.count(FIXES).await, 0);

    browser.press("s").await;
    browser.until(&fixed("Stock")).await;
    fleet
        .execute(
            "UPDATE fixes SET value = 'Placeholder', fixed_by = 'another';
             SELECT apply_fixes(image_id) FROM scrape_images",
        )
        .await;
    browser.press(&chord(Key::Control, 'z')).await;
    browser.reads("Changed since you saw it").await;
    browser.until(&fixed("Placeholder")).await;
    console.stop().await;
    fleet.end().await;
}

/// One advertiser's pictures are corrected, another's have changed: what was done is not called nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_correction_that_was_done_in_part_says_what_was_and_for_whom_it_was_not() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    for advertiser in ["north", "south"] {
        fleet.tag(&inventory(advertiser, &fleet.pictures(2))).await;
    }
    browser.go("/images").await;
    browser.until("document.querySelectorAll('.card').length === 4").await;
    // Of the newest, who come first.
    fleet
        .execute(
            "UPDATE image_tags SET bytes_hash = gen_random_uuid() WHERE image_id IN (
                SELECT image_id FROM scrape_images JOIN scrapes s ON s.key = scrape WHERE advertiser_id = 'south')",
        )
        .await;

    browser.press(&chord(Key::Control, 'a')).await;
    browser.reads("4 selected").await;
    browser.press("s").await;

    browser
        .reads("image_type: Stock, 2 pictures; but not those of south. They have changed since you saw them")
        .await;
    browser.until(&format!("{FIXED} === 2")).await;
    browser.press(&chord(Key::Control, 'z')).await;
    browser.reads("Undone: 2 pictures.").await;
    console.stop().await;
    fleet.end().await;
}

/// A picture that changed is not corrected by the look of the old one: the card that is drawn anew, after the
/// refusal, shows the new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_changed_is_seen_before_it_is_corrected() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    let url = fleet.picture("/one.jpg");
    fleet.tag(&inventory("north", &[url])).await;
    let shown = "document.querySelector('.card img').src";
    browser.go("/images").await;
    browser.until("document.querySelector('.card img')?.naturalWidth > 0").await;
    let before = browser.see(shown).await;

    // Another picture is behind its URL, and a worker has seen it.
    fleet.picture("/one.jpg");
    fleet.execute("UPDATE image_tags SET bytes_hash = gen_random_uuid()").await;
    browser.click(".card").await;
    browser.press("s").await;

    browser.reads("Changed since you saw it").await;
    browser.until(&format!("{shown} !== {before}")).await;
    browser.until("document.querySelector('.card img').naturalWidth > 0").await;
    // By the worker, for the first card, and for the second.
    fleet.requested("/one.jpg", 3).await;
    assert_eq!(fleet.count(FIXES).await, 0);
    browser.press("s").await;
    browser.until(&format!("{FIXED} === 1")).await;
    console.stop().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_disagree_are_shown_side_by_side() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    let shared = fleet.pictures(1);
    for advertiser in ["north", "south"] {
        fleet.tag(&inventory(advertiser, &shared)).await;
    }

    for (advertiser, letter) in [("north", "s"), ("south", "p")] {
        browser.go(&format!("/images?advertiser={advertiser}")).await;
        browser.click(".card").await;
        browser.press(letter).await;
        browser.until(&format!("{FIXED} === 1")).await;
    }
    browser.go("/conflicts").await;

    browser.reads("Stock for north").await;
    browser.reads("Placeholder for south").await;
    browser.keep("conflicts").await;
    console.stop().await;
    fleet.end().await;
}
