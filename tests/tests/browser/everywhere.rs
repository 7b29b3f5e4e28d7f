//! Something to look at on every page.

use tagfleet_shared::dead::{self, Filter};
use tagfleet_tests::Fleet;

use crate::inventory;

/// A fleet with something on every page; the addresses of all of them, with their names.
pub async fn something_everywhere(fleet: &Fleet) -> Vec<(&'static str, String)> {
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
    let letter = dead::look(&fleet.broker, Filter::default()).await.unwrap().remove(0);
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
        ("letters", format!("/dead-letters?reason={}", letter.reason)),
        ("letter", format!("/dead-letters/{}", letter.id)),
        ("model-sets", "/model-sets".into()),
        ("problem", "/scrapes/none".into()),
        ("left", "/left".into()),
    ]
}
