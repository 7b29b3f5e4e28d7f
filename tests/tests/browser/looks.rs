//! Every page: for all eyes, hands and screens.

use fantoccini::key::Key;
use serde_json::json;
use tagfleet_tests::Fleet;

use crate::chromium::{Browser, PHONE};
use crate::{inventory, key};

/// A fleet with something on every page; the addresses of all of them, with their names.
async fn something_everywhere(fleet: &Fleet) -> Vec<(&'static str, String)> {
    let mut urls = fleet.pictures(30);
    urls.push(fleet.origin.url("/nothing-here.jpg"));
    let mut last = String::new();
    for advertiser in ["north", "south"] {
        last = fleet.tag(&inventory(advertiser, &urls)).await.scrape_id.0;
    }
    fleet
        .execute(
            "INSERT INTO fixes (image_id, advertiser_id, attribute, value, fixed_by, note)
             SELECT image_id, s.advertiser_id, 'image_type', CASE s.advertiser_id WHEN 'north' THEN 'Stock' ELSE 'Dealer' END,
                    'ann@example.com', 'as the dealer says'
               FROM scrape_images JOIN scrapes s ON s.key = scrape WHERE seq = 0;
             SELECT apply_fixes(image_id) FROM scrape_images WHERE seq = 0",
        )
        .await;
    fleet.publish_bytes(b"no event".to_vec()).await;
    tagfleet_tests::eventually("the event is dead", || async {
        (fleet.dead_letters().await == 1).then_some(())
    })
    .await;
    let client = fleet.database.pool.get().await.unwrap();
    let sql = "SELECT image_id::text FROM scrape_images WHERE seq = 0 LIMIT 1";
    let image: String = client.query_one(sql, &[]).await.unwrap().get(0);
    vec![
        ("pictures", "/images".into()),
        ("no-pictures", "/images?text=nowhere".into()),
        ("picture", format!("/images/{image}")),
        ("scrapes", "/scrapes".into()),
        ("scrape", format!("/scrapes/{last}")),
        ("conflicts", "/conflicts".into()),
        ("dead-letters", "/dead-letters".into()),
        ("model-sets", "/model-sets".into()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_in_light_and_in_dark() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    let pages = something_everywhere(&fleet).await;

    for theme in ["light", "dark"] {
        for (name, page) in &pages {
            browser.go(page).await;
            browser.see(&format!("localStorage.setItem('theme', '{theme}')")).await;
            browser.go(page).await;
            browser.is_accessible(&format!("{name}, {theme}")).await;
            browser.keep(&format!("{name}-{theme}")).await;
        }
    }
    // The list of keys is a part of every page.
    browser.press("?").await;
    browser.until("document.querySelectorAll('dialog[open] dt').length > 5").await;
    browser.is_accessible("the list of keys").await;
    browser.keep("keys").await;
    console.stop().await;
    fleet.abandon().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_a_phone_and_a_tap_corrects() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open_as(&console, PHONE).await else { return };
    let pages = something_everywhere(&fleet).await;

    for (name, page) in &pages {
        browser.go(page).await;
        let wide = browser.see("document.documentElement.scrollWidth - innerWidth").await;
        assert!(wide.as_i64().unwrap() <= 0, "{name} is {wide} pixels wider than a phone");
        browser.is_accessible(&format!("{name}, phone")).await;
        browser.keep(&format!("{name}-phone")).await;
    }
    browser.go("/images?advertiser=south").await;
    browser.click(".card:nth-child(2)").await;
    browser.click("[data-value='\"Stock\"']").await;
    browser
        .until(
            "document.querySelector('.card:nth-child(2) .tag.fixed')?.innerText.includes('Stock') === true",
        )
        .await;
    browser.keep("corrected-phone").await;
    console.stop().await;
    fleet.abandon().await;
}

/// Pictures out of sight are neither loaded nor laid out, and there is one listener for all of them.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_pictures_in_a_grid_cost_what_a_screenful_does() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    fleet.tag(&inventory("north", &fleet.pictures(1))).await;
    fleet
        .execute(
            "INSERT INTO scrape_images (day, scrape, seq, image_id, url, outcome, tags, model_set, recorded_at)
             SELECT i.day, i.scrape, n, gen_random_uuid(), i.url || '?' || n, i.outcome, i.tags, i.model_set, now()
               FROM scrape_images i, generate_series(1, 9999) AS n",
        )
        .await;

    browser.go("/images").await;
    browser.until("document.querySelectorAll('.card').length >= 120").await;
    let began = std::time::Instant::now();
    let mut loaded = json!(0);
    while loaded != json!(10_000) {
        browser.press(&key(Key::End)).await;
        browser.until(&format!("document.querySelectorAll('.card').length > {loaded}")).await;
        loaded = browser.see("document.querySelectorAll('.card').length").await;
    }
    tagfleet_tests::tell(&format!("10,000 pictures were in the grid after {:?}", began.elapsed()));
    browser.press(&key(Key::End)).await;

    browser.until("document.querySelector('.card:nth-child(10000)').classList.contains('active')").await;
    let loaded = "performance.getEntriesByType('resource').filter((entry) => entry.name.includes('/thumbnails/')).length";
    let loaded = browser.see(loaded).await.as_i64().unwrap();
    assert!(loaded < 5_000, "{loaded} pictures were loaded, and most were never in sight");
    let skipped = "[...document.querySelectorAll('.card img')].filter((image) => !image.checkVisibility({contentVisibilityAuto: true})).length";
    let skipped = browser.see(skipped).await.as_i64().unwrap();
    assert!(skipped > 9_000, "only {skipped} of 10,000 are not drawn");
    browser.press(" ").await;
    browser.until("document.getElementById('count').textContent === '1 selected'").await;
    browser.keep("ten-thousand").await;
    console.stop().await;
    fleet.abandon().await;
}
