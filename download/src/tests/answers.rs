//! What the server answers, and what becomes of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::{Timestamp, ToSpan, fmt::rfc2822};

use super::server::{Act, Server, chunk, chunked, ok, send, status};
use super::{config, downloader, fetch, get, image, reason};
use crate::{Cause, DownloadError, Transient};

#[tokio::test]
async fn an_image_arrives_unchanged() {
    let server = Server::start(|_| ok(&image(70_000))).await;

    let body = fetch(config(), &server.url("/a.jpg")).await.unwrap();

    assert_eq!(body, image(70_000));
}

#[tokio::test]
async fn a_body_without_a_length_ends_with_the_connection() {
    let server = Server::start(|_| {
        let head = b"HTTP/1.0 200 OK\r\n\r\n".to_vec();
        vec![Act::Send(head), Act::Send(image(5_000)), Act::Close]
    })
    .await;

    assert_eq!(fetch(config(), &server.url("/")).await.unwrap(), image(5_000));
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = Server::start(|_| ok(&image(1_000))).await;
    let downloader = downloader(config());

    for path in ["/1.jpg", "/2.jpg", "/3.jpg"] {
        get(&downloader, &server.url(path)).await.unwrap();
    }

    assert_eq!(server.requests().len(), 3);
    assert_eq!(server.connections(), 1);
}

/// A site that is taken down piece by piece answers little else.
#[tokio::test]
async fn connections_outlive_an_error_page() {
    let page = format!("HTTP/1.1 404 Not Found\r\nContent-Length: 2000\r\n\r\n{}", " ".repeat(2_000));
    let server = Server::start(move |_| send(&page)).await;
    let downloader = downloader(config());

    for path in ["/1.jpg", "/2.jpg", "/3.jpg"] {
        assert_eq!(get(&downloader, &server.url(path)).await.unwrap_err().reason(), "gone");
    }

    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn the_request_says_who_asks_and_for_what() {
    let server = Server::start(|_| ok(&image(10))).await;

    fetch(config(), &server.url("/a.jpg?w=1#top")).await.unwrap();

    let request = server.requests().remove(0);
    let agent = concat!("user-agent: tagfleet/", env!("CARGO_PKG_VERSION"), "\r\n");
    assert!(request.starts_with("get /a.jpg?w=1 http/1.1\r\n"), "{request}");
    assert!(request.contains(agent), "{request}");
    assert!(request.contains("accept: image/jpeg,"), "{request}");
    assert!(request.contains("accept-encoding: identity\r\n"), "{request}");
}

#[tokio::test]
async fn a_page_under_the_name_of_an_image_is_not_an_image() {
    let page = b"<!DOCTYPE html><title>Not found</title>";
    for body in [page.as_slice(), b"{\"error\": 404}", b"no such image"] {
        let server = Server::start(move |_| ok(body)).await;
        assert_eq!(reason(config(), &server.url("/a.jpg")).await, "not_an_image");
    }
}

/// The body never ends, so only its start can have told.
#[tokio::test]
async fn a_page_is_given_up_at_its_first_bytes() {
    let server = Server::start(|_| {
        let page = [b"<html>".as_slice(), &[b' '; 600]].concat();
        vec![chunked(), chunk(&page), Act::Stall]
    })
    .await;

    assert_eq!(reason(config(), &server.url("/a.jpg")).await, "not_an_image");
}

#[tokio::test]
async fn the_content_type_does_not_decide() {
    let server = Server::start(|_| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100\r\n\r\n";
        vec![Act::Send(head.into()), Act::Send(image(100))]
    })
    .await;

    assert_eq!(fetch(config(), &server.url("/a.jpg")).await.unwrap(), image(100));
}

#[tokio::test]
async fn an_empty_body_is_empty() {
    let server = Server::start(|_| ok(b"")).await;
    assert_eq!(reason(config(), &server.url("/")).await, "empty");

    let server = Server::start(|_| vec![chunked(), chunk(b"")]).await;
    assert_eq!(reason(config(), &server.url("/")).await, "empty");
}

#[tokio::test]
async fn statuses_become_reasons() {
    let server = Server::start(|path| status(&path[1..].replace('/', " "), "")).await;

    for (path, word) in [
        ("/404/Not", "gone"),
        ("/410/Gone", "gone"),
        ("/403/Forbidden", "denied"),
        ("/400/Bad", "bad_status"),
        ("/302/Found", "bad_status"),
        ("/204/Nothing", "bad_status"),
        ("/206/Partial", "bad_status"),
        ("/304/Same", "bad_status"),
        ("/408/Slow", "timeout"),
        ("/429/Many", "throttled"),
        ("/503/Down", "server_error"),
    ] {
        assert_eq!(reason(config(), &server.url(path)).await, word, "{path}");
    }
}

/// Whatever a server answers with, it has one word, and the same the next time.
#[tokio::test]
async fn every_bad_body_has_its_reason() {
    let body = |headers: &str, body: &[u8]| {
        let mut bytes = format!("HTTP/1.1 200 OK\r\n{headers}\r\n").into_bytes();
        bytes.extend_from_slice(body);
        vec![Act::Send(bytes), Act::Close]
    };
    let long = "Content-Length: 2000\r\n";
    let server = Server::start(move |path| match path {
        "/claims-more" => body(long, &image(100)),
        "/claims-more-and-sends-nothing" => body(long, b""),
        "/claims-a-negative" => body("Content-Length: -1\r\n", &image(100)),
        "/claims-two-lengths" => body("Content-Length: 100\r\nContent-Length: 50\r\n", &image(100)),
        "/claims-no-number" => body("Content-Length: many\r\n", &image(100)),
        "/broken-chunk" => body("Transfer-Encoding: chunked\r\n", b"zz\r\nimage"),
        "/huge-chunk" => body("Transfer-Encoding: chunked\r\n", b"ffffffffffffffff0\r\nimage"),
        "/half-a-chunk" => body("Transfer-Encoding: chunked\r\n", b"64\r\nimage"),
        "/no-length-and-nothing" => body("Connection: close\r\n", b""),
        "/html.jpg" => body("Content-Type: image/jpeg\r\n", b"\n<!DOCTYPE html><body>404"),
        "/json.jpg" => body("Content-Type: image/jpeg\r\n", b"[{\"error\":404}]"),
        "/xml.jpg" => body("Content-Type: image/jpeg\r\n", b"<?xml version='1.0'?><Error>NoSuchKey</Error>"),
        "/svg.jpg" => body("Content-Type: image/jpeg\r\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        "/headers-without-end" => send(&format!("HTTP/1.1 200 OK\r\n{}", "X-Long: x\r\n".repeat(50_000))),
        _ => status(&format!("{} Word", &path[1..]), "Retry-After: soon\r\n"),
    })
    .await;

    for (path, word) in [
        ("/claims-more", "truncated"),
        ("/claims-more-and-sends-nothing", "truncated"),
        ("/claims-a-negative", "connection"),
        ("/claims-two-lengths", "connection"),
        ("/claims-no-number", "connection"),
        ("/broken-chunk", "connection"),
        ("/huge-chunk", "connection"),
        ("/half-a-chunk", "truncated"),
        ("/no-length-and-nothing", "empty"),
        ("/html.jpg", "not_an_image"),
        ("/json.jpg", "not_an_image"),
        ("/xml.jpg", "not_an_image"),
        ("/svg.jpg", "not_an_image"),
        ("/headers-without-end", "connection"),
        ("/204", "bad_status"),
        ("/206", "bad_status"),
        ("/304", "bad_status"),
        ("/401", "denied"),
        ("/403", "denied"),
        ("/404", "gone"),
        ("/410", "gone"),
        ("/429", "throttled"),
        ("/451", "denied"),
        ("/500", "server_error"),
        ("/502", "server_error"),
        ("/503", "server_error"),
        ("/504", "server_error"),
    ] {
        for _ in 0..2 {
            assert_eq!(reason(config(), &server.url(path)).await, word, "{path}");
        }
    }
}

/// What comes after the announced end belongs to nobody.
#[tokio::test]
async fn a_body_that_is_longer_than_its_length_is_cut_off_there() {
    let server = Server::start(|_| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n".to_vec();
        vec![Act::Send(head), Act::Send(image(5_000)), Act::Close]
    })
    .await;

    assert_eq!(fetch(config(), &server.url("/")).await.unwrap(), image(100));
}

/// Nor is it taken for the answer to the next question, which goes out over another connection. A host that
/// sends it only then answers for itself alone: no two hosts share a connection.
#[tokio::test]
async fn what_follows_a_body_that_is_longer_than_its_length_answers_nothing() {
    let server = Server::start(|path| match path {
        "/long.jpg" => {
            let [head, more] = [100, 300]
                .map(|len| format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n").into_bytes());
            vec![Act::Send([head, image(100), more, image(300)].concat())]
        }
        _ => ok(&image(200)),
    })
    .await;
    let downloader = downloader(config());

    assert_eq!(get(&downloader, &server.url("/long.jpg")).await.unwrap(), image(100));
    assert_eq!(get(&downloader, &server.url("/next.jpg")).await.unwrap(), image(200));
    assert_eq!((server.requests().len(), server.connections()), (2, 2));
}

/// Nothing is unpacked, so nothing explodes: nobody has asked for an encoding,
/// and the decoder says of a packed picture that it is none.
#[tokio::test]
async fn a_packed_body_stays_packed() {
    let packed = [b"\x1f\x8b\x08\0\0\0\0\0\0\xff".as_slice(), &[0; 1_000]].concat();
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip, gzip"] {
        let sent = packed.clone();
        let server = Server::start(move |_| {
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: 1010\r\n\r\n");
            vec![Act::Send(head.into()), Act::Send(sent.clone())]
        })
        .await;

        assert_eq!(fetch(config(), &server.url("/a.jpg")).await.unwrap(), packed, "{encoding}");
    }
}

#[tokio::test]
async fn the_server_may_say_in_seconds_when_to_come_back() {
    let server = Server::start(|_| status("429 Too Many Requests", "Retry-After: 7\r\n")).await;

    let error = fetch(config(), &server.url("/")).await.unwrap_err();

    let retry_after = Some(Duration::from_secs(7));
    let throttled = Transient { retry_after, ..Cause::Throttled(429).into() };
    assert_eq!(error, DownloadError::Transient(throttled));
}

#[tokio::test]
async fn the_server_may_say_by_date_when_to_come_back() {
    let server = Server::start(|_| {
        let date = Timestamp::now() + 1.hour();
        let date = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).unwrap();
        status("503 Service Unavailable", &format!("Retry-After: {date}\r\n"))
    })
    .await;

    let error = fetch(config(), &server.url("/")).await.unwrap_err();

    let DownloadError::Transient(Transient { cause, retry_after: Some(wait), .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(cause, Cause::ServerError(503));
    assert!(wait > Duration::from_secs(3_500) && wait <= Duration::from_secs(3_600), "{wait:?}");
}

#[tokio::test]
async fn a_body_that_ends_early_is_truncated() {
    let server = Server::start(|_| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n".to_vec();
        vec![Act::Send(head), Act::Send(image(1_999)), Act::Close]
    })
    .await;
    assert_eq!(reason(config(), &server.url("/")).await, "truncated");

    let server = Server::start(|_| vec![chunked(), chunk(&image(1_999)), Act::Close]).await;
    assert_eq!(reason(config(), &server.url("/")).await, "truncated");
}

#[tokio::test]
async fn a_connection_that_is_refused_or_breaks_may_be_tried_again() {
    let refusing = Server::start(|_| vec![]).await.url("/");
    assert_eq!(reason(config(), &refusing).await, "connection");

    let talking = Server::start(|_| send("SSH-2.0-OpenSSH_9.2\r\n\r\n")).await;
    assert_eq!(reason(config(), &talking.url("/")).await, "connection");
}

#[tokio::test]
async fn a_connection_that_closes_before_the_answer_is_replaced_once() {
    let closed = AtomicBool::new(false);
    let server = Server::start(move |path| match path {
        "/b" if !closed.swap(true, Ordering::SeqCst) => vec![Act::Close],
        _ => ok(&image(100)),
    })
    .await;
    let downloader = downloader(config());

    for path in ["/a", "/b"] {
        assert_eq!(get(&downloader, &server.url(path)).await.unwrap(), image(100), "{path}");
    }
    assert_eq!(server.requests().len(), 3);

    let closing = Server::start(|_| vec![Act::Close]).await;
    assert_eq!(reason(config(), &closing.url("/")).await, "connection");
    assert_eq!(closing.requests().len(), 2);
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_fails_with_its_own_word() {
    let server = Server::greeting(b"220 mail.test ESMTP ready for you\r\n").await;
    let mut url = server.url("/");
    url.set_scheme("https").unwrap();

    assert_eq!(reason(config(), &url).await, "tls");
}

#[tokio::test]
async fn a_header_that_no_browser_minds_does_no_harm() {
    let server = Server::start(|_| {
        let head = b"HTTP/1.1 200 OK\r\nBad Header: x\r\nContent-Length: 100\r\n\r\n".to_vec();
        vec![Act::Send(head), Act::Send(image(100))]
    })
    .await;

    assert_eq!(fetch(config(), &server.url("/")).await.unwrap(), image(100));
}

#[tokio::test]
async fn a_message_shows_no_url() {
    let refusing = Server::start(|_| vec![]).await.url("/?token=secret");

    let error = fetch(config(), &refusing).await.unwrap_err();

    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
}
