//! Turns, without a server.

use super::host::LONGEST_WAIT;
use super::*;
use crate::health::{FAILURES, PAUSE};
use crate::{Attempt, Cause, Limit, Undownloadable};
use futures::FutureExt;
use std::pin::Pin;
use tokio::task::unconstrained;

fn hosts(per_host: usize) -> Hosts {
    with_rate(per_host, 0.0)
}

fn with_rate(per_host: usize, per_host_rate: f64) -> Hosts {
    let lanes = LaneWeights { express: 6, standard: 3, bulk: 1 };
    let delays = [5, 30, 120].map(Duration::from_secs).to_vec();
    let longest_pause = Duration::from_secs(3600);
    Hosts::new(Politeness { per_host, per_host_rate, longest_pause, lanes, delays })
}

fn url() -> Url {
    Url::parse("http://cdn.example/1.jpg").unwrap()
}

fn timeout() -> DownloadError {
    Cause::Timeout(Limit::Headers).into()
}

const QUICK: Duration = Duration::from_millis(50);

#[tokio::test]
async fn at_most_per_host_downloads_run_at_one_host_at_the_same_time() {
    let hosts = hosts(2);
    let first = hosts.turn(&url(), Lane::Bulk).await.unwrap();
    let _second = hosts.turn(&url(), Lane::Bulk).await.unwrap();
    let elsewhere = Url::parse("http://cdn.example:8080/1.jpg").unwrap();

    assert!(hosts.turn(&url(), Lane::Express).now_or_never().is_none());
    assert!(hosts.turn(&elsewhere, Lane::Bulk).await.is_ok());
    first.ended(None, QUICK);
    assert!(hosts.turn(&url(), Lane::Bulk).await.is_ok());
}

#[tokio::test]
async fn nobody_waits_for_a_host_behind_a_whole_lane() {
    let (hosts, url) = (hosts(1), url());
    let first = hosts.turn(&url, Lane::Bulk).await.unwrap();
    let mut bulk: Vec<_> = (0..100).map(|_| Box::pin(hosts.turn(&url, Lane::Bulk))).collect();
    assert!(bulk.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
    let mut express = Box::pin(hosts.turn(&url, Lane::Express));
    assert!((&mut express).now_or_never().is_none());

    first.ended(None, QUICK);

    assert!(express.now_or_never().is_some());
}

#[tokio::test]
async fn nobody_gets_a_turn_at_a_host_that_is_away() {
    let hosts = hosts(2);
    for _ in 0..FAILURES {
        hosts.turn(&url(), Lane::Bulk).await.unwrap().ended(Some(&timeout()), QUICK);
    }

    let away = hosts.turn(&url(), Lane::Express).await.err().unwrap();
    assert_eq!(DownloadError::from(away.cause), timeout());
    assert_eq!(away.attempt, Attempt::LeftAlone);
    assert!(away.come_back.unwrap() <= PAUSE);
}

/// A host with three permits that was taken for dead so long ago that its pause
/// is over.
async fn taken_for_dead() -> (Hosts, Arc<Host>) {
    let hosts = hosts(3);
    hosts.turn(&url(), Lane::Bulk).await.unwrap().ended(None, QUICK);
    let host = hosts.hosts.get("cdn.example:80").await.unwrap();
    let long_ago = Instant::now().checked_sub(2 * PAUSE).unwrap();
    for _ in 0..FAILURES {
        host.state().health.failed("cdn.example", &Cause::Timeout(Limit::Headers).into(), long_ago);
    }
    host.ended(Some(&Cause::Connection(String::new()).into()), long_ago, QUICK);
    host.state().health.end_pause();
    (hosts, host)
}

#[tokio::test]
async fn a_host_that_fails_is_asked_one_question_at_a_time_until_it_has_answered() {
    let (hosts, _) = taken_for_dead().await;
    let url = url();
    let probe = hosts.turn(&url, Lane::Bulk).await.unwrap();

    let sent_away = hosts.turn(&url, Lane::Express).await.err().unwrap();
    assert_eq!(sent_away.attempt, Attempt::LeftAlone);
    probe.ended(None, QUICK);
    let mut asking = Vec::new();
    for _ in 0..3 {
        asking.push(hosts.turn(&url, Lane::Bulk).await.unwrap());
    }
    assert!(hosts.turn(&url, Lane::Bulk).now_or_never().is_none(), "there is a line again");
}

#[tokio::test]
async fn a_question_to_a_dead_host_that_is_given_up_leaves_room_for_the_next() {
    let (hosts, _) = taken_for_dead().await;

    drop(hosts.turn(&url(), Lane::Bulk).await.unwrap());

    assert!(hosts.turn(&url(), Lane::Bulk).await.is_ok());
}

#[tokio::test]
async fn who_waits_for_a_host_that_asks_for_patience_is_put_off_at_once() {
    let (hosts, url) = (hosts(1), url());
    let turn = hosts.turn(&url, Lane::Bulk).await.unwrap();
    let mut waiting = Box::pin(hosts.turn(&url, Lane::Bulk));
    assert!((&mut waiting).now_or_never().is_none());

    let retry_after = Some(Duration::from_secs(600));
    let busy = Transient { retry_after, ..Cause::Throttled(429).into() };
    turn.ended(Some(&busy.into()), QUICK);

    let put_off = waiting.now_or_never().unwrap().err().unwrap();
    assert_eq!(put_off.attempt, Attempt::PutOff);
    assert!(put_off.retry_after.unwrap() > Duration::from_secs(599));
}

#[tokio::test]
async fn a_host_that_has_enough_is_asked_for_half_as_much_at_once() {
    for enough in [timeout(), Cause::Throttled(429).into(), Cause::ServerError(503).into()] {
        let (hosts, url) = (hosts(8), url());
        hosts.turn(&url, Lane::Bulk).await.unwrap().ended(Some(&enough), QUICK);

        let mut asking = Vec::new();
        for _ in 0..4 {
            asking.push(hosts.turn(&url, Lane::Bulk).await.unwrap());
        }
        assert!(hosts.turn(&url, Lane::Bulk).now_or_never().is_none());
        // A round of answers, and a little for the rounding, is worth one more.
        for _ in 0..5 {
            asking.pop().unwrap().ended(None, QUICK);
            asking.push(hosts.turn(&url, Lane::Bulk).await.unwrap());
        }
        asking.push(hosts.turn(&url, Lane::Bulk).await.unwrap());
        assert!(hosts.turn(&url, Lane::Bulk).now_or_never().is_none());
    }
}

#[tokio::test]
async fn a_rate_holds_whatever_is_free() {
    let hosts = with_rate(32, 0.1);
    let first = hosts.turn(&url(), Lane::Bulk).now_or_never();
    assert!(matches!(first, Some(Ok(_))));
    assert!(hosts.turn(&url(), Lane::Bulk).now_or_never().is_none(), "the next one is in ten seconds");
}

/// Jobs go away when they are given back or their worker stops. What they would have asked nobody does.
#[tokio::test]
async fn turns_that_nobody_waits_for_keep_no_other_from_a_host_with_a_low_rate() {
    let (hosts, url) = (with_rate(32, 1.0), url());
    let ends: Vec<_> = (0..1000).map(|_| hosts.turn(&url, Lane::Bulk).now_or_never()).collect();

    let put_off = ends.into_iter().flatten().filter_map(Result::err);
    let put_off = put_off.inspect(|end| assert_eq!(end.attempt, Attempt::PutOff)).count();
    assert!(put_off >= 900, "{put_off} were put off");
    let host = hosts.hosts.get("cdn.example:80").await.unwrap();
    let next = host.state().book(Instant::now() + LONGEST_WAIT, LONGEST_WAIT);
    assert!(next.unwrap() <= Duration::from_secs(1));
}

/// Redirects lead from a host with a line to the next one: all of that is one job that is held.
#[tokio::test]
async fn a_download_waits_no_longer_at_many_hosts_than_all_of_its_waits_may_take() {
    let (hosts, url) = (hosts(1), url());
    let _taken = hosts.turn(&url, Lane::Bulk).await.unwrap();
    let nearly = ALL_WAITS - Duration::from_millis(50);
    let waiting = tokio::time::timeout(Duration::from_secs(5), hosts.turn_after(nearly, &url, Lane::Bulk));

    let put_off = waiting.await.expect("it still waits").err().unwrap();

    assert_eq!((put_off.attempt, put_off.cause), (Attempt::PutOff, Cause::Timeout(Limit::Turn)));
    assert!(put_off.come_back.is_some());
    let free = Url::parse("http://another.example/1.jpg").unwrap();
    assert!(hosts.turn_after(2 * ALL_WAITS, &free, Lane::Bulk).await.is_ok(), "nobody has to wait there");

    // Nor is a question booked there for later than that.
    let hosts = with_rate(32, 0.1);
    let _first = hosts.turn(&url, Lane::Bulk).await.unwrap();
    let nearly = ALL_WAITS - Duration::from_secs(5);
    let next = hosts.turn_after(nearly, &url, Lane::Bulk).now_or_never();
    let put_off = next.expect("in ten seconds it is its turn").err().unwrap();
    assert_eq!(put_off.attempt, Attempt::PutOff);
}

#[tokio::test]
async fn a_turn_tells_how_long_its_download_has_waited() {
    let (hosts, url) = (with_rate(32, 0.5), url());
    let first = hosts.turn(&url, Lane::Bulk).await.unwrap();
    assert!(first.waited() < Duration::from_secs(1));

    // It is asked once in two seconds.
    let second = hosts.turn_after(Duration::from_secs(10), &url, Lane::Bulk).await.unwrap();

    assert!(second.waited() > Duration::from_secs(11), "{:?}", second.waited());
}

/// With the time of the download itself, or the waits were for nothing.
#[test]
fn all_waits_of_a_download_are_over_before_its_job_is_given_back() {
    let worker = concat!(env!("CARGO_MANIFEST_DIR"), "/../workers/config.toml");
    let defaults: toml::Table = toml::from_str(&std::fs::read_to_string(worker).unwrap()).unwrap();
    let of = |table: &str, key: &str| {
        humantime_serde::re::humantime::parse_duration(defaults[table][key].as_str().unwrap()).unwrap()
    };

    assert!(ALL_WAITS + of("download", "total_timeout") < of("work", "give_back_after"));
}

#[tokio::test]
async fn a_host_that_answers_now_and_then_is_not_away() {
    let hosts = hosts(2);
    for i in 0..5 * FAILURES {
        let gone = Undownloadable::Gone(404).into();
        let end = if i % (FAILURES - 1) == 0 { gone } else { timeout() };
        hosts.turn(&url(), Lane::Bulk).await.unwrap().ended(Some(&end), QUICK);
    }
}

/// How many of a line were put off by now.
fn put_off_of(line: &mut [Pin<Box<impl Future<Output = Result<Turn, Transient>>>>]) -> usize {
    let ends = line.iter_mut().filter_map(|waiting| unconstrained(waiting).now_or_never());
    let ends = ends.map(|end| end.err().unwrap().attempt);
    ends.inspect(|attempt| assert_eq!(*attempt, Attempt::PutOff)).count()
}

/// How many of 4096 in a line stay at a host when its pictures prove to take
/// `time` each; and how many of as many again may come.
async fn stay(time: Duration) -> (usize, usize) {
    let (hosts, url) = (hosts(32), url());
    let mut turns = Vec::new();
    for _ in 0..32 {
        turns.push(hosts.turn(&url, Lane::Bulk).await.unwrap());
    }
    let host = hosts.hosts.get("cdn.example:80").await.unwrap();
    let come = || (0..4096).map(|_| Box::pin(hosts.turn(&url, Lane::Bulk))).collect::<Vec<_>>();
    let mut line = come();
    assert_eq!(put_off_of(&mut line), 0, "nothing is known of the host");

    let now = Instant::now();
    (1..1000).for_each(|i| host.state().pace.ended(time, now + time / 32 * i));
    host.ended(None, now, time);

    let stayed = 4096 - put_off_of(&mut line);
    let mut more = come();
    let came = 4096 - put_off_of(&mut more);
    let elsewhere = hosts.turn(&url, Lane::Express).now_or_never();
    assert!(elsewhere.is_none(), "each lane has a line of its own");
    (stayed, came)
}

#[tokio::test]
async fn a_slow_host_has_a_line_no_longer_than_what_it_serves_in_the_longest_wait() {
    assert_eq!(stay(Duration::from_secs(5)).await, (45 / 5 * 32, 0));
}

/// While nothing has ended, and before its pace is known.
#[tokio::test]
async fn a_host_that_does_not_answer_for_a_while_has_a_shorter_and_shorter_line() {
    let (hosts, url) = (hosts(32), url());
    let mut turns = Vec::new();
    for _ in 0..32 {
        turns.push(hosts.turn(&url, Lane::Bulk).await.unwrap());
    }
    let mut line: Vec<_> = (0..4096).map(|_| Box::pin(hosts.turn(&url, Lane::Bulk))).collect();
    assert_eq!(put_off_of(&mut line), 0);

    let put_off = line.pop().unwrap().await.err().unwrap();

    assert_eq!(put_off.attempt, Attempt::PutOff);
    let stay = 4095 - put_off_of(&mut line);
    assert!((100..=45 * 32).contains(&stay), "{stay}");
}

#[tokio::test]
async fn a_fast_host_puts_nobody_off() {
    assert_eq!(stay(Duration::from_millis(160)).await, (4096, 4096));
}
