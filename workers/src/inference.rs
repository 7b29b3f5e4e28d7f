//! The threads that own the models.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tracing::warn;

use crate::batch::{Batcher, Lost};
use crate::decode::{InputSize, Pixels};
use crate::metrics::{Metrics, Stage};
use crate::model::{Answer, Model};
use crate::outcome::Unanswered;

/// Sick models are asked whether they are well again once in so long.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Threads called `model`, each with a model of its own.
pub struct Inference {
    threads: Batcher<Pixels, Result<Answer, Unanswered>>,
    well: Arc<AtomicBool>,
    probe: Pixels,
    /// When sick models were asked last, and what was wrong.
    probed: Mutex<Option<(Instant, String)>>,
}

impl Inference {
    /// Gives each of `models`, which look at `sizes`, a thread; batches hold at
    /// most `max_batch` pictures.
    ///
    /// # Errors
    ///
    /// If the operating system gives no more threads.
    pub fn start<M: Model>(
        models: Vec<M>,
        sizes: &[InputSize],
        max_batch: usize,
        metrics: &Metrics,
    ) -> std::io::Result<Self> {
        let well = Arc::new(AtomicBool::new(true));
        let probe = Pixels::filled(sizes, [127; 3]);
        let handlers = models.into_iter().map(|model| {
            let (metrics, well) = (metrics.clone(), well.clone());
            let mut patient = Patient { model, probe: probe.clone() };
            move |pictures: Vec<Pixels>| {
                let _timer = metrics.stage(Stage::Infer, pictures.len());
                let answers = patient.answers(&pictures);
                let sick = answers.iter().any(|answer| matches!(answer, Err(Unanswered::Sick(_))));
                well.store(!sick, Ordering::Relaxed);
                answers
            }
        });
        let threads = Batcher::on_threads("model", handlers, max_batch)?;
        Ok(Self { threads, well, probe, probed: Mutex::default() })
    }

    /// Asks the models about one picture; waits its turn.
    ///
    /// # Errors
    ///
    /// If the models fail on this picture alone, or on every picture.
    pub async fn infer(&self, picture: Pixels) -> Result<Answer, Unanswered> {
        self.threads.ask(picture).await.unwrap_or_else(|Lost| {
            self.well.store(false, Ordering::Relaxed);
            Err(Unanswered::Sick(Lost.to_string()))
        })
    }

    /// Asks models that were sick about a grey picture, so that nobody brings
    /// them another in vain. Of all who wait for that, one asks.
    ///
    /// # Errors
    ///
    /// [`Unanswered::Sick`] where they still are.
    pub async fn check(&self) -> Result<(), Unanswered> {
        if self.is_well() {
            return Ok(());
        }
        let came = Instant::now();
        let mut probed = self.probed.lock().await;
        if self.is_well() {
            return Ok(());
        }
        if let Some((at, error)) = &*probed
            && (*at >= came || at.elapsed() < PROBE_EVERY)
        {
            return Err(Unanswered::Sick(error.clone()));
        }
        let answer = self.infer(self.probe.clone()).await;
        *probed = match &answer {
            Err(Unanswered::Sick(error)) => Some((Instant::now(), error.clone())),
            Ok(_) | Err(Unanswered::Picture(_)) => None,
        };
        answer.map(drop)
    }

    /// Whether the last batch found the models well.
    pub fn is_well(&self) -> bool {
        self.well.load(Ordering::Relaxed)
    }
}

/// A model whose failures are looked into.
struct Patient<M> {
    model: M,
    /// A grey picture, which every model that is well has an answer for.
    probe: Pixels,
}

impl<M: Model> Patient<M> {
    /// One bad picture never fails its batch mates: a batch that fails is tried
    /// again picture by picture. And a sick model never fails a picture: whoever
    /// fails on the probe as well has no answers to give.
    fn answers(&mut self, pictures: &[Pixels]) -> Vec<Result<Answer, Unanswered>> {
        let batch: Vec<&Pixels> = pictures.iter().collect();
        match run(&mut self.model, &batch) {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            Err(_) if pictures.len() > 1 => {
                pictures.iter().flat_map(|picture| self.answers(std::slice::from_ref(picture))).collect()
            }
            Err(failure) => vec![Err(match run(&mut self.model, &[&self.probe]) {
                Ok(_) => {
                    warn!(error = %failure, "the models failed on a picture");
                    Unanswered::Picture(failure)
                }
                // Told where the job is held.
                Err(failure) => Unanswered::Sick(failure),
            })],
        }
    }
}

fn run(model: &mut impl Model, batch: &[&Pixels]) -> Result<Vec<Answer>, String> {
    match catch_unwind(AssertUnwindSafe(|| model.run(batch))) {
        Ok(Ok(answers)) if answers.len() == batch.len() => Ok(answers),
        Ok(Ok(answers)) => Err(format!("{} answers for {} pictures", answers.len(), batch.len())),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the model panicked".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelError;
    use futures::future::join_all;
    use prometheus::Registry;
    use std::collections::BTreeMap;
    use std::sync::atomic::AtomicUsize;
    use tagfleet_shared::tags::Scores;

    const SIZE: InputSize = InputSize { height: 1, width: 1 };

    /// Panics on red, answers everything else until it falls sick.
    struct Fake {
        answers_left: usize,
        runs: Arc<AtomicUsize>,
    }

    impl Model for Fake {
        fn run(&mut self, batch: &[&Pixels]) -> Result<Vec<Answer>, ModelError> {
            self.runs.fetch_add(1, Ordering::Relaxed);
            let red = |picture: &&&Pixels| picture.plane(SIZE) == Some(&[255, 0, 0]);
            assert!(!batch.iter().any(|picture| red(&picture)), "red");
            assert!(self.answers_left > 0, "sick");
            self.answers_left -= 1;
            let score = |picture: &&Pixels| f32::from(picture.plane(SIZE).unwrap()[1]);
            let answer = |picture| Answer {
                scores: Scores(BTreeMap::from([("green".to_owned(), score(picture))])),
                ..Answer::default()
            };
            Ok(batch.iter().map(answer).collect())
        }
    }

    fn start(answers_left: usize) -> Inference {
        start_counting(answers_left, &Arc::default())
    }

    fn start_counting(answers_left: usize, runs: &Arc<AtomicUsize>) -> Inference {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let fake = Fake { answers_left, runs: runs.clone() };
        Inference::start(vec![fake], &[SIZE], 8, &metrics).unwrap()
    }

    #[tokio::test]
    async fn one_bad_picture_never_fails_its_batch_mates() {
        let inference = start(usize::MAX);
        let colors = [[0, 1, 0], [255, 0, 0], [0, 2, 0], [0, 3, 0]];
        let asked = colors.map(|rgb| inference.infer(Pixels::filled(&[SIZE], rgb)));
        let answers = join_all(asked).await;
        let greens: Vec<_> =
            answers.into_iter().map(|answer| answer.map(|answer| answer.scores.0["green"])).collect();
        assert_eq!(greens[0], Ok(1.0));
        assert_eq!(greens[1], Err(Unanswered::Picture("the model panicked".into())));
        assert_eq!(greens[2..], [Ok(2.0), Ok(3.0)]);
        assert!(inference.is_well());
    }

    #[tokio::test]
    async fn a_sick_model_never_fails_a_picture() {
        let inference = start(1);
        let green = || Pixels::filled(&[SIZE], [0, 9, 0]);
        assert!(inference.infer(green()).await.is_ok());
        assert_eq!(inference.infer(green()).await, Err(Unanswered::Sick("the model panicked".into())));
        assert!(!inference.is_well());
    }

    #[tokio::test]
    async fn of_all_who_wait_for_sick_models_one_asks() {
        let runs = Arc::default();
        let inference = start_counting(0, &runs);
        assert!(inference.check().await.is_ok(), "models that are well are not asked");
        assert_eq!(runs.load(Ordering::Relaxed), 0);
        assert!(inference.infer(Pixels::filled(&[SIZE], [0, 9, 0])).await.is_err());
        let before = runs.load(Ordering::Relaxed);

        let checks = join_all((0..1000).map(|_| inference.check())).await;

        assert!(checks.iter().all(|check| matches!(check, Err(Unanswered::Sick(_)))));
        // A picture that fails is followed by the probe: twice the same here.
        assert_eq!(runs.load(Ordering::Relaxed), before + 2);
    }

    #[tokio::test]
    async fn models_that_are_well_again_are_found_so_without_a_picture() {
        let inference = start(usize::MAX);
        inference.well.store(false, Ordering::Relaxed);

        assert!(inference.check().await.is_ok());

        assert!(inference.is_well());
    }
}
