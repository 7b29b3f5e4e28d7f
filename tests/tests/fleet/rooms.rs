//! Another trade: nothing about cars is in the code.

use tagfleet_loadtest::origin::Response;
use tagfleet_tests::{Fleet, Options, listed, repository, scrape};

/// `examples/rooms` knows rooms, and keeps bathrooms out of a feed.
#[tokio::test(flavor = "multi_thread")]
async fn a_set_of_another_trade_tags_rooms_and_its_feed_shows_no_bathrooms() {
    let rooms = repository().join("examples/rooms");
    let setting = ("TAGFLEET__MODELS__DIR", rooms.display().to_string());
    let fleet = Fleet::with(Options { settings: vec![setting], ..Options::default() }).await;
    let names = ["frontal", "bathroom", "bedroom"];
    let urls = names.map(|name| {
        let picture = std::fs::read(rooms.join(format!("selftest/{name}.jpg"))).unwrap();
        fleet.origin.put(&format!("/{name}.jpg"), Response::jpeg(picture));
        fleet.origin.url(&format!("/{name}.jpg"))
    });
    let event = scrape("agency", urls.iter().cloned().map(listed).collect());
    let tagged = fleet.tag(&event).await;

    assert_eq!(tagged.outcomes["inferred"], 3);
    for (row, name) in fleet.rows(&event.scrape_id).await.iter().zip(names) {
        assert_eq!(row.tag("room"), name, "{}", row.url);
    }
    let client = fleet.database.pool.get().await.unwrap();
    let shown = client.query("SELECT url FROM feed_images ORDER BY seq", &[]).await.unwrap();
    assert_eq!(shown.iter().map(|row| row.get(0)).collect::<Vec<String>>(), [&urls[0][..], &urls[2]]);
    drop(client);
    fleet.end().await;
}
