//! What is asked for, how often, and who waits for whom.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use futures::future::join_all;
use tokio::sync::Semaphore;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

/// Name servers that answer as a test says, with how often they were asked for each name.
#[derive(Clone, Default)]
struct Servers(Arc<Mutex<HashMap<String, usize>>>);

impl Servers {
    /// Notes a question; how many there were before it.
    fn asked(&self, name: &str) -> usize {
        let mut names = self.0.lock().unwrap();
        let times = names.entry(name.to_owned()).or_default();
        *times += 1;
        *times - 1
    }

    /// How often they were asked for names that end so.
    fn questions(&self, ending: &str) -> usize {
        let names = self.0.lock().unwrap();
        names.iter().filter(|(name, _)| name.ends_with(ending)).map(|(_, times)| times).sum()
    }
}

#[tokio::test]
async fn an_answer_of_the_system_is_kept() {
    let names = Names::system();

    assert!(names.addresses("localhost").await.unwrap().contains(&ip("127.0.0.1")));

    assert!(names.answers.contains_key("localhost"));
    assert!(names.last.contains_key("localhost"));
}

/// At the same time and one after another.
#[tokio::test]
async fn a_thousand_pictures_of_one_host_ask_for_its_name_once() {
    let servers = Servers::default();
    let ask = {
        let servers = servers.clone();
        move |name: String| {
            servers.asked(&name);
            async { Ok([ip("8.8.8.8")].into()) }
        }
    };
    let names = Names::new(ask, HOUR, HOUR);

    for _ in 0..2 {
        for answer in join_all((0..500).map(|_| names.addresses("images.test"))).await {
            assert_eq!(*answer.unwrap(), [ip("8.8.8.8")]);
        }
    }

    assert_eq!(servers.questions("images.test"), 1);
}

/// The first caller goes before the answer comes, and still brings it for
/// the second, whose own question is never asked.
#[tokio::test]
async fn a_name_is_asked_for_once_even_if_the_caller_gives_up() {
    let (started, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let servers = Servers::default();
    let ask = {
        let (servers, started, release) = (servers.clone(), started.clone(), release.clone());
        move |name: String| {
            servers.asked(&name);
            started.add_permits(1);
            let release = release.clone();
            async move {
                let _released = release.acquire().await.unwrap();
                Ok([ip("8.8.8.8")].into())
            }
        }
    };
    let names = Names::new(ask, HOUR, HOUR);
    let first = {
        let names = names.clone();
        tokio::spawn(async move { names.addresses("images.test").await })
    };
    let _started = started.acquire().await.unwrap();
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());

    let second = names.addresses("images.test");
    let (answer, ()) = tokio::join!(second, async { release.add_permits(1) });

    assert_eq!(*answer.unwrap(), [ip("8.8.8.8")]);
    assert_eq!(servers.questions("images.test"), 1);
}

/// Answers the first question with an error, and all others with an address.
fn first_fails(servers: &Servers) -> Names {
    let servers = servers.clone();
    let ask = move |name: String| {
        let before = servers.asked(&name);
        async move {
            if before == 0 {
                return Err(io::Error::other("no name server answers"));
            }
            Ok([ip("8.8.8.8")].into())
        }
    };
    Names::new(ask, HOUR, HOUR)
}

#[tokio::test]
async fn a_failure_is_remembered_for_a_moment_only() {
    let servers = Servers::default();
    let names = first_fails(&servers);
    names.addresses("images.test").await.unwrap_err();

    names.addresses("images.test").await.unwrap_err();
    assert_eq!(servers.questions("images.test"), 1);

    // When the moment is over.
    names.failures.invalidate("images.test").await;
    assert_eq!(*names.addresses("images.test").await.unwrap(), [ip("8.8.8.8")]);
}

#[tokio::test]
async fn the_last_addresses_are_used_where_name_servers_fail() {
    let servers = Servers::default();
    let names = first_fails(&servers);
    names.last.insert("images.test".into(), [ip("9.9.9.9")].into()).await;

    assert_eq!(*names.addresses("images.test").await.unwrap(), [ip("9.9.9.9")]);
    assert_eq!(servers.questions("images.test"), 1);

    // When they have become too old.
    names.answers.invalidate("images.test").await;
    names.last.invalidate("images.test").await;
    names.addresses("images.test").await.unwrap_err();
}

/// The first who comes waits for a moment, the others do not; the answer is the next one's, however late.
#[tokio::test]
async fn the_last_addresses_are_used_while_new_ones_are_asked_for() {
    let (servers, release) = (Servers::default(), Arc::new(Semaphore::new(0)));
    let ask = {
        let (servers, release) = (servers.clone(), release.clone());
        move |name: String| {
            servers.asked(&name);
            let release = release.clone();
            async move {
                let _released = release.acquire().await.unwrap();
                Ok([ip("8.8.8.8")].into())
            }
        }
    };
    let names = Names::new(ask, HOUR, HOUR);
    names.last.insert("images.test".into(), [ip("9.9.9.9")].into()).await;

    for _ in 0..100 {
        assert_eq!(*names.addresses("images.test").await.unwrap(), [ip("9.9.9.9")]);
    }
    assert_eq!(servers.questions("images.test"), 1);
    release.add_permits(1);

    while *names.addresses("images.test").await.unwrap() != [ip("8.8.8.8")] {
        tokio::task::yield_now().await;
    }
    assert_eq!(servers.questions("images.test"), 1);
}

/// An answer that is to be had is the one that is used: hosts move.
#[tokio::test]
async fn a_new_answer_is_preferred_to_the_last_one() {
    let names = Names::new(|_| async { Ok([ip("8.8.8.8")].into()) }, HOUR, HOUR);
    names.last.insert("images.test".into(), [ip("9.9.9.9")].into()).await;

    assert_eq!(*names.addresses("images.test").await.unwrap(), [ip("8.8.8.8")]);
}

/// One inventory lists them all; name servers of that domain swallow every question.
#[tokio::test]
async fn two_thousand_names_that_nobody_answers_hold_up_no_other() {
    let servers = Servers::default();
    let ask = {
        let servers = servers.clone();
        move |name: String| {
            let servers = servers.clone();
            async move {
                servers.asked(&name);
                if name.ends_with(".evil.example") {
                    std::future::pending::<()>().await;
                }
                Ok([ip("8.8.8.8")].into())
            }
        }
    };
    // Every answer is old at once.
    let names = Names::new(ask, Duration::ZERO, HOUR);
    let resolve = async |domain: &str| {
        let each = (0..100).map(|n| {
            let (names, name) = (&names, format!("{n}.{domain}"));
            async move { names.addresses(&name).await }
        });
        join_all(each).await.into_iter().filter(Result::is_ok).count()
    };
    assert_eq!(resolve("known.example").await, 100);

    let evil = (0..2_000).map(|n| {
        let names = names.clone();
        tokio::spawn(async move { names.addresses(&format!("{n}.evil.example")).await })
    });
    let evil: Vec<_> = evil.collect();
    while servers.questions(".evil.example") == 0 {
        tokio::task::yield_now().await;
    }
    let begun = Instant::now();

    assert_eq!(resolve("known.example").await, 100);
    assert_eq!(resolve("new.example").await, 100);

    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(servers.questions("known.example"), 200);
    assert_eq!(servers.questions(".evil.example"), 2, "all others of that domain wait");
    assert!(evil.iter().all(|name| !name.is_finished()));
}
