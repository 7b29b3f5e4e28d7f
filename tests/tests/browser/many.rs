//! Ten thousand pictures in one grid.

use fantoccini::key::Key;
use tagfleet_tests::{Browser, Fleet, chord, fill_grid, key, tell};

/// Out of sight, a picture is neither fetched nor laid out nor drawn; and a key touches the cards that it is about.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_pictures_in_a_grid_cost_what_a_screenful_does() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    fill_grid(&fleet, &browser).await;
    let count = async |script: &str| browser.see(script).await.as_i64().unwrap();

    let nodes = count("document.querySelectorAll('.card *').length").await;
    let drawn = "[...document.querySelectorAll('.card *')].filter((node) => node.checkVisibility({contentVisibilityAuto: true})).length";
    let drawn = count(drawn).await;
    let fetched = "performance.getEntriesByType('resource').filter((entry) => entry.name.includes('/thumbnails/')).length";
    let fetched = count(fetched).await;
    let screenful = "Math.ceil(innerHeight / document.querySelector('.card').offsetHeight) * getComputedStyle(document.getElementById('grid')).gridTemplateColumns.split(' ').length";
    let screenful = count(screenful).await;
    tell(&format!(
        "10,000 pictures of {nodes} nodes, {drawn} drawn; {fetched} thumbnails fetched; {screenful} fit a screen"
    ));
    let of_a_card = nodes / 10_000;
    assert!(drawn < 4 * screenful * of_a_card, "{drawn} of {nodes} nodes are drawn");
    assert!(fetched < 5_000, "{fetched} pictures were fetched, and most were never in sight");

    browser
        .see("(window.touched = new Set(), new MutationObserver((all) => { for (const {target} of all) touched.add(target.closest('.card')?.id) }).observe(document.getElementById('grid'), {attributes: true, subtree: true, childList: true}))")
        .await;
    for pressed in [key(Key::Left), " ".into(), chord(Key::Shift, Key::Left)] {
        browser.press(&pressed).await;
    }
    browser.until("document.getElementById('count').textContent === '2 selected'").await;
    let touched = count("touched.size").await;
    // The last, the two before it, and the grid, which tells where it is.
    assert!(touched <= 4, "three keys touched {touched} cards");
    browser.keep("ten-thousand").await;
    console.stop().await;
    fleet.abandon().await;
}
