//! Hosts that want to be left alone, or ought to be.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tagfleet_shared::lane::Lane;

use super::server::{Act, Server, ok, redirect, status};
use super::{config, downloader, get, image};
use crate::health::FAILURES;
use crate::hosts::ALL_WAITS;
use crate::{Attempt, DownloadConfig, DownloadError, Transient};

fn transient<T>(end: Result<T, DownloadError>) -> Transient {
    match end {
        Err(DownloadError::Transient(transient)) => transient,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was there"),
    }
}

/// However many ask for its pictures meanwhile, and how often.
#[tokio::test]
async fn no_question_goes_to_a_host_before_the_second_that_it_has_named() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let server = Server::start({
        let asked = asked.clone();
        move |_| {
            let mut asked = asked.lock().unwrap();
            asked.push(Instant::now());
            let busy = asked.len() <= 1;
            if busy { status("429 Too Many Requests", "Retry-After: 2\r\n") } else { ok(&image(1_000)) }
        }
    })
    .await;
    let downloader = downloader(config());
    let urls: Vec<_> = (0..50).map(|i| server.url(&format!("/{i}.jpg"))).collect();
    let told = transient(get(&downloader, &urls[0]).await);
    assert_eq!(told.retry_after, Some(Duration::from_secs(2)));

    let until_it_is_there = |url| {
        let downloader = &downloader;
        async move {
            while let Err(error) = get(downloader, url).await {
                assert_eq!(transient::<()>(Err(error)).attempt, Attempt::PutOff);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    join_all(urls.iter().map(until_it_is_there)).await;

    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 51);
    let named = asked[0] + Duration::from_secs(2);
    assert!(asked[1..].iter().all(|&at| at >= named));
}

/// And not one time-out for each picture.
#[tokio::test]
async fn a_host_that_is_down_costs_one_question_for_each_pause() {
    let server = Server::start(|_| vec![Act::Stall]).await;
    let impatient = DownloadConfig { per_host: 8, header_timeout: Duration::from_millis(500), ..config() };
    let downloader = downloader(impatient);
    let all = || async {
        let urls: Vec<_> = (0..200).map(|i| server.url(&format!("/{i}.jpg"))).collect();
        let ends = join_all(urls.iter().map(|url| get(&downloader, url))).await;
        ends.into_iter().map(transient).collect::<Vec<_>>()
    };
    all().await;
    let to_find_out = server.requests().len();
    assert!((FAILURES as usize..FAILURES as usize + 8).contains(&to_find_out), "{to_find_out} questions");

    for pause in 1..=2 {
        let left_alone = all().await;
        assert_eq!(server.requests().len(), to_find_out + pause - 1, "while it is left alone");
        assert!(left_alone.iter().all(|end| end.attempt == Attempt::LeftAlone));
        tokio::time::sleep(left_alone.iter().filter_map(|end| end.come_back).max().unwrap()).await;

        let ends = all().await;
        let asked = ends.iter().filter(|end| end.attempt == Attempt::Asked).count();
        assert_eq!((asked, server.requests().len()), (1, to_find_out + pause));
    }
}

/// Nor does it through those that redirect to it.
#[tokio::test]
async fn a_host_that_is_down_behind_redirects_costs_no_time_out_for_each_picture() {
    let down = Server::start(|_| vec![Act::Stall]).await;
    let target = down.url("").to_string();
    let redirects =
        Server::start(move |path| redirect(&format!("{target}{}", path.trim_start_matches('/')))).await;
    let impatient = DownloadConfig { per_host: 8, header_timeout: Duration::from_millis(100), ..config() };
    let downloader = downloader(impatient);
    let urls: Vec<_> = (0..200).map(|i| redirects.url(&format!("/{i}.jpg"))).collect();

    let ends = join_all(urls.iter().map(|url| get(&downloader, url))).await;

    let questions = down.requests().len();
    assert!((FAILURES as usize..100).contains(&questions), "{questions} questions");
    let ends: Vec<_> = ends.into_iter().map(|end| transient(end).attempt).collect();
    assert_eq!(ends.iter().filter(|end| **end == Attempt::Asked).count(), questions);
}

/// Or its job would be given back while it still waits, and begin at the first host again.
#[tokio::test]
async fn a_download_that_has_waited_long_is_put_off_where_it_is_redirected_to_another_line() {
    let images = Server::start(|_| ok(&image(1_000))).await;
    let target = images.url("/any.jpg").to_string();
    let redirects = Server::start(move |_| redirect(&target)).await;
    let downloader = downloader(DownloadConfig { per_host: 1, ..config() });
    let _taken = downloader.turn(&images.url("/"), Lane::Standard).await.unwrap();
    let (url, nearly) = (redirects.url("/moved.jpg"), ALL_WAITS - Duration::from_millis(50));
    let turn = downloader.hosts.turn_after(nearly, &url, Lane::Standard).await.unwrap();

    let end = tokio::time::timeout(Duration::from_secs(5), downloader.fetch(&url, turn)).await;

    assert_eq!(transient(end.expect("it still waits")).attempt, Attempt::PutOff);
    assert_eq!((redirects.requests().len(), images.requests().len()), (1, 0));
}

/// Or whoever has a URL in a scrape could silence any host that redirects.
#[tokio::test]
async fn a_host_that_redirects_is_not_blamed_for_what_it_redirects_to() {
    let wants_peace = Server::start(|_| status("429 Too Many Requests", "Retry-After: 3600\r\n")).await;
    let target = wants_peace.url("/any.jpg").to_string();
    let redirects =
        Server::start(
            move |request| {
                if request.contains("/moved") { redirect(&target) } else { ok(&image(1_000)) }
            },
        )
        .await;
    let downloader = downloader(config());
    let told = transient(get(&downloader, &redirects.url("/moved.jpg")).await);
    assert_eq!(told.retry_after, Some(Duration::from_secs(3600)));

    assert!(get(&downloader, &redirects.url("/there.jpg")).await.is_ok());
}
