//! Forbidden addresses are never connected to, whatever leads to them.

use tagfleet_shared::lane::Lane;
use url::Url;

use super::server::{Server, ok, redirect};
use super::{config, downloader, fetch, image, reason};
use crate::{DownloadConfig, DownloadError};

fn allowing(networks: &[&str]) -> DownloadConfig {
    let allow_networks = networks.iter().map(|net| net.parse().unwrap()).collect();
    DownloadConfig { allow_networks, ..config() }
}

#[tokio::test]
async fn a_forbidden_address_in_the_url_is_not_connected_to() {
    let server = Server::start(|_| ok(&image(100))).await;

    assert_eq!(reason(allowing(&[]), &server.url("/")).await, "forbidden_address");
    assert_eq!(server.connections(), 0);
}

/// All of these are 127.0.0.1 or stand for it.
#[tokio::test]
async fn a_forbidden_address_is_known_in_any_disguise() {
    let server = Server::start(|_| ok(&image(100))).await;

    for host in [
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "127.0.0.1.",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "0.0.0.0",
        "[::]",
        "[::1]",
    ] {
        let url = format!("http://{host}:{}/", server.port()).parse().unwrap();
        assert_eq!(reason(allowing(&[]), &url).await, "forbidden_address", "{host}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_redirect_to_a_forbidden_address_is_not_followed() {
    let inside = Server::start_at("127.0.0.2", |_| ok(&image(100))).await;
    let target = inside.url("/secret").to_string();
    let outside = Server::start(move |_| redirect(&target)).await;

    let word = reason(allowing(&["127.0.0.1/32"]), &outside.url("/")).await;

    assert_eq!(word, "forbidden_address");
    assert_eq!(outside.connections(), 1);
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn a_name_of_a_forbidden_address_is_not_connected_to() {
    let server = Server::start(|_| ok(&image(100))).await;
    let url: Url = format!("http://localhost:{}/", server.port()).parse().unwrap();

    let error = fetch(allowing(&[]), &url).await.unwrap_err();

    assert_eq!(error.reason(), "forbidden_address");
    assert!(error.to_string().contains("(loopback)"), "{error}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_redirect_to_a_name_of_a_forbidden_address_is_not_followed() {
    let inside = Server::start_at("127.0.0.1", |_| ok(&image(100))).await;
    let target = format!("http://localhost:{}/", inside.port());
    let outside = Server::start_at("127.0.0.2", move |_| redirect(&target)).await;

    let word = reason(allowing(&["127.0.0.2/32"]), &outside.url("/")).await;

    assert_eq!(word, "forbidden_address");
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn a_name_of_an_allowed_address_is_downloaded_from() {
    let server = Server::start(|_| ok(&image(100))).await;
    let url: Url = format!("http://localhost:{}/", server.port()).parse().unwrap();

    assert_eq!(fetch(allowing(&["127.0.0.0/8"]), &url).await.unwrap(), image(100));
}

/// A label has 63 characters at most: no name server needs to be asked.
#[tokio::test]
async fn a_name_without_an_address_may_be_tried_again() {
    let url = format!("http://{}.invalid/a.jpg", "a".repeat(64)).parse().unwrap();
    assert_eq!(reason(config(), &url).await, "dns");
}

#[tokio::test]
async fn other_schemes_credentials_and_overlong_urls_are_refused() {
    let server = Server::start(|_| ok(&image(100))).await;
    let (address, port) = ("127.0.0.1", server.port());

    for url in [
        format!("ftp://{address}:{port}/a.jpg"),
        "file:///etc/hostname".to_owned(),
        "data:image/gif;base64,R0lGODlhAQABAAAAACw=".to_owned(),
        format!("http://user@{address}:{port}/"),
        format!("http://user:password@{address}:{port}/"),
        format!("http://:password@{address}:{port}/"),
        format!("http://{address}:{port}/{}", "too-long".repeat(10_000)),
    ] {
        assert_eq!(reason(config(), &url.parse().unwrap()).await, "bad_url", "{url}");
    }
    assert_eq!(server.connections(), 0);
}

/// Whoever waits there has a right to.
#[tokio::test]
async fn what_must_not_be_asked_for_waits_for_no_turn() {
    let downloader = downloader(allowing(&[]));

    for url in ["http://127.0.0.1/", "http://user@images.example/", "http://images.example:25/"] {
        let refused = downloader.turn(&url.parse().unwrap(), Lane::Standard).await.err();
        assert!(matches!(refused, Some(DownloadError::Final(_))), "{url}: {refused:?}");
    }
}

/// The ways in which people and attackers write a host and a URL: each with the
/// word for its refusal.
#[tokio::test]
async fn a_url_is_refused_however_it_is_spelt() {
    let server = Server::start(|_| ok(&image(100))).await;
    let port = server.port();

    for (url, word) in [
        (format!("http://0177.0.0.01:{port}/"), "forbidden_address"),
        (format!("http://017700000001:{port}/"), "forbidden_address"),
        (format!("http://0X7F.0.0.0x1:{port}/"), "forbidden_address"),
        (format!("http://127.0x0.1:{port}/"), "forbidden_address"),
        (format!("hTTp://LocalHost:{port}/"), "forbidden_address"),
        (format!("http://ｌｏｃａｌｈｏｓｔ:{port}/"), "forbidden_address"),
        (format!("http://①②⑦.⓪.⓪.①:{port}/"), "forbidden_address"),
        (format!("http://127。0。0。1:{port}/"), "forbidden_address"),
        (format!("http://%6cocalhost:{port}/"), "forbidden_address"),
        (format!("http:\\\\127.0.0.1:{port}\\a.jpg"), "forbidden_address"),
        (format!("http:///127.0.0.1:{port}/"), "forbidden_address"),
        (format!("\r\n http://127.0.\r\n0.1:{port}/\t"), "forbidden_address"),
        (format!("http://[::FFFF:127.0.0.1]:0{port}/"), "forbidden_address"),
        ("http://169.254.169.254/latest/meta-data/".into(), "forbidden_address"),
        (format!("http://images.example@127.0.0.1:{port}/"), "bad_url"),
        (format!("http://@:x@127.0.0.1:{port}/"), "bad_url"),
        ("http://127.0.0.1:6379/".into(), "forbidden_address"),
        ("http://images.example:6667/".into(), "bad_url"),
        ("https://images.example:25/".into(), "bad_url"),
        ("http://images.example:0/".into(), "bad_url"),
        ("http://images.example:65536/".into(), "bad_url"),
        ("http://127.0.0.256/".into(), "bad_url"),
        ("http://[::1%25eth0]/".into(), "bad_url"),
        ("http://images.example%0d%0aHost:inside/".into(), "bad_url"),
        ("http://images exam.ple/".into(), "bad_url"),
        ("ws://images.example/".into(), "bad_url"),
        ("gopher://127.0.0.1:6379/_INFO".into(), "bad_url"),
        ("blob:http://127.0.0.1/".into(), "bad_url"),
        ("javascript:alert(1)".into(), "bad_url"),
        ("/etc/passwd".into(), "bad_url"),
        ("".into(), "bad_url"),
    ] {
        let said = match Url::parse(&url) {
            Ok(url) => reason(allowing(&[]), &url).await,
            Err(_) => "bad_url",
        };
        assert_eq!(said, word, "{url:?}");
    }
    assert_eq!(server.connections(), 0);
}

/// What a URL holds in the way of line breaks never reaches the server as such.
#[tokio::test]
async fn a_line_break_in_a_url_makes_no_header() {
    let server = Server::start(|_| ok(&image(100))).await;

    for path in ["/a\r\nInside: yes\r\n", "/a%0d%0aInside:%20yes", "/a?b=\nInside: yes"] {
        assert!(fetch(config(), &server.url(path)).await.is_ok(), "{path:?}");
    }

    for request in server.requests() {
        assert!(!request.contains("\ninside:"), "{request}");
    }
}

/// The name leads wherever it leads; no other does, nor a redirect from it.
#[tokio::test]
async fn a_trusted_host_may_lead_to_any_address() {
    let inside = Server::start_at("127.0.0.1", |_| ok(&image(100))).await;
    let target = inside.url("/").to_string();
    let other = Server::start_at("127.0.0.1", move |_| redirect(&target)).await;
    let trusting = || DownloadConfig { allow_hosts: vec!["LocalHost.".into()], ..allowing(&[]) };
    let named = |port: u16| format!("http://localhost:{port}/").parse().unwrap();

    assert_eq!(fetch(trusting(), &named(inside.port())).await.unwrap(), image(100));
    assert_eq!(reason(trusting(), &inside.url("/")).await, "forbidden_address");
    assert_eq!(reason(trusting(), &named(other.port())).await, "forbidden_address");
    assert_eq!(inside.connections(), 1);
}
