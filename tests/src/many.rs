//! Many pictures in one grid, for those who look what they cost.

use fantoccini::key::Key;
use serde_json::json;

use crate::{Browser, Fleet, key, listed, scrape};

const CARDS: &str = "document.querySelectorAll('.card').length";

/// An inventory of so many pictures, which are all the same one.
pub async fn fill_inventory(fleet: &Fleet, pictures: usize) {
    fleet.tag(&scrape("north", vec![listed(fleet.picture("/many.jpg"))])).await;
    let more = format!(
        "INSERT INTO scrape_images (day, scrape, seq, image_id, url, outcome, tags, model_set, recorded_at)
         SELECT i.day, i.scrape, n, gen_random_uuid(), i.url || '?' || n, i.outcome, i.tags, i.model_set, now()
           FROM scrape_images i, generate_series(1, {pictures} - 1) AS n"
    );
    fleet.execute(&more).await;
}

/// Shows 10,000 pictures in the grid; they are loaded by `End`, piece by piece, as by a person who wants to see
/// the last.
pub async fn fill_grid(fleet: &Fleet, browser: &Browser) {
    fill_inventory(fleet, 10_000).await;
    browser.go("/images").await;
    browser.until(&format!("{CARDS} >= 120")).await;
    let mut loaded = json!(0);
    while loaded != json!(10_000) {
        browser.press(&key(Key::End)).await;
        browser.until(&format!("{CARDS} > {loaded}")).await;
        loaded = browser.see(CARDS).await;
    }
    browser.press(&key(Key::End)).await;
    browser.until("document.querySelector('.card:nth-child(10000)').classList.contains('active')").await;
}
