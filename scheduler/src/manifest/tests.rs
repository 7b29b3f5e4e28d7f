//! Manifests as servers really send them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_compression::tokio::write::GzipEncoder;
use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::io::AsyncWriteExt;

use super::{Manifest, Manifests};
use crate::config::FanOutConfig;

/// Serves `answer(0)` to the first request, `answer(1)` to the second, and so
/// on; the manifest that they make, from its `listed`-th image on.
async fn manifest<R: IntoResponse>(
    listed: i32,
    answer: impl Fn(usize) -> R + Clone + Send + Sync + 'static,
) -> Manifest {
    with_patience(Duration::from_secs(60), listed, answer).await
}

/// As [`manifest`], given up where it stays away for longer than `manifest_patience`.
async fn with_patience<R: IntoResponse>(
    manifest_patience: Duration,
    listed: i32,
    answer: impl Fn(usize) -> R + Clone + Send + Sync + 'static,
) -> Manifest {
    let requests = Arc::new(AtomicUsize::new(0));
    let handler = move || {
        let response = answer(requests.fetch_add(1, Ordering::Relaxed)).into_response();
        std::future::ready(response)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/inventory.ndjson", listener.local_addr().unwrap());
    let router = Router::new().fallback(handler);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let config = FanOutConfig {
        page_size: 1000,
        scrapes_at_once: 1,
        manifest_connect_timeout: Duration::from_secs(5),
        manifest_idle_timeout: Duration::from_secs(5),
        manifest_timeout: Duration::from_secs(5),
        manifest_patience,
        manifest_max_images: 100,
    };
    Manifests::new(&config).unwrap().manifest(&url, listed)
}

/// Everything that the manifest brings, as text: file names, `-` for a
/// malformed line, and what ended it.
async fn read(mut manifest: Manifest) -> String {
    let mut words = Vec::new();
    loop {
        match manifest.page(3).await {
            Ok(page) if page.is_empty() => break,
            Ok(page) => words.extend(page.iter().map(|row| match row.url.rsplit_once('/') {
                Some((_, name)) => name.to_owned(),
                None => "-".to_owned(),
            })),
            Err(error) => {
                words.push(error.to_string());
                break;
            }
        }
    }
    words.join(" ")
}

fn lines(names: &[&str]) -> String {
    names.iter().map(|name| format!("{{\"url\":\"http://img.test/{name}\"}}\n")).collect()
}

async fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzipEncoder::new(Vec::new());
    encoder.write_all(text.as_bytes()).await.unwrap();
    encoder.shutdown().await.unwrap();
    encoder.into_inner()
}

/// Sends `text`, then drops the connection.
fn broken_off(text: &str) -> Response {
    let parts = [Ok(text.to_owned()), Err(std::io::Error::other("cut"))];
    Body::from_stream(futures::stream::iter(parts)).into_response()
}

#[tokio::test]
async fn plain_and_gzip_are_told_by_their_first_bytes() {
    let text = lines(&["1", "2", "3", "4"]);
    let packed = gzip(&text).await;
    let two_parts = [gzip(&lines(&["1", "2"])).await, gzip(&lines(&["3", "4"])).await].concat();
    assert_eq!(read(manifest(0, move |_| text.clone()).await).await, "1 2 3 4");
    assert_eq!(read(manifest(0, move |_| packed.clone()).await).await, "1 2 3 4");
    assert_eq!(read(manifest(0, move |_| two_parts.clone()).await).await, "1 2 3 4");
}

#[tokio::test]
async fn an_empty_manifest_is_an_inventory_of_no_images() {
    assert_eq!(read(manifest(0, |_| "").await).await, "");
    assert_eq!(read(manifest(0, |_| "\n\n").await).await, "");
}

/// Its place is kept, so that every other image keeps its own.
#[tokio::test]
async fn a_malformed_line_does_not_fail_the_others() {
    let text = format!("{}{{\"url\":7}}\nnot json\n{}", lines(&["1"]), lines(&["2"]));
    assert_eq!(read(manifest(0, move |_| text.clone()).await).await, "1 - - 2");
}

#[tokio::test]
async fn a_fan_out_that_resumes_skips_what_is_listed() {
    let text = lines(&["1", "2", "3"]);
    assert_eq!(read(manifest(2, move |_| text.clone()).await).await, "3");
}

#[tokio::test]
async fn a_manifest_that_breaks_off_is_read_on_where_it_was() {
    let answer = |request| match request {
        0 => broken_off(&lines(&["1", "2", "3", "4"])),
        1 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        _ => lines(&["1", "2", "3", "4", "5"]).into_response(),
    };
    assert_eq!(read(manifest(0, answer).await).await, "1 2 3 4 5");
}

#[tokio::test]
async fn what_is_no_manifest_is_refused_at_once() {
    let missing = manifest(0, |_| StatusCode::NOT_FOUND).await;
    assert_eq!(read(missing).await, "manifest_url: server answered 404 Not Found");
    for text in
        ["<!DOCTYPE html>\n<title>404</title>", "[\n{\"url\":\"http://a.test/\"}\n]", "{\n\"url\":1\n}"]
    {
        let error = read(manifest(0, move |_| text).await).await;
        assert_eq!(error, "manifest_url: is not NDJSON: the first line is not a JSON object");
    }
}

#[tokio::test]
async fn a_manifest_that_stays_away_is_given_up() {
    let manifest = with_patience(Duration::from_secs(1), 0, |_| StatusCode::BAD_GATEWAY).await;
    assert_eq!(read(manifest).await, "manifest_url: server answered 502 Bad Gateway");
}

#[tokio::test]
async fn a_manifest_of_exactly_the_limit_is_taken_and_one_image_more_is_not() {
    let names: Vec<_> = (0..101).map(|i| i.to_string()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (full, over) = (lines(&names[..100]), lines(&names));
    assert_eq!(read(manifest(0, move |_| full.clone()).await).await, names[..100].join(" "));
    let expected = format!("{} manifest_url: has more than 100 images", names[..100].join(" "));
    assert_eq!(read(manifest(0, move |_| over.clone()).await).await, expected);
}
