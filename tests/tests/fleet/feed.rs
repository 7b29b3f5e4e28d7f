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
    let image = ImageId::of(None, url);
    fleet
        .execute(&format!(
            "INSERT INTO fixes (image_id, attribute, value, fixed_by)
             VALUES ('{image}', 'image_type', '{value}', 'test')"
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
