//! What a person waits for in a grid of 10,000 pictures: keys and frames. `make bench-grid`.
//!
//! Asserts nothing: how fast a machine is, is no matter of right or wrong.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use fantoccini::key::Key;
use serde_json::{Value, json};
use tagfleet_tests::{Browser, Fleet, chord, fill_grid, key};

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

#[tokio::main]
async fn main() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    fill_grid(&fleet, &browser).await;
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
        print(&format!("{what}: press to paint"), browser.see("painted").await);
    }
    for pixels in [100, 1000, 10_000] {
        let frames = browser.client.execute_async(SCROLL, vec![json!(pixels)]).await.unwrap();
        print(&format!("scrolling by {pixels} pixels a frame: frame"), frames);
    }
    console.stop().await;
    fleet.abandon().await;
}

/// Prints the median, the 95th percentile and the longest of some times in ms.
fn print(what: &str, times: Value) {
    let mut times: Vec<f64> = serde_json::from_value(times).unwrap();
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    let (half, most, all, count) = (at(50), at(95), at(100), times.len());
    println!("{what}: {half:.1} ms median, {most:.1} ms p95, {all:.1} ms longest of {count}");
}
