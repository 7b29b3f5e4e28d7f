//! Who decides: a fix for the advertiser, a fix for everyone, what the scrape
//! configured, the models.

use futures::future::join_all;
use tagfleet_shared::events::ListedImage;
use tagfleet_shared::fixes::{self, Correction, Place, Verdict};
use tagfleet_shared::ids::ImageId;
use tagfleet_tests::{Fleet, Options, listed, scrape};

async fn correct(fleet: &Fleet, url: &str, advertiser: &str, verdict: Verdict<'_>) {
    let correction = Correction {
        images: &[ImageId::of(None, url)],
        place: Place { advertiser, attribute: "color" },
        verdict,
        by: "test",
        note: None,
    };
    fixes::fix(&fleet.database.pool, &correction).await.unwrap();
}

async fn fix(fleet: &Fleet, url: &str, advertiser: &str, color: &str) {
    correct(fleet, url, advertiser, Verdict::Set(Some(color))).await;
}

async fn color(fleet: &Fleet, advertiser: &str, url: &str) -> String {
    let event = scrape(advertiser, vec![listed(url)]);
    fleet.tag(&event).await;
    fleet.rows(&event.scrape_id).await[0].tag("color").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_colour_wins_over_the_models() {
    let fleet = Fleet::start().await;
    let configured = [("color", Some("mauve"))].into_iter().collect();
    let image =
        ListedImage { url: fleet.picture("/a.jpg"), configured: Some(configured), ..Default::default() };
    let legacy = [("color", Some("N/A"))].into_iter().collect();
    let unstated = ListedImage { url: image.url.clone(), configured: Some(legacy), ..Default::default() };
    let plain = listed(image.url.clone());

    let event = scrape("dealer", vec![image, unstated, plain]);
    fleet.tag(&event).await;

    let rows = fleet.rows(&event.scrape_id).await;
    assert_eq!(rows[0].tag("color"), "mauve");
    assert_eq!(rows[0].tag("image_type"), rows[2].tag("image_type"));
    assert_eq!(rows[1].tag("color"), rows[2].tag("color"), "N/A states nothing");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fix_wins_and_survives_a_rescrape() {
    let fleet = Fleet::start().await;
    let url = fleet.picture("/a.jpg");
    let configured = [("color", Some("red"))].into_iter().collect();
    let image = ListedImage { url: url.clone(), configured: Some(configured), ..Default::default() };
    let before = scrape("dealer", vec![image.clone()]);
    fleet.tag(&before).await;

    fix(&fleet, &url, "dealer", "teal").await;

    assert_eq!(fleet.rows(&before.scrape_id).await[0].tag("color"), "teal", "a finished scrape is corrected");
    let after = scrape("dealer", vec![image]);
    fleet.tag(&after).await;
    assert_eq!(fleet.rows(&after.scrape_id).await[0].tag("color"), "teal");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn advertisers_fix_a_shared_picture_each_for_themselves() {
    let fleet = Fleet::start().await;
    let url = fleet.picture("/shared.jpg");
    let models = color(&fleet, "third", &url).await;
    fix(&fleet, &url, "first", "teal").await;
    fix(&fleet, &url, "second", "plum").await;

    assert_eq!(color(&fleet, "first", &url).await, "teal");
    assert_eq!(color(&fleet, "second", &url).await, "plum");
    assert_eq!(color(&fleet, "third", &url).await, models);

    fix(&fleet, &url, "", "gold").await;
    assert_eq!(color(&fleet, "first", &url).await, "teal", "the advertiser's own wins over everyone's");
    assert_eq!(color(&fleet, "third", &url).await, "gold");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_fix_gives_the_machines_value_back() {
    let fleet = Fleet::start().await;
    let url = fleet.picture("/a.jpg");
    let event = scrape("dealer", vec![listed(url.clone())]);
    fleet.tag(&event).await;
    let models = fleet.rows(&event.scrape_id).await[0].tag("color").to_owned();
    fix(&fleet, &url, "dealer", "teal").await;

    correct(&fleet, &url, "dealer", Verdict::Withdraw).await;

    assert_eq!(fleet.rows(&event.scrape_id).await[0].tag("color"), models);
    let history = fleet.count("SELECT count(*) FROM fix_history").await;
    assert_eq!(history, 2, "set and withdrawn");
    fleet.end().await;
}

/// A fix that commits while a worker writes the same image is not lost.
#[tokio::test(flavor = "multi_thread")]
async fn fixes_that_race_with_the_workers_are_never_lost() {
    let fleet = Fleet::with(Options { workers: 2, ..Options::default() }).await;
    let urls = fleet.pictures(20);
    fleet.tag(&scrape("warm-up", urls.iter().cloned().map(listed).collect())).await;
    for round in 0..10 {
        let color = format!("round-{round}");
        let event = scrape("dealer", urls.iter().cycle().take(100).cloned().map(listed).collect());
        let fixes = async { join_all(urls.iter().map(|url| fix(&fleet, url, "dealer", &color))).await };
        tokio::join!(fleet.tag(&event), fixes);
        for row in fleet.rows(&event.scrape_id).await {
            assert_eq!(row.tag("color"), color, "{} of round {round}", row.url);
        }
    }
    fleet.end().await;
}
