//! Images that a marketing feed does not show.

use tagfleet_loadtest::draw::{ImageType, any_picture};
use tagfleet_loadtest::origin::Response;
use tagfleet_shared::fixes;
use tagfleet_shared::ids::ImageId;
use tagfleet_tests::{Fleet, ModelFolder, Options, listed, scrape};

/// Puts a drawn picture of this type on the host; its URL.
fn picture(fleet: &Fleet, image_type: ImageType) -> String {
    let mut drawn = (0..).map(|number| any_picture(4, number, None));
    let wanted =
        drawn.find(|drawn| drawn.truth.image_type == image_type && drawn.content_type == "image/jpeg");
    let path = format!("/{image_type}.jpg");
    fleet.origin.put(&path, Response::jpeg(wanted.unwrap().bytes));
    fleet.origin.url(&path)
}

async fn shown(fleet: &Fleet) -> Vec<String> {
    let client = fleet.database.pool.get().await.unwrap();
    let rows = client.query("SELECT url FROM feed_images ORDER BY seq", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn fix(fleet: &Fleet, url: &str, value: &str) {
    fix_attribute(fleet, url, "image_type", value).await;
}

async fn fix_attribute(fleet: &Fleet, url: &str, attribute: &str, value: &str) {
    let image = ImageId::of(None, url);
    fleet
        .execute(&format!(
            "INSERT INTO fixes (image_id, attribute, value, fixed_by)
             VALUES ('{image}', '{attribute}', '{value}', 'test')
             ON CONFLICT (image_id, advertiser_id, attribute) DO UPDATE SET value = excluded.value"
        ))
        .await;
    fixes::apply(&fleet.database.pool, image).await.unwrap();
}

/// Room, image type or whatever: the rule is the manifest's, and a person's fix counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_feed_shows_no_image_that_its_model_set_excludes() {
    let folder = ModelFolder::new("feed");
    folder.change(|manifest| format!("feed_exclude = {{ image_type = [\"Placeholder\"] }}\n{manifest}"));
    let fleet = Fleet::with(Options { settings: vec![folder.setting()], ..Options::default() }).await;
    let (photo, card) = (picture(&fleet, ImageType::Dealer), picture(&fleet, ImageType::Placeholder));
    let gone = fleet.origin.url("/gone.jpg");
    let event = scrape("dealer", vec![listed(photo.clone()), listed(card.clone()), listed(gone)]);
    fleet.tag(&event).await;

    assert_eq!(shown(&fleet).await, [photo.as_str()]);
    fix(&fleet, &card, "Stock").await;
    assert_eq!(shown(&fleet).await, [photo.as_str(), card.as_str()]);
    fix(&fleet, &photo, "Placeholder").await;
    assert_eq!(shown(&fleet).await, [card]);
    fleet.end().await;
}

/// What lies within an excluded value is excluded, and nothing else that begins like it.
#[tokio::test(flavor = "multi_thread")]
async fn an_excluded_value_excludes_what_lies_within_it() {
    let fleet = Fleet::start().await;
    let event = scrape("dealer", fleet.pictures(4).into_iter().map(listed).collect());
    fleet.tag(&event).await;
    fleet
        .execute(
            r#"UPDATE model_sets SET feed_exclude = '{"room": ["wet"]}';
               UPDATE scrape_images SET tags = jsonb_build_object('room',
                   (ARRAY['wet', 'wet/bathroom', 'wetland', NULL])[seq + 1]);"#,
        )
        .await;
    let rows = fleet.rows(&event.scrape_id).await;
    assert_eq!(shown(&fleet).await, [rows[2].url.clone(), rows[3].url.clone()]);
    fleet.end().await;
}

/// Nobody saw what is on a picture that cannot be read: perhaps what the rule is
/// about. A person who says what it is has seen it.
#[tokio::test(flavor = "multi_thread")]
async fn a_feed_shows_no_image_that_was_defaulted_until_a_fix_says_what_the_rule_is_about() {
    let folder = ModelFolder::new("feed-defaulted");
    folder.change(|manifest| format!("feed_exclude = {{ image_type = [\"Stock\"] }}\n{manifest}"));
    let fleet = Fleet::with(Options { settings: vec![folder.setting()], ..Options::default() }).await;
    fleet.origin.put("/broken.jpg", Response::jpeg([&[0xff, 0xd8, 0xff, 0xe0][..], &[7; 500]].concat()));
    let (photo, broken) = (picture(&fleet, ImageType::Dealer), fleet.origin.url("/broken.jpg"));
    let images = vec![listed(photo.clone()), listed(broken.clone())];
    let tagged = fleet.tag(&scrape("dealer", images.clone())).await;
    assert_eq!(tagged.outcomes["defaulted"], 1);

    assert_eq!(shown(&fleet).await, [photo.as_str()]);
    fix_attribute(&fleet, &broken, "color", "red").await;
    assert_eq!(shown(&fleet).await, [photo.as_str()], "the rule is not about the color");
    fix(&fleet, &broken, "Dealer").await;
    assert_eq!(shown(&fleet).await, [photo.as_str(), broken.as_str()]);

    // Also where the fix was there before the row was.
    fleet.execute("TRUNCATE scrape_images").await;
    fleet.tag(&scrape("dealer", images)).await;
    assert_eq!(shown(&fleet).await, [photo.as_str(), broken.as_str()]);
    fix(&fleet, &broken, "Stock").await;
    assert_eq!(shown(&fleet).await, [photo.as_str()]);
    fleet.execute("UPDATE model_sets SET feed_exclude = '{}'").await;
    assert_eq!(shown(&fleet).await, [photo.as_str()], "no rule, so no fix is about it");
    fleet.end().await;
}
