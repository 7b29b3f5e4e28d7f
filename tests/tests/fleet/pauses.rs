//! What a host's answer for one picture means for its others.

use tagfleet_loadtest::origin::Response;
use tagfleet_tests::{Fleet, Options, jpeg, listed, scrape};

/// Of a host that many share, one path may be closed for a day, and none of the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_to_be_asked_for_tomorrow_ends_no_other_of_its_host() {
    let settings = vec![
        ("TAGFLEET__BROKER__RETRY_DELAYS", "200ms,300ms".to_owned()),
        ("TAGFLEET__DOWNLOAD__LONGEST_PAUSE", "2s".to_owned()),
    ];
    let fleet = Fleet::with(Options { settings, ..Options::default() }).await;
    let tomorrow = Response::StatusThenBytes {
        status: 429,
        times: u64::MAX,
        headers: vec![("Retry-After", "86400".to_owned())],
        body: jpeg().into(),
    };
    fleet.origin.put("/tomorrow.jpg", tomorrow);
    let told = scrape("dealer", vec![listed(fleet.origin.url("/tomorrow.jpg"))]);
    assert_eq!(fleet.tag(&told).await.outcomes["skipped"], 1);

    let others = scrape("neighbour", fleet.pictures(20).into_iter().map(listed).collect());
    let tagged = fleet.tag(&others).await;

    assert_eq!(tagged.outcomes["inferred"], 20, "{:?}", tagged.outcomes);
    assert_eq!(fleet.rows(&told.scrape_id).await[0].end(), ("skipped", "throttled"));
    assert_eq!(fleet.origin.requests("/tomorrow.jpg"), 1, "nobody asks before its time");
    fleet.end().await;
}
