//! Every action has a key, and the list of keys tells it.

use fantoccini::key::Key;
use serde_json::json;
use tagfleet_tests::{Browser, Fleet, chord, key};

use crate::everywhere::something_everywhere;

/// What is wrong with the keys of the controls that are in sight now: a list of sentences, empty where each is
/// pressed by its own (`data-key`), reached by j and k (`data-row`) or by arrows (what can be selected), and told.
const WRONG: &str = r##"(() => {
  const wrong = [];
  const all = (selector) => [...document.querySelectorAll(selector)].filter((element) => element.checkVisibility());
  const name = (element) => element.outerHTML.replace(/\s+/g, " ").slice(0, 160);
  let clicked = null;
  const note = (event) => { clicked = event.target; event.preventDefault(); event.stopImmediatePropagation(); };
  const press = (keys) => {
    document.activeElement?.blur();
    for (const part of keys.split(" ")) {
      const held = part.split("+");
      const key = held.pop();
      (document.activeElement ?? document.body).dispatchEvent(new KeyboardEvent("keydown",
        { key, ctrlKey: held.includes("Control"), bubbles: true, cancelable: true }));
    }
  };
  const controls = all("main :is(a[href], button, input, select, textarea, summary), .top :is(nav a, .tools button)");

  addEventListener("click", note, true);
  for (const control of controls.filter((control) => control.dataset.key && !control.disabled)) {
    clicked = null;
    press(control.dataset.key);
    if ((clicked ?? document.activeElement) !== control) wrong.push(`${control.dataset.key} does not press ${name(control)}`);
  }
  removeEventListener("click", note, true);

  const rows = all("[data-row]");
  document.activeElement?.blur();
  const reached = new Set(rows.map(() => {
    document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "j", bubbles: true, cancelable: true }));
    return document.activeElement;
  }));
  for (const row of rows) if (!reached.has(row)) wrong.push(`j does not come to ${name(row)}`);

  const options = all("[role=option]");
  if (options.length) {
    press("Home");
    for (const option of options) {
      if (!option.classList.contains("active")) wrong.push(`arrows do not come to ${name(option)}`);
      press("ArrowRight");
    }
  }
  for (const control of controls) if (!control.dataset.key && !rows.includes(control)) wrong.push(`no key for ${name(control)}`);

  document.activeElement?.blur();
  const help = document.getElementById("help");
  if (help) {
    help.click();
    const told = new Set([...document.querySelectorAll("#keys dt")].map((line) => [...line.children].map((key) => key.textContent).join(" ")));
    const needed = controls.filter((control) => !control.disabled).map((control) => control.dataset.key).filter(Boolean);
    if (rows.length) needed.push("j", "k", "Enter");
    if (options.length) needed.push("Arrows", "Space");
    for (const key of needed) if (!told.has(key)) wrong.push(`${key} is not told`);
    document.getElementById("keys").close();
  }
  return wrong;
})()"##;

#[tokio::test(flavor = "multi_thread")]
async fn every_control_of_every_page_has_its_key() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };

    for (name, page) in something_everywhere(&fleet).await {
        browser.go(&page).await;
        assert_eq!(browser.see(WRONG).await, json!([]), "{name}");
    }
    // The values of the other attribute, and with something to undo.
    browser.go("/images").await;
    browser.see(r#"sessionStorage.setItem('entries of anybody', '[[{"id":1,"image_id":"x"}]]')"#).await;
    browser.go("/images").await;
    browser.until("document.getElementById('undo').disabled === false").await;
    browser.press("2").await;
    browser.until("document.querySelector('[data-of=color]').hidden === false").await;
    assert_eq!(browser.see(WRONG).await, json!([]), "pictures, colours");
    console.stop().await;
    fleet.abandon().await;
}

/// A choice is made in a field, and the form is sent from there.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_is_filled_in_and_sent_without_a_mouse() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    something_everywhere(&fleet).await;
    let cards = |count: usize| format!("document.querySelectorAll('.card').length === {count}");

    browser.go("/images").await;
    browser.until(&cards(62)).await;
    browser.press("fa").await;
    browser.press("south").await;
    browser.press(&key(Key::Enter)).await;
    browser.until(&cards(31)).await;
    browser.press("fo").await;
    browser.press("skipped").await;
    browser.press(&chord(Key::Control, Key::Enter)).await;
    browser.until(&cards(1)).await;
    browser.reads("gone").await;
    browser.press("fx").await;
    browser.until(&cards(62)).await;
    console.stop().await;
    fleet.abandon().await;
}
