//! The addresses of names: asked for once for all who want them, and kept for a while.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use moka::future::Cache;
use tokio::sync::oneshot;

use super::questions::{Questions, Standing};

/// How long an answer is used again. Short, since the system's resolver does
/// not say how long it is valid.
const TIME_TO_LIVE: Duration = Duration::from_secs(30);

/// How long nobody asks again after there was no answer: a scrape of a host whose
/// name is gone asks for each of its pictures.
const TIME_WITHOUT: Duration = Duration::from_secs(5);

/// How long a name's last addresses are good for where there is no new answer (RFC 8767). Long:
/// pictures are asked for where others have moved in. Short: name servers that are away take
/// hosts with them that are well.
const OLDEST: Duration = Duration::from_secs(3600);

/// How long a new answer is waited for while the last addresses are at hand.
const SOON: Duration = Duration::from_millis(250);

/// Names held at once. Images of one advertiser come from few hosts.
const MAX_NAMES: u64 = 4_096;

/// All addresses of a name, whoever may connect to them.
pub type Answer = Arc<[IpAddr]>;

/// Who knows the addresses of names. Clones know the same.
#[derive(Clone)]
pub struct Names {
    ask: Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Answer>> + Send + Sync>,
    questions: Questions,
    answers: Cache<String, Answer>,
    /// The last answers, for where there are no newer ones.
    last: Cache<String, Answer>,
    failures: Cache<String, Arc<io::Error>>,
}

impl Names {
    /// Asks the operating system.
    pub fn system() -> Self {
        Self::new(ask_system, TIME_TO_LIVE, OLDEST)
    }

    /// Asks a function, anew every time. For tests.
    #[cfg(test)]
    pub fn from_fn(answer: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static) -> Self {
        let ask = move |name: String| std::future::ready(Ok(answer(&name).into()));
        Self::new(ask, Duration::ZERO, Duration::ZERO)
    }

    /// Asks with `ask`, for what is older than `time_to_live`.
    pub(super) fn new<Q>(
        ask: impl Fn(String) -> Q + Send + Sync + 'static,
        time_to_live: Duration,
        oldest: Duration,
    ) -> Self
    where
        Q: Future<Output = io::Result<Answer>> + Send + 'static,
    {
        let kept = |lifetime| Cache::builder().max_capacity(MAX_NAMES).time_to_live(lifetime).build();
        Self {
            ask: Arc::new(move |name| Box::pin(ask(name))),
            questions: Questions::new(),
            answers: kept(time_to_live),
            last: kept(oldest),
            failures: Cache::builder().max_capacity(MAX_NAMES).time_to_live(TIME_WITHOUT).build(),
        }
    }

    /// The addresses of `name`. Where name servers fail or take their time, its last ones.
    ///
    /// # Errors
    ///
    /// If there is no answer, and was none for long.
    pub async fn addresses(&self, name: &str) -> Result<Answer, Arc<io::Error>> {
        if let Some(answer) = self.answers.get(name).await {
            return Ok(answer);
        }
        let Some(last) = self.last.get(name).await else {
            return self.ask(name, Standing::New).await;
        };
        match tokio::time::timeout(SOON, self.ask(name, Standing::Known)).await {
            Ok(Ok(answer)) => Ok(answer),
            // Those who come next need not wait as well; a late answer takes its place.
            _ => Ok(self.answers.entry_by_ref(name).or_insert(last).await.into_value()),
        }
    }

    /// Asks, once for all who ask for the same name at a time.
    ///
    /// The question has its own task and outlives a caller who gives up. Each
    /// one blocks a thread until name servers answer, so asking anew while the
    /// last question is still out would use up all threads while they do not.
    async fn ask(&self, name: &str, standing: Standing) -> Result<Answer, Arc<io::Error>> {
        if let Some(failure) = self.failures.get(name).await {
            return Err(failure);
        }
        let (names, name) = (self.clone(), name.to_owned());
        let question = async move {
            let question = names.question(&name, standing);
            let answer = names.answers.try_get_with_by_ref(&name, question).await;
            match &answer {
                // Nobody was asked.
                Err(failure) if failure.kind() == io::ErrorKind::TimedOut => {}
                Err(failure) => names.failures.insert(name, failure.clone()).await,
                Ok(_) => {}
            }
            answer
        };
        tokio::spawn(question).await.unwrap_or_else(|stopped| Err(Arc::new(stopped.into())))
    }

    async fn question(&self, name: &str, standing: Standing) -> io::Result<Answer> {
        let answer = self.questions.ask(name, standing, (self.ask)(name.to_owned())).await?;
        self.last.insert(name.to_owned(), answer.clone()).await;
        Ok(answer)
    }
}

/// Asks on a thread of its own: those of the runtime are for who has better to do than wait for
/// name servers (files, and the database's name), and it waits for them when it stops.
async fn ask_system(name: String) -> io::Result<Answer> {
    let (answer, answered) = oneshot::channel();
    let ask = move || {
        let sockets = (name.as_str(), 0).to_socket_addrs();
        // Nobody hears it while the process stops.
        let _ = answer.send(sockets.map(|sockets| sockets.map(|socket| socket.ip()).collect()));
    };
    std::thread::Builder::new().name("resolver".into()).spawn(ask)?;
    answered.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests;
