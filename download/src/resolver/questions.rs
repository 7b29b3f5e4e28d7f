//! How many questions for names are out at once: in all, and for the names of one domain.
//!
//! Who asks the operating system has a thread until its name servers answer, or for ten seconds and
//! more where they do not. Anybody can list ten thousand names of a domain that nobody answers for:
//! these take two places until one is answered, and all others go on.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::future::Cache;
use tagfleet_shared::lane::{Lane, LaneWeights};
use tokio::sync::Semaphore;

use crate::permits::Permits;

/// Questions for names that are new, at once. Many: as many threads wait. Few: domains that are
/// not answered for, two questions of each, hold up the first look-up of every other name.
const FIRST: usize = 96;

/// Places that names have to themselves which had an answer before: no list of new ones, however
/// long, keeps their addresses from being renewed.
const AGAIN: usize = 32;

/// Questions for the names of one domain, at once.
const PER_DOMAIN: usize = 8;

/// The same until it is answered for, and after it was not. More than one, as a packet may be lost,
/// or the first name be the only one that is broken.
const UNTIL_ANSWERED: usize = 2;

/// A failure that took so long was no answer. That a name does not exist is said sooner.
const SILENCE: Duration = Duration::from_secs(2);

/// How long a question waits for its place. Longer than a connection may take by default, so that
/// whoever waits meets a limit of its own; whoever comes back later finds the answer.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A domain that nobody asks for is forgotten after so long.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// Domains that are remembered at once.
const REMEMBERED: u64 = 10_000;

/// Names are of no lane: whoever asks, all wait for the answer.
const LANE: Lane = Lane::Standard;
const WEIGHTS: LaneWeights = LaneWeights { express: 1, standard: 1, bulk: 1 };

/// What registries of countries sell names under (`co.uk`, `com.br`). The list of all such
/// (publicsuffix.org) is MPL-2.0; a domain that is taken for too large shares its places with others.
const REGISTRIES: [&str; 13] =
    ["ac", "co", "com", "edu", "gob", "gov", "ne", "net", "nom", "or", "org", "sch", "web"];

/// The places for questions.
#[derive(Clone, Debug)]
pub struct Questions {
    first: Arc<Semaphore>,
    again: Arc<Semaphore>,
    domains: Cache<String, Arc<Permits>>,
}

/// Whether a name had an answer before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    New,
    Known,
}

impl Questions {
    /// None is out yet.
    pub fn new() -> Self {
        let domains = Cache::builder().max_capacity(REMEMBERED).time_to_idle(FORGET_AFTER).build();
        Self { first: Arc::new(Semaphore::new(FIRST)), again: Arc::new(Semaphore::new(AGAIN)), domains }
    }

    /// Asks for `name` as soon as there is a place.
    ///
    /// # Errors
    ///
    /// Those of the question; [`io::ErrorKind::TimedOut`] if it was not asked.
    pub async fn ask<T>(
        &self,
        name: &str,
        standing: Standing,
        question: impl Future<Output = io::Result<T>>,
    ) -> io::Result<T> {
        let new = async { Arc::new(Permits::new(UNTIL_ANSWERED, WEIGHTS)) };
        let domain = self.domains.get_with_by_ref(domain_of(name), new).await;
        let places = match standing {
            Standing::New => &self.first,
            Standing::Known => &self.again,
        };
        // First the domain's: who waits for that keeps nobody else from asking.
        let place = async { Some((domain.take(LANE).await?, places.acquire().await.ok()?)) };
        let Ok(Some(_place)) = tokio::time::timeout(LONGEST_WAIT, place).await else {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "too many names wait for an answer"));
        };
        let asked = Instant::now();
        let answer = question.await;
        domain.resize(at_once(answer.is_ok(), asked.elapsed()));
        answer
    }
}

/// How many may be out for a domain after a question that `took` so long.
fn at_once(found: bool, took: Duration) -> usize {
    if found || took < SILENCE { PER_DOMAIN } else { UNTIL_ANSWERED }
}

/// The domain of `name` that somebody has bought, as far as its look tells: who has it decides
/// which name servers are asked.
fn domain_of(name: &str) -> &str {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut labels = name.rsplitn(4, '.');
    let [Some(top), Some(second), third] = [labels.next(), labels.next(), labels.next()] else {
        return name;
    };
    let sold = top.len() == 2 && REGISTRIES.contains(&second);
    let labels = [Some(top), Some(second), third.filter(|_| sold)];
    let len = labels.into_iter().flatten().map(|label| label.len() + 1).sum::<usize>() - 1;
    &name[name.len() - len..]
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::sync::Notify;

    use super::*;

    #[test]
    fn a_domain_is_what_somebody_has_bought() {
        for (name, domain) in [
            ("cdn.example.com", "example.com"),
            ("17.evil.example", "evil.example"),
            ("a.b.evil.example.", "evil.example"),
            ("17.evil.co.uk", "evil.co.uk"),
            ("evil.co.uk", "evil.co.uk"),
            ("17.x.de", "x.de"),
            ("17.com.example", "com.example"),
            ("co.uk", "co.uk"),
            ("images.default.svc.cluster.local", "cluster.local"),
            ("localhost", "localhost"),
            ("", ""),
        ] {
            assert_eq!(domain_of(name), domain, "{name}");
        }
    }

    #[test]
    fn a_quick_no_is_an_answer_and_a_slow_one_is_not() {
        assert_eq!(at_once(false, Duration::from_millis(20)), PER_DOMAIN);
        assert_eq!(at_once(true, SILENCE), PER_DOMAIN);
        assert_eq!(at_once(false, SILENCE), UNTIL_ANSWERED);
    }

    /// Those that wait go on as soon as it is answered for.
    #[tokio::test]
    async fn a_domain_is_asked_for_a_little_until_it_is_answered_for() {
        let (questions, answered) = (Questions::new(), Notify::new());
        let ask = |name: String| {
            let (questions, answered) = (&questions, &answered);
            async move { questions.ask(&name, Standing::New, answered.notified().map(Ok)).await }
        };
        let mut names: Vec<_> = (0..20).map(|n| Box::pin(ask(format!("{n}.good.example")))).collect();
        assert!(names.iter_mut().all(|name| name.now_or_never().is_none()));
        let domain = questions.domains.get("good.example").await.unwrap();
        assert_eq!(domain.taken(), UNTIL_ANSWERED);

        answered.notify_one();
        assert!(names.remove(0).await.is_ok());
        assert!(names.iter_mut().all(|name| name.now_or_never().is_none()));

        assert_eq!(domain.taken(), PER_DOMAIN);
    }

    /// However many domains there are of them.
    #[tokio::test]
    async fn names_that_had_an_answer_do_not_wait_behind_new_ones() {
        let questions = Questions::new();
        let never = |n: usize| {
            let questions = &questions;
            Box::pin(async move {
                let name = format!("images.evil{n}.example");
                questions.ask(&name, Standing::New, std::future::pending::<io::Result<()>>()).await
            })
        };
        let mut evil: Vec<_> = (0..2 * FIRST).map(never).collect();
        assert!(evil.iter_mut().all(|name| name.now_or_never().is_none()));
        assert_eq!(questions.first.available_permits(), 0);

        let known = questions.ask("images.good.example", Standing::Known, async { Ok(()) });

        assert!(matches!(known.now_or_never(), Some(Ok(()))));
    }
}
