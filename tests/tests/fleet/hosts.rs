//! Hosts that are slow, unwell, or ask for patience; and their pictures.

use std::time::Duration;

use tagfleet_loadtest::origin::{Content, Origin, Response};
use tagfleet_shared::events::ScrapeFinished;
use tagfleet_shared::lane::Lane;
use tagfleet_tests::{Fleet, Options, eventually, jpeg, listed, scrape};

/// One host, one turn at a time, and few attempts.
fn impatient() -> Vec<(&'static str, String)> {
    vec![
        ("TAGFLEET__BROKER__RETRY_DELAYS", "200ms,300ms".to_owned()),
        ("TAGFLEET__DOWNLOAD__PER_HOST", "1".to_owned()),
    ]
}

/// Late by `seconds`.
fn late(seconds: f64) -> Response {
    Response::After(Duration::from_secs_f64(seconds), Box::new(Response::jpeg(jpeg())))
}

async fn ended(fleet: &Fleet, event: &ScrapeFinished) -> usize {
    fleet.rows(&event.scrape_id).await.iter().filter(|row| row.outcome.is_some()).count()
}

/// Who was sent away without being asked for has not had an attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_asks_for_patience_gets_it_and_loses_no_picture() {
    let settings = vec![
        ("TAGFLEET__BROKER__RETRY_DELAYS", "200ms,300ms".to_owned()),
        ("TAGFLEET__DOWNLOAD__PER_HOST", "1".to_owned()),
    ];
    let fleet = Fleet::with(Options { settings, ..Options::default() }).await;
    let busy = Response::StatusThenBytes {
        status: 429,
        times: 1,
        headers: vec![("Retry-After", "2".to_owned())],
        body: jpeg().into(),
    };
    fleet.origin.put("/busy.jpg", busy);
    let mut urls = vec![fleet.origin.url("/busy.jpg")];
    urls.extend(fleet.pictures(20));

    let event = scrape("dealer", urls.into_iter().map(listed).collect());
    let tagged = fleet.tag(&event).await;

    assert_eq!(tagged.outcomes["skipped"], 0, "{:?}", tagged.outcomes);
    assert_eq!(fleet.origin.requests("/busy.jpg"), 2);
    fleet.end().await;
}

/// Far beyond the longest delay of the retry queues, and whichever worker the
/// job comes back to.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_not_asked_for_before_the_second_that_its_host_has_named() {
    let fleet = Fleet::with(Options { settings: impatient(), workers: 2, ..Options::default() }).await;
    let busy = Response::StatusThenBytes {
        status: 503,
        times: 1,
        headers: vec![("Retry-After", "3".to_owned())],
        body: jpeg().into(),
    };
    fleet.origin.put("/busy.jpg", busy);

    let tagged = fleet.tag(&scrape("dealer", vec![listed(fleet.origin.url("/busy.jpg"))])).await;

    assert_eq!(tagged.outcomes["inferred"], 1, "{:?}", tagged.outcomes);
    let moments = fleet.origin.moments("/busy.jpg");
    assert_eq!(moments.len(), 2);
    assert!(moments[1] - moments[0] >= Duration::from_secs(3), "{:?}", moments[1] - moments[0]);
    fleet.end().await;
}

/// They wait for each other, and for nobody else's place.
#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_a_slow_host_take_no_place_from_those_of_others() {
    let settings =
        vec![("TAGFLEET__WORK__PICTURES", "16".to_owned()), ("TAGFLEET__DOWNLOAD__PER_HOST", "4".to_owned())];
    let fleet = Fleet::with(Options { settings, ..Options::default() }).await;
    let slow = Origin::start(Content::Nothing).unwrap();
    let late = Response::After(Duration::from_secs(2), Box::new(Response::jpeg(jpeg())));
    let paths: Vec<_> = (0..40).map(|i| format!("/{i}.jpg")).collect();
    paths.iter().for_each(|path| slow.put(path, late.clone()));
    let mut urls: Vec<_> = paths.iter().map(|path| slow.url(path)).collect();
    urls.extend(fleet.pictures(20));
    let event = scrape("dealer", urls.into_iter().map(listed).collect());
    fleet.publish(&event).await;

    tagfleet_tests::eventually("those of the quick host are done before the slow one's", || async {
        let rows = fleet.rows(&event.scrape_id).await;
        let quick = rows.len() == 60 && rows[40..].iter().all(|row| row.outcome.is_some());
        quick.then(|| assert!(rows[16..40].iter().any(|row| row.outcome.is_none())))
    })
    .await;
    assert_eq!(fleet.announced(&event.scrape_id).await.outcomes["skipped"], 0);
    assert!(slow.most_at_once() <= 4, "{} requests at once", slow.most_at_once());
    fleet.end().await;
}

/// One picture that its host always puts off costs its neighbours time, and
/// none of them an attempt: nobody is given up who was not asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_always_put_off_costs_its_neighbours_no_attempt() {
    let fleet = Fleet::with(Options { settings: impatient(), ..Options::default() }).await;
    let resized = Response::StatusThenBytes {
        status: 503,
        times: u64::MAX,
        headers: vec![("Retry-After", "1".to_owned())],
        body: jpeg().into(),
    };
    let paths: Vec<_> = (0..3).map(|i| format!("/resized-{i}.jpg")).collect();
    paths.iter().for_each(|path| fleet.origin.put(path, resized.clone()));
    let mut urls: Vec<_> = paths.iter().map(|path| fleet.origin.url(path)).collect();
    urls.extend(fleet.pictures(20));

    let event = scrape("dealer", urls.into_iter().map(listed).collect());
    let tagged = fleet.tag(&event).await;

    assert_eq!((tagged.outcomes["inferred"], tagged.outcomes["skipped"]), (20, 3), "{:?}", tagged.outcomes);
    assert!(
        fleet.rows(&event.scrape_id).await[..3].iter().all(|row| row.end() == ("skipped", "server_error"))
    );
    for path in &paths {
        assert_eq!(fleet.origin.requests(path), 3, "every attempt was a question to the host");
    }
    fleet.end().await;
}

/// A small scrape does not wait behind a large one, though all their pictures
/// are on one host.
#[tokio::test(flavor = "multi_thread")]
async fn lanes_take_turns_at_a_host() {
    let mut settings = impatient();
    settings.push(("TAGFLEET__WORK__PREFETCH", "64".to_owned()));
    let fleet = Fleet::with(Options { settings, ..Options::default() }).await;
    let paths: Vec<_> = (0..48).map(|i| format!("/{i}.jpg")).collect();
    paths.iter().for_each(|path| fleet.origin.put(path, late(0.3)));
    let urls: Vec<_> = paths.iter().map(|path| listed(fleet.origin.url(path))).collect();
    let (bulk, express) = urls.split_at(45);
    let bulk = ScrapeFinished { lane: Some(Lane::Bulk), ..scrape("large", bulk.to_vec()) };
    let express = ScrapeFinished { lane: Some(Lane::Express), ..scrape("small", express.to_vec()) };
    fleet.publish(&bulk).await;
    fleet.requested("/0.jpg", 1).await;
    eventually("all of the large one are at work", || async {
        fleet.queues_are_empty().await;
        (fleet.rows(&bulk.scrape_id).await.len() == 45).then_some(())
    })
    .await;

    fleet.tag(&express).await;

    let done = ended(&fleet, &bulk).await;
    assert!(done < 35, "{done} of the large one were done before the small one");
    assert_eq!(fleet.announced(&bulk.scrape_id).await.outcomes["inferred"], 45);
    fleet.end().await;
}

/// A host that answers slowly, and never fails, holds no more jobs of a worker
/// than it can serve in a while: the others are put off, and cost no attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_host_does_not_take_the_whole_prefetch() {
    let mut settings = impatient();
    settings.push(("TAGFLEET__WORK__PREFETCH", "64".to_owned()));
    let fleet = Fleet::with(Options { settings, ..Options::default() }).await;
    let slow = Origin::start(Content::Nothing).unwrap();
    let paths: Vec<_> = (0..120).map(|i| format!("/{i}.jpg")).collect();
    paths.iter().for_each(|path| slow.put(path, late(4.0)));
    let mut urls: Vec<_> = paths.iter().map(|path| slow.url(path)).collect();
    urls.extend(fleet.pictures(40));
    let event = scrape("dealer", urls.into_iter().map(listed).collect());
    fleet.publish(&event).await;

    eventually("those of the quick host are done", || async {
        let rows = fleet.rows(&event.scrape_id).await;
        (rows.len() == 160 && rows[120..].iter().all(|row| row.outcome.is_some())).then_some(())
    })
    .await;
    let done = ended(&fleet, &event).await - 40;
    assert!(done < 20, "{done} of the slow host were done before those of the quick one");
    paths.iter().for_each(|path| slow.put(path, Response::jpeg(jpeg())));
    assert_eq!(fleet.announced(&event.scrape_id).await.outcomes["skipped"], 0);
    fleet.end().await;
}
