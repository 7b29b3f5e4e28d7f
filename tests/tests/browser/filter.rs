//! People look for pictures.

use serde_json::json;
use tagfleet_tests::{Browser, Fleet};

use crate::everywhere::something_everywhere;

/// Each field alone, then together; the form tells afterwards what it was asked.
#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_the_filter_finds_its_pictures() {
    let fleet = Fleet::start().await;
    let console = fleet.start_insecure_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    something_everywhere(&fleet).await;
    let client = fleet.database.pool.get().await.unwrap();
    let sql = "SELECT s.scrape_id, url FROM scrape_images JOIN scrapes s ON s.key = scrape
                WHERE s.advertiser_id = 'south' AND seq = 5";
    let row = client.query_one(sql, &[]).await.unwrap();
    let (scrape, url): (&str, &str) = (row.get(0), row.get(1));

    // Each of 31 pictures is listed by two; the last is gone, and people have corrected the first.
    let asked: [(&[(&str, &str)], usize); 8] = [
        (&[("text", url)], 2),
        (&[("advertiser", "north")], 31),
        (&[("scrape", scrape)], 31),
        (&[("attribute", "image_type"), ("value", "Stock"), ("fixed", "corrected")], 1),
        (&[("outcome", "skipped")], 2),
        (&[("fixed", "corrected")], 2),
        (&[("scrape", scrape), ("attribute", "color"), ("score_below", "0")], 0),
        (&[("advertiser", "south"), ("fixed", "not corrected"), ("text", url)], 1),
    ];
    for (fields, count) in asked {
        browser.go("/images").await;
        for (name, value) in fields {
            // What a person types; to choose, a word suffices.
            let field = format!("document.querySelector('.filter [name={name}]')");
            browser.see(&format!("{field}.focus()")).await;
            browser.press(value.split(' ').next().unwrap()).await;
            assert_eq!(browser.see(&format!("{field}.value !== ''")).await, json!(true), "{name}");
        }
        browser.click(".filter button").await;
        browser.until(&format!("document.querySelectorAll('.card').length === {count}")).await;
        for (name, value) in fields {
            let field = format!("document.querySelector('.filter [name={name}]')");
            let shown = browser.see(&format!("{field}.selectedOptions?.[0].text ?? {field}.value")).await;
            assert_eq!(shown, json!(value), "{fields:?}");
        }
        if count == 0 {
            browser.reads("There are no such pictures.").await;
        }
    }
    browser.keep("filtered").await;

    // A value says which attribute it is of; a score does not, and the form is kept.
    browser.go("/images?value=Stock&fixed=true").await;
    browser.until("document.querySelectorAll('.card').length === 1").await;
    assert_eq!(browser.see("document.querySelector('[name=attribute]').value").await, json!("image_type"));
    browser.go("/images?score_below=0.5&advertiser=south").await;
    browser.reads("score_below are about an attribute").await;
    assert_eq!(browser.see("document.querySelector('[name=advertiser]').value").await, json!("south"));
    browser.keep("asked-wrongly").await;
    console.stop().await;
    fleet.abandon().await;
}
