//! Sets of several stages, and models that have no answer.

use std::collections::BTreeMap;

use tagfleet_loadtest::draw::{ImageType, any_picture};
use tagfleet_loadtest::origin::Response;
use tagfleet_shared::tags::{Scores, Tags};
use tagfleet_tests::{
    Fleet, ModelFolder, Options, colours, get, listed, metric, plain_png, scrape, with_second_stage,
};
use tokio_postgres::types::Json;

/// What the models said of every image that they were asked about, by its URL.
async fn answers(fleet: &Fleet) -> BTreeMap<String, (Tags, Scores)> {
    let client = fleet.database.pool.get().await.unwrap();
    let sql =
        "SELECT DISTINCT i.url, t.tags, t.scores FROM scrape_images i JOIN image_tags t USING (image_id)";
    let rows = client.query(sql, &[]).await.unwrap();
    let row = |row: &tokio_postgres::Row| {
        let (Json(tags), Json(scores)): (Json<Tags>, Json<Scores>) = (row.get(1), row.get(2));
        (row.get(0), (tags, scores))
    };
    rows.iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_download_and_one_decode_serve_all_stages() {
    let folder = ModelFolder::new("chain");
    with_second_stage(&folder);
    let fleet = Fleet::with(Options { settings: vec![folder.setting()], ..Options::default() }).await;
    let mut paths = Vec::new();
    for (number, image_type) in
        [ImageType::Dealer, ImageType::Stock, ImageType::Placeholder].into_iter().cycle().take(9).enumerate()
    {
        let mut drawn = (100 * number as u64..).map(|number| any_picture(4, number, None));
        let wanted = drawn.find(|drawn| drawn.truth.image_type == image_type).unwrap();
        let path = format!("/{number}-{image_type}");
        fleet.origin.put(&path, Response::jpeg(wanted.bytes));
        paths.push(path);
    }
    let images: Vec<_> = paths.iter().map(|path| listed(fleet.origin.url(path))).collect();
    assert_eq!(fleet.tag(&scrape("dealer", images)).await.outcomes["inferred"], 9);

    for path in &paths {
        assert_eq!(fleet.origin.requests(path), 1, "{path}");
    }
    let text = get(fleet.workers[0].admin, "/metrics").await.1;
    for stage in ["download", "decode"] {
        let times = format!(r#"tagfleet_worker_stage_seconds_count{{stage="{stage}"}}"#);
        assert_eq!(metric(&text, &times), 9.0, "{stage}");
    }
    // The second stage ran for those that the first gave the value that it asks for.
    let answers = answers(&fleet).await;
    let mut ran = 0;
    for (url, (tags, scores)) in &answers {
        let wanted = tags.get("image_type") == Some("Dealer");
        assert_eq!(scores.0.contains_key("tint"), wanted, "{url}: {tags:?}");
        assert_eq!(tags.get("tint").is_some(), wanted, "{url}: {tags:?}");
        ran += usize::from(wanted);
    }
    assert!(
        answers.len() == 9 && (1..9).contains(&ran),
        "the second stage ran for {ran} of {}",
        answers.len()
    );
    fleet.end().await;
}

/// A model whose logits are not numbers has said nothing: that is no answer to keep.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_on_which_the_model_fails_is_defaulted_and_asked_for_again() {
    let folder = ModelFolder::new("not-finite");
    colours(&folder);
    let fleet = Fleet::with(Options { settings: vec![folder.setting()], ..Options::default() }).await;
    let mut images = Vec::new();
    for (path, rgb) in [("/red", [255, 0, 0]), ("/blue", [0, 0, 255]), ("/green", [0, 255, 0])] {
        fleet.origin.put(path, Response::jpeg(plain_png(20, 10, rgb)));
        images.push(listed(fleet.origin.url(path)));
    }
    let event = scrape("dealer", images.clone());
    let tagged = fleet.tag(&event).await;
    assert_eq!((tagged.outcomes["inferred"], tagged.outcomes["defaulted"]), (2, 1));
    let rows = fleet.rows(&event.scrape_id).await;
    assert_eq!(
        (rows[0].end(), rows[0].tag("channel")),
        (("defaulted", "inference"), "green"),
        "the defaults"
    );
    for (row, channel) in [(&rows[1], "blue"), (&rows[2], "green")] {
        assert_eq!((row.end(), row.tag("channel"), row.tag("broken")), (("inferred", ""), channel, "null"));
    }
    assert_eq!(answers(&fleet).await.len(), 2);
    assert_eq!(fleet.count("SELECT count(*) FROM image_failures").await, 0);

    let tagged = fleet.tag(&scrape("dealer", images)).await;
    assert_eq!((tagged.outcomes["cached"], tagged.outcomes["defaulted"]), (2, 1));
    assert_eq!((fleet.origin.requests("/red"), fleet.origin.requests("/blue")), (2, 1));
    fleet.end().await;
}
