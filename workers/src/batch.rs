//! Batching without a clock.
//!
//! A batch is whatever is waiting when the previous one ends, up to a maximum.
//! While one batch runs the next gathers by itself: a busy worker runs full
//! batches, an idle one answers at once, and there is no delay to tune.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures::FutureExt;
use tokio::sync::{Mutex, mpsc, oneshot};
use tracing::error;

/// Nobody answers: the batch's handler panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the batch was lost")]
pub struct Lost;

/// The asking side of a batch handler.
pub struct Batcher<Q, A> {
    requests: mpsc::Sender<Request<Q, A>>,
}

impl<Q, A> Clone for Batcher<Q, A> {
    fn clone(&self) -> Self {
        Self { requests: self.requests.clone() }
    }
}

struct Request<Q, A> {
    question: Q,
    reply: oneshot::Sender<A>,
}

type Requests<Q, A> = Arc<Mutex<mpsc::Receiver<Request<Q, A>>>>;

impl<Q: Send + 'static, A: Send + 'static> Batcher<Q, A> {
    /// Answers each batch with one call of a blocking handler; every handler
    /// has a thread of its own, called `name`. They end with the last `Batcher`.
    ///
    /// # Errors
    ///
    /// If the operating system gives no more threads.
    pub fn on_threads<H>(
        name: &str,
        handlers: impl IntoIterator<Item = H>,
        max_batch: usize,
    ) -> std::io::Result<Self>
    where
        H: FnMut(Vec<Q>) -> Vec<A> + Send + 'static,
    {
        let (requests, waiting) = mpsc::channel(2 * max_batch);
        let waiting: Requests<Q, A> = Arc::new(Mutex::new(waiting));
        for mut handler in handlers {
            let waiting = waiting.clone();
            std::thread::Builder::new().name(name.to_owned()).spawn(move || {
                let mut batch = Vec::with_capacity(max_batch);
                // Whoever holds the lock waits for work; the others wait for the lock.
                while waiting.blocking_lock().blocking_recv_many(&mut batch, max_batch) > 0 {
                    let (questions, replies) = open(&mut batch);
                    match catch_unwind(AssertUnwindSafe(|| handler(questions))) {
                        Ok(answers) => send(replies, answers),
                        Err(_) => {
                            let thread = std::thread::current();
                            let (questions, name) = (replies.len(), thread.name().unwrap_or_default());
                            error!(
                                batch.questions = questions,
                                thread = name,
                                "a batch of {questions} panicked on {name}"
                            );
                        }
                    }
                }
            })?;
        }
        Ok(Self { requests })
    }

    /// Answers each batch with one call of an async handler, `tasks` of them
    /// at a time.
    pub fn on_tasks<H, F>(tasks: usize, handler: H, max_batch: usize) -> Self
    where
        H: Fn(Vec<Q>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Vec<A>> + Send,
    {
        let (requests, waiting) = mpsc::channel(2 * max_batch);
        let waiting: Requests<Q, A> = Arc::new(Mutex::new(waiting));
        for _ in 0..tasks {
            let (waiting, handler) = (waiting.clone(), handler.clone());
            tokio::spawn(async move {
                let mut batch = Vec::with_capacity(max_batch);
                while gather(&waiting, &mut batch, max_batch).await {
                    let (questions, replies) = open(&mut batch);
                    // Called inside the future: a handler may panic before its first await.
                    let answers = async { handler(questions).await };
                    match AssertUnwindSafe(answers).catch_unwind().await {
                        Ok(answers) => send(replies, answers),
                        Err(_) => {
                            let questions = replies.len();
                            error!(batch.questions = questions, "a batch of {questions} panicked");
                        }
                    }
                }
            });
        }
        Self { requests }
    }

    /// Asks, and waits for the batch that has this question in it. That wait
    /// is the pipeline's backpressure.
    ///
    /// # Errors
    ///
    /// If the handler panicked on this batch.
    pub async fn ask(&self, question: Q) -> Result<A, Lost> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request { question, reply }).await.map_err(|_| Lost)?;
        answer.await.map_err(|_| Lost)
    }
}

/// Waits for a question, and takes what is waiting with it: `false` when nobody
/// is left to ask.
async fn gather<Q, A>(
    waiting: &Mutex<mpsc::Receiver<Request<Q, A>>>,
    batch: &mut Vec<Request<Q, A>>,
    max_batch: usize,
) -> bool {
    let mut waiting = waiting.lock().await;
    if waiting.recv_many(batch, max_batch).await == 0 {
        return false;
    }
    // Whoever is ready to ask comes along. This is one round of the runtime and
    // no wait: where nobody is ready, it ends at once.
    tokio::task::yield_now().await;
    while batch.len() < max_batch
        && let Ok(request) = waiting.try_recv()
    {
        batch.push(request);
    }
    true
}

/// Questions and where their answers go; requests whose caller has gone are dropped.
fn open<Q, A>(batch: &mut Vec<Request<Q, A>>) -> (Vec<Q>, Vec<oneshot::Sender<A>>) {
    batch
        .drain(..)
        .filter(|request| !request.reply.is_closed())
        .map(|request| (request.question, request.reply))
        .unzip()
}

/// Nobody gets somebody else's answer: a handler that returns the wrong number
/// of answers answers nobody.
fn send<A>(replies: Vec<oneshot::Sender<A>>, answers: Vec<A>) {
    let (questions, given) = (replies.len(), answers.len());
    if questions != given {
        error!(
            batch.questions = questions,
            batch.answers = given,
            "a batch of {questions} was given {given} answers"
        );
        return;
    }
    for (reply, answer) in replies.into_iter().zip(answers) {
        // Err: the caller has gone.
        let _ = reply.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::sync::mpsc as sync;

    /// Idle, a question is answered at once; busy, the next batch gathers.
    #[tokio::test]
    async fn a_batch_is_whatever_is_waiting() {
        let (sizes, seen) = sync::channel();
        let (open, gate) = sync::channel::<()>();
        let handler = move |questions: Vec<u32>| {
            sizes.send(questions.len()).unwrap();
            gate.recv().unwrap();
            questions.iter().map(|q| q + 1).collect()
        };
        let batcher = Batcher::on_threads("test", [handler], 4).unwrap();
        let first = tokio::spawn({
            let batcher = batcher.clone();
            async move { batcher.ask(0).await }
        });
        tokio::task::yield_now().await;
        // The first is at work, alone, once its size is told.
        assert_eq!(seen.recv(), Ok(1));

        let rest = join_all((1..=6).map(|q| batcher.ask(q)));
        let opener = async { (0..3).for_each(|_| open.send(()).unwrap()) };
        let (answers, ()) = tokio::join!(rest, opener);

        assert_eq!(first.await.unwrap(), Ok(1));
        assert_eq!(answers, (2..=7).map(Ok).collect::<Vec<_>>());
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), [4, 2]);
    }

    /// Whoever is ready to ask comes along with the first.
    #[tokio::test]
    async fn a_batch_of_a_task_is_whoever_is_ready() {
        let (sizes, seen) = sync::channel();
        let handler = move |questions: Vec<u32>| {
            sizes.send(questions.len()).unwrap();
            std::future::ready(questions)
        };
        let batcher = Batcher::on_tasks(1, handler, 4);

        let answers = join_all((0..6).map(|q| batcher.ask(q))).await;

        assert_eq!(answers, (0..6).map(Ok).collect::<Vec<_>>());
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), [4, 2]);
    }

    #[tokio::test]
    async fn a_panic_loses_its_batch_and_no_other() {
        let handler = |questions: Vec<u32>| {
            assert!(!questions.contains(&13), "unlucky");
            questions
        };
        let batcher = Batcher::on_threads("test", [handler], 1).unwrap();
        assert_eq!(batcher.ask(13).await, Err(Lost));
        assert_eq!(batcher.ask(14).await, Ok(14));

        let batcher = Batcher::on_tasks(1, move |questions| std::future::ready(handler(questions)), 1);
        assert_eq!(batcher.ask(13).await, Err(Lost));
        assert_eq!(batcher.ask(14).await, Ok(14));
    }

    #[tokio::test]
    async fn a_wrong_number_of_answers_answers_nobody() {
        let batcher = Batcher::on_tasks(1, |_: Vec<u32>| async { vec![1, 2, 3] }, 8);
        assert_eq!(batcher.ask(1).await, Err(Lost));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Whoever asks gets the answer to their own question, or learns that it was
        /// lost; no batch is larger than it may be, and nothing is asked twice.
        #[test]
        fn every_question_has_its_own_answer(
            questions in vec(0..1000_u32, 1..60),
            max_batch in 1..9_usize,
            threads in 1..4_usize,
            on_threads: bool,
        ) {
            // One question in ten loses its batch.
            let handler = move |batch: Vec<u32>| -> Vec<u64> {
                assert!(batch.len() <= max_batch && !batch.iter().any(|question| question % 10 == 7), "lost");
                batch.into_iter().map(|question| u64::from(question) << 8).collect()
            };
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
            let answers = runtime.block_on(async {
                let batcher = if on_threads {
                    Batcher::on_threads("test", (0..threads).map(|_| handler), max_batch).unwrap()
                } else {
                    Batcher::on_tasks(threads, move |batch| std::future::ready(handler(batch)), max_batch)
                };
                join_all(questions.iter().map(|&question| batcher.ask(question))).await
            });
            for (question, answer) in questions.into_iter().zip(answers) {
                match answer {
                    Ok(answer) => prop_assert_eq!(answer, u64::from(question) << 8),
                    // It was in a batch with an unlucky one, at least.
                    Err(Lost) => prop_assert!(max_batch > 1 || question % 10 == 7),
                }
            }
        }
    }
}
