//! Redirects are followed, counted, and not trusted.

use std::time::Duration;

use tagfleet_shared::lane::Lane;

use super::server::{Server, ok, redirect, status};
use super::{config, downloader, fetch, image, reason};
use crate::{DownloadConfig, Undownloadable};

/// Redirects `/4` to `/3` and so on; the image is at `/0`.
async fn countdown() -> Server {
    Server::start(|path| match path[1..].parse::<u32>() {
        Ok(0) | Err(_) => ok(&image(100)),
        Ok(left) => redirect(&(left - 1).to_string()),
    })
    .await
}

#[tokio::test]
async fn every_kind_of_redirect_is_followed() {
    let server = Server::start(|path| match path {
        "/image.jpg" => ok(&image(100)),
        code => status(&format!("{} Elsewhere", &code[1..]), "Location: /image.jpg\r\n"),
    })
    .await;

    for path in ["/301", "/302", "/303", "/307", "/308"] {
        assert_eq!(fetch(config(), &server.url(path)).await.unwrap(), image(100), "{path}");
    }
}

#[tokio::test]
async fn a_redirect_leads_to_another_server() {
    let images = Server::start(|_| ok(&image(100))).await;
    let elsewhere = images.url("/moved.jpg").to_string();
    let server = Server::start(move |_| redirect(&elsewhere)).await;

    assert_eq!(fetch(config(), &server.url("/")).await.unwrap(), image(100));
    assert!(images.requests()[0].starts_with("get /moved.jpg "));
}

#[tokio::test]
async fn as_many_redirects_as_the_limit_are_followed() {
    let server = countdown().await;
    assert_eq!(fetch(config(), &server.url("/3")).await.unwrap(), image(100));
}

#[tokio::test]
async fn one_redirect_more_is_refused() {
    let server = countdown().await;

    let error = fetch(config(), &server.url("/4")).await.unwrap_err();

    assert_eq!(error, Undownloadable::TooManyRedirects { limit: 3 }.into());
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn no_redirect_is_followed_if_none_is_allowed() {
    let server = countdown().await;
    let config = || DownloadConfig { max_redirects: 0, ..config() };

    assert!(fetch(config(), &server.url("/0")).await.is_ok());
    assert_eq!(reason(config(), &server.url("/1")).await, "too_many_redirects");
}

#[tokio::test]
async fn a_redirect_loop_is_noticed_when_it_closes() {
    let server = Server::start(|path| redirect(if path == "/a" { "/b" } else { "/a" })).await;
    assert_eq!(reason(config(), &server.url("/a")).await, "redirect_loop");
    assert_eq!(server.requests().len(), 2);

    let server = Server::start(|_| redirect("#again")).await;
    assert_eq!(reason(config(), &server.url("/")).await, "redirect_loop");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_redirect_to_another_scheme_is_refused() {
    for target in ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "data:image/gif,x"] {
        let server = Server::start(move |_| redirect(target)).await;
        assert_eq!(reason(config(), &server.url("/")).await, "bad_url", "{target}");
    }
}

#[tokio::test]
async fn a_redirect_that_cannot_be_read_is_refused() {
    for target in ["http://", "http://[::1/", "http://a b/", "http://user:word@127.0.0.1/"] {
        let server = Server::start(move |_| redirect(target)).await;
        assert_eq!(reason(config(), &server.url("/")).await, "bad_url", "{target}");
    }
}

/// Whoever waits there has a right to; and whose job is refused in the end is not held until then.
#[tokio::test]
async fn a_redirect_is_judged_before_it_waits_for_a_turn() {
    let images = Server::start(|_| ok(&image(100))).await;
    let port = images.port();
    for (target, max_redirects, word) in [
        (format!("http://user:word@127.0.0.1:{port}/"), 1, "bad_url"),
        (format!("http://127.0.0.2:{port}/"), 1, "forbidden_address"),
        (format!("http://127.0.0.1:{port}/"), 0, "too_many_redirects"),
    ] {
        let elsewhere = target.clone();
        let server = Server::start(move |_| redirect(&elsewhere)).await;
        let allow_networks = vec!["127.0.0.1/32".parse().unwrap()];
        let downloader =
            downloader(DownloadConfig { allow_networks, max_redirects, per_host: 1, ..config() });
        // The only one that there is.
        let _taken = downloader.hosts.turn(&target.parse().unwrap(), Lane::Standard).await.unwrap();
        let url = server.url("/");
        let turn = downloader.turn(&url, Lane::Standard).await.unwrap();

        let end = tokio::time::timeout(Duration::from_secs(5), downloader.fetch(&url, turn)).await;

        assert_eq!(end.expect("it waits").unwrap_err().reason(), word, "{target}");
    }
    assert_eq!(images.connections(), 0);
}

#[tokio::test]
async fn a_redirect_in_raw_utf8_is_followed() {
    let server = Server::start(|path| match path {
        "/" => redirect("/größe.jpg"),
        _ => ok(&image(100)),
    })
    .await;

    assert_eq!(fetch(config(), &server.url("/")).await.unwrap(), image(100));
    assert!(server.requests()[1].starts_with("get /gr%c3%b6%c3%9fe.jpg "));
}
