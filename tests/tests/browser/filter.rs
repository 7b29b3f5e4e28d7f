//! People look for pictures.

use serde_json::json;
use tagfleet_tests::Fleet;

use crate::chromium::Browser;
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
    let (scrape, url): (String, String) = (row.get(0), row.get(1));

    // Each of 31 pictures is listed by two; the last is gone, and people have corrected the first.
    let asked: [(&[(&str, &str)], usize); 8] = [
        (&[("text", &url)], 2),
        (&[("advertiser", "north")], 31),
        (&[("scrape", &scrape)], 31),
        (&[("attribute", "image_type"), ("value", "Stock")], 1),
        (&[("outcome", "skipped")], 2),
        (&[("fixed", "true")], 2),
        (&[("scrape", &scrape), ("attribute", "color"), ("score_below", "0")], 0),
        (&[("advertiser", "south"), ("fixed", "false"), ("text", &url)], 1),
    ];
    for (fields, count) in asked {
        browser.go("/images").await;
        for (name, value) in fields {
            // What a person types, and what they choose.
            let field = format!("document.querySelector('.filter [name={name}]')");
            browser.see(&format!("{field}.focus()")).await;
            browser.press(value).await;
            assert_eq!(browser.see(&format!("{field}.value !== ''")).await, json!(true), "{name}");
        }
        browser.click(".filter button").await;
        browser.until(&format!("document.querySelectorAll('.card').length === {count}")).await;
        for (name, value) in fields {
            let shown = browser.see(&format!("document.querySelector('.filter [name={name}]').value")).await;
            assert_eq!(shown, json!(value), "{fields:?}");
        }
        if count == 0 {
            browser.reads("There are no such pictures.").await;
        }
    }
    browser.keep("filtered").await;
    console.stop().await;
    fleet.abandon().await;
}
