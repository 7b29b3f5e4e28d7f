//! Every page: for all eyes, hands and screens.

use tagfleet_tests::{Browser, Fleet, PHONE};

use crate::everywhere::something_everywhere;

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
    // The list of keys is a part of every page that is no problem's.
    browser.go("/images").await;
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
