//! Ten thousand pictures in one grid.

use fantoccini::key::Key;
use serde_json::{Value, json};
use tagfleet_tests::{Fleet, tell};

use crate::chromium::Browser;
use crate::{chord, inventory, key};

const CARDS: &str = "document.querySelectorAll('.card').length";

/// Loads them by `End`, piece by piece, as a person does who wants to see the last.
async fn ten_thousand(fleet: &Fleet, browser: &Browser) {
    fleet.tag(&inventory("north", &fleet.pictures(1))).await;
    fleet
        .execute(
            "INSERT INTO scrape_images (day, scrape, seq, image_id, url, outcome, tags, model_set, recorded_at)
             SELECT i.day, i.scrape, n, gen_random_uuid(), i.url || '?' || n, i.outcome, i.tags, i.model_set, now()
               FROM scrape_images i, generate_series(1, 9999) AS n",
        )
        .await;
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

/// Out of sight, a picture is neither fetched nor laid out nor drawn; and a key touches the cards that it is about.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_pictures_in_a_grid_cost_what_a_screenful_does() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    ten_thousand(&fleet, &browser).await;
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

/// Notes for each key how long it is from the press until what it did is painted, in ms.
const WATCH_KEYS: &str = "(window.painted = [], addEventListener('keydown', (event) => {
    requestAnimationFrame(() => {
        const {port1, port2} = new MessageChannel();
        port1.onmessage = () => painted.push(performance.now() - event.timeStamp);
        port2.postMessage(null);
    });
}, true))";

/// Scrolls through the grid, so many pixels in each frame; gives how long each frame took, in ms.
const SCROLL: &str = "const [pixels, done] = arguments; const frames = []; let last = performance.now();
    scrollTo(0, 0);
    requestAnimationFrame(function frame(now) {
        frames.push(now - last);
        last = now;
        scrollBy(0, pixels);
        if (frames.length < 300) requestAnimationFrame(frame); else done(frames.slice(1));
    });";

/// Asserts nothing: how fast a machine is, is no matter of right or wrong. `make bench-grid` runs it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures; make bench-grid"]
async fn the_keys_and_the_frames_of_ten_thousand_pictures_are_measured() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    ten_thousand(&fleet, &browser).await;
    browser.see("scrollTo(0, document.documentElement.scrollHeight / 2)").await;
    browser.see(WATCH_KEYS).await;

    let keys = [
        ("arrow, from picture to picture", key(Key::Up), 100),
        ("Space, one picture selected or not", " ".into(), 100),
        ("Shift+arrow, a row more selected", chord(Key::Shift, Key::Up), 50),
        ("Control+a, all 10,000 selected", chord(Key::Control, 'a'), 10),
        ("arrow, with all 10,000 selected", key(Key::Up), 100),
        ("Escape, none selected of 10,000", key(Key::Escape), 1),
    ];
    for (what, pressed, times) in keys {
        browser.see("painted.splice(0)").await;
        for done in 1..=times {
            browser.press(&pressed).await;
            browser.until(&format!("painted.length >= {done}")).await;
        }
        tell_times(&format!("{what}: press to paint"), browser.see("painted").await);
    }
    for pixels in [100, 1000, 10_000] {
        let frames = browser.client.execute_async(SCROLL, vec![json!(pixels)]).await.unwrap();
        tell_times(&format!("scrolling by {pixels} pixels a frame: frame"), frames);
    }
    console.stop().await;
    fleet.abandon().await;
}

/// Prints the median, the 95th percentile and the longest of some times in ms.
fn tell_times(what: &str, times: Value) {
    let mut times: Vec<f64> = serde_json::from_value(times).unwrap();
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    let (half, most, all, count) = (at(50), at(95), at(100), times.len());
    tell(&format!("{what}: {half:.1} ms median, {most:.1} ms p95, {all:.1} ms longest of {count}"));
}
