//! Limits hold, and hold exactly.

use std::time::Duration;

use tagfleet_shared::lane::Lane;

use super::server::{Act, Answer, Server, chunk, chunked, ok};
use super::{LANES, config, downloader, fetch, get, image, reason};
use crate::answer::fast_enough;
use crate::{Cause, DownloadConfig, DownloadError, Downloader, Limit, Undownloadable};

const SHORT: Duration = Duration::from_millis(200);

/// Far longer than any test should take: the limit must come first.
const LONG: Duration = Duration::from_secs(600);

fn timed_out(limit: Limit) -> DownloadError {
    Cause::Timeout(limit).into()
}

fn at_most(max_bytes: usize) -> DownloadConfig {
    DownloadConfig { max_bytes, ..config() }
}

fn in_chunks(body: &[u8]) -> Answer {
    let mut acts = vec![chunked()];
    acts.extend(body.chunks(1_000).map(chunk));
    acts.push(chunk(b""));
    acts
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_kept() {
    let server = Server::start(|_| ok(&image(4_000))).await;
    assert_eq!(fetch(at_most(4_000), &server.url("/")).await.unwrap(), image(4_000));

    let server = Server::start(|_| in_chunks(&image(4_000))).await;
    assert_eq!(fetch(at_most(4_000), &server.url("/")).await.unwrap(), image(4_000));
}

#[tokio::test]
async fn one_byte_more_is_refused() {
    let too_large = DownloadError::from(Undownloadable::TooLarge { limit: 4_000 });

    let server = Server::start(|_| ok(&image(4_001))).await;
    assert_eq!(fetch(at_most(4_000), &server.url("/")).await, Err(too_large.clone()));

    let server = Server::start(|_| in_chunks(&image(4_001))).await;
    assert_eq!(fetch(at_most(4_000), &server.url("/")).await, Err(too_large));
}

/// The server sends no body: its claim is enough.
#[tokio::test]
async fn an_announced_length_beyond_the_limit_is_refused_at_once() {
    let server = Server::start(|_| {
        vec![Act::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 4001\r\n\r\n".to_vec()), Act::Stall]
    })
    .await;

    assert_eq!(reason(at_most(4_000), &server.url("/")).await, "too_large");
}

#[tokio::test]
async fn a_lying_length_makes_no_room() {
    let server = Server::start(|_| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", u64::MAX / 2);
        vec![Act::Send(head.into_bytes()), Act::Send(image(10)), Act::Close]
    })
    .await;

    assert_eq!(reason(at_most(usize::MAX), &server.url("/")).await, "truncated");
}

#[tokio::test]
async fn an_endless_body_ends_at_the_limit() {
    let server = Server::start(|_| {
        let mut acts = vec![chunked()];
        acts.extend((0..5_000).map(|_| chunk(&image(1_000))));
        acts.push(Act::Stall);
        acts
    })
    .await;

    assert_eq!(reason(at_most(50_000), &server.url("/")).await, "too_large");
}

#[tokio::test]
async fn a_handshake_that_stalls_ends_at_the_connect_limit() {
    let server = Server::greeting(b"").await;
    let mut url = server.url("/");
    url.set_scheme("https").unwrap();

    let config = DownloadConfig { connect_timeout: SHORT, ..config() };
    assert_eq!(fetch(config, &url).await, Err(timed_out(Limit::Connect)));
}

#[tokio::test]
async fn headers_that_do_not_come_end_at_the_header_limit() {
    let config = || DownloadConfig { header_timeout: SHORT, ..config() };

    let silent = Server::start(|_| vec![Act::Stall]).await;
    assert_eq!(fetch(config(), &silent.url("/")).await, Err(timed_out(Limit::Headers)));

    let halting =
        Server::start(|_| vec![Act::Send(b"HTTP/1.1 200 OK\r\nX-Slow: ".to_vec()), Act::Stall]).await;
    assert_eq!(fetch(config(), &halting.url("/")).await, Err(timed_out(Limit::Headers)));
}

/// A byte now and then keeps no download alive that has no headers yet.
#[tokio::test]
async fn headers_that_trickle_end_at_the_header_limit() {
    let server = Server::start(|_| {
        let mut acts = vec![Act::Send(b"HTTP/1.1 200 OK\r\nX-Slow: ".to_vec())];
        for _ in 0..1_000 {
            acts.push(Act::Pause(Duration::from_millis(20)));
            acts.push(Act::Send(b"a".to_vec()));
        }
        acts
    })
    .await;

    let config = DownloadConfig { header_timeout: SHORT, idle_timeout: LONG, ..config() };
    assert_eq!(fetch(config, &server.url("/")).await, Err(timed_out(Limit::Headers)));
}

#[tokio::test]
async fn a_body_that_stalls_ends_at_the_idle_limit() {
    let server = Server::start(|_| vec![chunked(), chunk(&image(1_000)), Act::Stall]).await;

    let config = DownloadConfig { idle_timeout: SHORT, ..config() };
    assert_eq!(fetch(config, &server.url("/")).await, Err(timed_out(Limit::Idle)));
}

fn trickle(pieces: usize) -> Answer {
    let mut acts = vec![chunked(), chunk(&image(1_000))];
    for _ in 0..pieces {
        acts.push(Act::Pause(Duration::from_millis(20)));
        acts.push(chunk(b"\0"));
    }
    acts.push(chunk(b""));
    acts
}

#[tokio::test]
async fn a_body_that_trickles_is_kept_if_it_ends_in_time() {
    let server = Server::start(|_| trickle(5)).await;

    assert_eq!(fetch(config(), &server.url("/")).await.unwrap().len(), 1_005);
}

#[tokio::test]
async fn a_body_that_trickles_on_ends_at_the_total_limit() {
    let server = Server::start(|_| trickle(1_000)).await;

    let config = DownloadConfig { total_timeout: SHORT, ..config() };
    assert_eq!(fetch(config, &server.url("/")).await, Err(timed_out(Limit::Total)));
}

/// The server sends all that we take, so it is not to blame.
#[tokio::test]
async fn waiting_for_memory_is_not_part_of_any_limit() {
    let server = Server::start(|_| ok(&image(900_000))).await;
    let limits = DownloadConfig { total_timeout: Duration::from_secs(1), ..at_most(1_000_000) };
    let downloader = downloader(DownloadConfig { max_memory_bytes: 1_000_000, ..limits });
    let mut hog = downloader.room().await;
    hog.fit(100_000_000).await;

    let url = server.url("/");
    let freed = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        drop(hog);
    };
    let (body, ()) = tokio::join!(get(&downloader, &url), freed);

    assert_eq!(body.unwrap().len(), 900_000);
}

/// Nor is it to blame for what it waits for meanwhile.
#[tokio::test]
async fn an_answer_that_waits_to_be_collected_is_out_of_no_time() {
    let server = Server::start(|_| ok(&image(1_000))).await;
    let downloader = downloader(DownloadConfig { total_timeout: Duration::from_secs(1), ..config() });
    let url = server.url("/");
    let turn = downloader.turn(&url, Lane::Standard).await.unwrap();
    let answer = downloader.ask(&url, turn).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;

    let downloaded = downloader.collect(answer).await.unwrap();

    assert_eq!(downloaded.bytes.len(), 1_000);
}

#[tokio::test]
async fn senseless_settings_are_refused_at_the_start() {
    let config = DownloadConfig { max_bytes: 0, idle_timeout: Duration::ZERO, ..config() };

    let error = Downloader::new(config, LANES, vec![LONG]).unwrap_err().to_string();

    assert!(error.contains("idle_timeout") && error.contains("max_bytes"), "{error}");
}

#[test]
fn a_body_that_crawls_is_given_up_after_five_seconds() {
    let (begun, second) = (Duration::from_secs(5), Duration::from_secs(1));
    assert_eq!(fast_enough(1, begun, 1024), Ok(()));
    assert_eq!(fast_enough(6 * 1024 - 1, begun + second, 1024), Err(timed_out(Limit::Pace)));
    assert_eq!(fast_enough(6 * 1024, begun + second, 1024), Ok(()));
    assert_eq!(fast_enough(1, begun + second, 0), Ok(()));
}
