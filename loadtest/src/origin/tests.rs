//! What a plain TCP client gets from the origin.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{Content, Origin, Response};
use crate::draw::{EntryKind, Inventory, Options, Size};

/// Sends a request and leaves the connection open.
fn ask(origin: &Origin, path: &str) -> TcpStream {
    let mut connection = TcpStream::connect(origin.address()).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(connection, "GET {path} HTTP/1.1\r\nHost: origin\r\nConnection: close\r\n\r\n").unwrap();
    connection
}

/// The head of the response as text, and the body.
fn get(origin: &Origin, path: &str) -> (String, Vec<u8>) {
    let mut received = Vec::new();
    // A connection that breaks off is part of what is tested: what came before counts.
    let _ = ask(origin, path).read_to_end(&mut received);
    let end = received.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(received[..end].to_vec()).unwrap().to_lowercase();
    (head, received.split_off(end + 4))
}

fn origin() -> Origin {
    Origin::start(Content::Nothing).unwrap()
}

const BODY: Bytes = Bytes::from_static(b"0123456789");

#[test]
fn an_inventory_is_served_with_its_dead_links() {
    let options = Options { size: Some(Size::new(64, 48)), originals: 3, dead: 0.3, ..Options::default() };
    let inventory = Arc::new(Inventory::draw(5, 30, &options));
    let origin = Origin::start(Content::Inventory(Arc::clone(&inventory))).unwrap();

    for entry in inventory.entries() {
        let (head, body) = get(&origin, &entry.path);
        match entry.file() {
            Some((content_type, bytes)) => {
                assert!(head.contains(&format!("content-type: {content_type}")), "{head}");
                assert_eq!(body, bytes);
            }
            None => assert!(head.starts_with("http/1.1 404"), "{head}"),
        }
    }

    assert!(inventory.entries().iter().any(|entry| entry.kind == EntryKind::Dead));
    assert_eq!(origin.total_requests(), 30);
}

#[test]
fn a_folder_is_served_and_nothing_outside_it() {
    let folder = std::env::temp_dir().join(format!("tagfleet-origin-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("inner")).unwrap();
    std::fs::write(folder.join("inner/a.png"), "picture").unwrap();
    std::fs::write(folder.join("secret.txt"), "secret").unwrap();
    let origin = Origin::start(Content::Directory(folder.join("inner"))).unwrap();

    let (head, body) = get(&origin, "/a.png");
    let (outside, _) = get(&origin, "/../secret.txt");
    std::fs::remove_dir_all(&folder).unwrap();

    assert!(head.contains("content-type: image/png"), "{head}");
    assert_eq!(body, b"picture");
    assert!(outside.starts_with("http/1.1 404"), "{outside}");
}

#[test]
fn requests_and_bytes_are_counted() {
    let origin = origin();
    origin.put("/a.jpg", Response::jpeg(BODY));

    get(&origin, "/a.jpg");
    get(&origin, "/a.jpg");
    get(&origin, "/missing.jpg");

    assert_eq!(origin.requests("/a.jpg"), 2);
    assert_eq!(origin.requests("/missing.jpg"), 1);
    assert_eq!(origin.requests("/never.jpg"), 0);
    assert_eq!(origin.total_requests(), 3);
    assert_eq!(origin.bytes_sent(), 20);
    assert_eq!(origin.most_at_once(), 1);
}

#[test]
fn a_status_for_a_while_then_the_picture() {
    let origin = origin();
    let headers = vec![("Retry-After", "7".to_owned())];
    origin.put("/a.jpg", Response::StatusThenBytes { status: 429, times: 2, headers, body: BODY });

    let answers = [0; 3].map(|_| get(&origin, "/a.jpg"));

    for (head, _) in &answers[..2] {
        assert!(head.starts_with("http/1.1 429") && head.contains("retry-after: 7"), "{head}");
    }
    assert!(answers[2].0.starts_with("http/1.1 200"));
    assert_eq!(answers[2].1, BODY);
}

#[test]
fn a_slow_body_takes_its_time_and_arrives_whole() {
    let origin = origin();
    origin.put("/a.jpg", Response::SlowBody { body: BODY, bytes_per_second: 40 });
    let begun = Instant::now();

    let (_, body) = get(&origin, "/a.jpg");

    assert_eq!(body, BODY);
    assert!(begun.elapsed() >= Duration::from_millis(180), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_stalled_request_is_counted_and_never_answered() {
    let origin = origin();
    origin.put("/a.jpg", Response::Stall);

    let mut connection = ask(&origin, "/a.jpg");
    origin.until_requested("/a.jpg", 1).await;

    connection.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
    assert!(connection.read(&mut [0; 1]).is_err());
}

/// A test that has seen a request puts something else there for the next one.
#[tokio::test]
async fn what_is_put_after_a_request_was_counted_is_for_the_next_one() {
    let origin = origin();
    for n in 1..=200 {
        origin.put("/a.jpg", Response::jpeg(BODY));
        let mut connection = ask(&origin, "/a.jpg");
        origin.until_requested("/a.jpg", n).await;
        origin.put("/a.jpg", Response::Status(404));

        let mut received = Vec::new();
        connection.read_to_end(&mut received).unwrap();

        assert!(received.ends_with(&BODY), "request {n}: {}", String::from_utf8_lossy(&received));
    }
}

/// Dropping the origin ends what is in flight, so that a test never hangs on its own fault.
#[test]
fn a_dropped_origin_hangs_up() {
    let origin = origin();
    origin.put("/a.jpg", Response::Stall);
    let mut connection = ask(&origin, "/a.jpg");
    while origin.requests("/a.jpg") == 0 {
        std::thread::yield_now();
    }
    let address = origin.address();

    drop(origin);

    assert!(!matches!(connection.read(&mut [0; 1]), Ok(1)));
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn redirects_can_form_a_loop() {
    let origin = origin();
    origin.put("/a.jpg", Response::RedirectTo("/a.jpg".to_owned()));

    let (head, _) = get(&origin, "/a.jpg");

    assert!(head.starts_with("http/1.1 302") && head.contains("location: /a.jpg"), "{head}");
}

#[test]
fn an_endless_body_has_no_length_and_goes_on() {
    const ENOUGH: usize = 3_000_000;
    let origin = origin();
    origin.put("/a.jpg", Response::Endless);
    let mut received = vec![0; ENOUGH];

    ask(&origin, "/a.jpg").read_exact(&mut received).unwrap();

    let head = String::from_utf8_lossy(&received[..400]).to_lowercase();
    assert!(!head.contains("content-length"), "{head}");
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
}

#[test]
fn a_length_can_be_a_lie() {
    let origin = origin();
    origin.put("/long.jpg", Response::LyingLength { claimed: 1_000_000, body: BODY });
    origin.put("/short.jpg", Response::LyingLength { claimed: 4, body: BODY });

    let (long_head, long) = get(&origin, "/long.jpg");
    let (short_head, short) = get(&origin, "/short.jpg");

    assert!(long_head.contains("content-length: 1000000"), "{long_head}");
    assert_eq!(long, BODY);
    assert!(short_head.contains("content-length: 4"), "{short_head}");
    assert!(BODY.starts_with(&short) && short.len() <= 4);
}

#[test]
fn requests_at_the_same_time_are_counted() {
    let origin = origin();
    let later = Response::After(Duration::from_secs(2), Box::new(Response::jpeg(BODY)));
    origin.put("/a.jpg", later);

    let open = [0; 3].map(|_| ask(&origin, "/a.jpg"));
    for mut connection in open {
        let mut received = Vec::new();
        connection.read_to_end(&mut received).unwrap();
        assert!(received.ends_with(&BODY));
    }

    assert_eq!(origin.most_at_once(), 3);
}

#[test]
fn a_host_can_be_slow_and_unwell_in_turns_with_what_it_has() {
    let options = Options { size: Some(Size::new(64, 48)), originals: 3, dead: 0.0, ..Options::default() };
    let inventory = Arc::new(Inventory::draw(5, 30, &options));
    let origin = Origin::start(Content::Inventory(Arc::clone(&inventory))).unwrap();
    let (path, picture) =
        inventory.entries().iter().find_map(|entry| Some((&entry.path, entry.file()?.1))).unwrap();

    let delay = Duration::from_millis(300);
    origin.overrule(Some(Response::After(delay, Box::new(Response::Usual))));
    let asked = Instant::now();
    assert_eq!(get(&origin, path).1, picture);
    assert!(asked.elapsed() >= delay);

    let turns = Box::new([Response::Status(503), Response::Usual]);
    origin.overrule(Some(Response::InTurns(Duration::from_millis(100), turns)));
    let is_well = || get(&origin, path).1 == picture;
    for well in [true, false, true, false] {
        while is_well() != well {}
    }
}
