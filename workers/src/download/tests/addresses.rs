//! Forbidden addresses are never connected to, whatever leads to them.

use url::Url;

use super::server::{Server, ok, redirect};
use super::{config, fetch, image, reason};
use crate::download::DownloadConfig;

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
