//! A model set on ONNX Runtime.

use std::collections::BTreeSet;

use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session};
use ort::value::TensorRef;
use tagfleet_shared::tags::Tags;

use super::{Answer, Model, ModelError, ModelSet, Runtime, Stage, embedding, graph};
use crate::decode::Pixels;

/// A model set, loaded onto a device: one session for each stage.
pub struct OnnxModel {
    stages: Vec<LoadedStage>,
    /// Every attribute of the set, null: what is said of a picture before any stage ran.
    unanswered: Tags,
}

/// The ONNX files are not what the manifest says of them, or do not run.
#[derive(Debug, thiserror::Error)]
#[error("model set {set} does not fit its manifest:\n  {}", .problems.join("\n  "))]
pub struct LoadError {
    /// The set's name.
    pub set: String,
    /// One line each, with the stage.
    pub problems: Vec<String>,
}

impl OnnxModel {
    /// Loads `set` onto the device of `runtime`, checks its graphs against the
    /// manifest, and runs each with one picture and with `max_batch`. It will give
    /// tags and scores, but no embedding.
    ///
    /// # Errors
    ///
    /// Lists everything in which graphs and manifest differ, over all stages, or
    /// else every stage that does not run.
    pub fn load(set: &ModelSet, runtime: &Runtime, max_batch: usize) -> Result<Self, LoadError> {
        Self::load_asking(set, runtime, max_batch, false)
    }

    /// As [`load`](Self::load), and it will give the embedding as well.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_with_embedding(
        set: &ModelSet,
        runtime: &Runtime,
        max_batch: usize,
    ) -> Result<Self, LoadError> {
        Self::load_asking(set, runtime, max_batch, true)
    }

    fn load_asking(
        set: &ModelSet,
        runtime: &Runtime,
        max_batch: usize,
        embeddings: bool,
    ) -> Result<Self, LoadError> {
        let (mut stages, mut problems) = (Vec::new(), Vec::new());
        for stage in &set.stages {
            match LoadedStage::load(stage, runtime, embeddings) {
                Ok(loaded) => stages.push(loaded),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() {
            let warmed_up = stages.iter_mut().map(|stage| stage.warm_up(max_batch));
            problems.extend(warmed_up.filter_map(Result::err).map(|error| error.to_string()));
        }
        if !problems.is_empty() {
            return Err(LoadError { set: set.name.clone(), problems });
        }
        let unanswered = set.attributes().map(|attribute| (attribute.name.clone(), None::<String>)).collect();
        Ok(Self { stages, unanswered })
    }
}

impl Model for OnnxModel {
    fn run(&mut self, batch: &[&Pixels]) -> Result<Vec<Answer>, ModelError> {
        let unanswered = Answer { tags: self.unanswered.clone(), ..Answer::default() };
        let mut answers = vec![unanswered; batch.len()];
        for stage in &mut self.stages {
            let wanted = |answer: &Answer| {
                stage.described.runs_when.as_ref().is_none_or(|condition| condition.holds(&answer.tags))
            };
            let chosen: Vec<_> = (0..batch.len()).filter(|&i| wanted(&answers[i])).collect();
            if !chosen.is_empty() {
                stage.run(batch, &chosen, &mut answers)?;
            }
        }
        Ok(answers)
    }
}

struct LoadedStage {
    described: Stage,
    session: Session,
    /// Names the outputs that are wanted: others are not handed over. ONNX Runtime
    /// computes every output of a graph all the same.
    outputs: RunOptions<HasSelectedOutputs>,
    /// Where the embedding is, if it is wanted.
    embedding: Option<embedding::Reader>,
    /// The pictures of a batch, one behind the other; kept from run to run.
    input: Vec<u8>,
}

impl LoadedStage {
    fn load(stage: &Stage, runtime: &Runtime, embeddings: bool) -> Result<Self, Vec<String>> {
        let problem = |error: ort::Error| vec![format!("stage {:?}: {error}", stage.name)];
        let session = runtime.session(&stage.file).map_err(problem)?;
        let problems = graph::problems(stage, &session);
        if !problems.is_empty() {
            return Err(problems);
        }
        let embedding = stage.embedding.as_ref().filter(|_| embeddings);
        let names = stage.attributes.iter().map(|attribute| &attribute.output).chain(embedding);
        let names: BTreeSet<_> = names.collect();
        let selector = names.into_iter().fold(OutputSelector::no_default(), OutputSelector::with);
        let outputs = RunOptions::new().map_err(problem)?.with_outputs(selector);
        let embedding = embedding.map(|output| embedding::Reader::new(&stage.name, output));
        Ok(Self { described: stage.clone(), session, outputs, embedding, input: Vec::new() })
    }

    /// Runs with one picture and with `max_batch`, whatever the condition: the
    /// first run of a size is slow, and what cannot run shall not start.
    fn warm_up(&mut self, max_batch: usize) -> Result<(), ModelError> {
        let picture = Pixels::filled(&[self.described.input.size], [127; 3]);
        for pictures in [1, max_batch] {
            let chosen: Vec<_> = (0..pictures).collect();
            self.run(&vec![&picture; pictures], &chosen, &mut vec![Answer::default(); pictures])?;
        }
        Ok(())
    }

    /// Decides this stage's attributes for the pictures `chosen` from `batch`, and
    /// adds their embeddings where they are wanted.
    fn run(&mut self, batch: &[&Pixels], chosen: &[usize], answers: &mut [Answer]) -> Result<(), ModelError> {
        let Stage { name: stage, input, attributes, .. } = &self.described;
        let failed = |error| ModelError::Run { stage: stage.clone(), error };
        self.input.clear();
        for &i in chosen {
            let no_plane = || ModelError::NoPlane { stage: stage.clone(), size: input.size };
            self.input.extend_from_slice(batch[i].plane(input.size).ok_or_else(no_plane)?);
        }
        let shape = [chosen.len(), input.size.height as usize, input.size.width as usize, 3];
        let pictures = TensorRef::from_array_view((shape, self.input.as_slice())).map_err(failed)?;
        let inputs = ort::inputs![input.name.as_str() => pictures];
        let outputs = self.session.run_with_options(inputs, &self.outputs).map_err(failed)?;

        for attribute in attributes {
            let (_, logits) =
                outputs[attribute.output.as_str()].try_extract_tensor::<f32>().map_err(failed)?;
            let classes = attribute.classes.len();
            if logits.len() != chosen.len() * classes {
                return Err(ModelError::Output {
                    stage: stage.clone(),
                    output: attribute.output.clone(),
                    found: logits.len(),
                    expected: chosen.len() * classes,
                });
            }
            for (&i, logits) in chosen.iter().zip(logits.chunks_exact(classes)) {
                let not_finite =
                    || ModelError::NotFinite { stage: stage.clone(), output: attribute.output.clone() };
                attribute.decide(logits, &mut answers[i]).ok_or_else(not_finite)?;
            }
        }
        self.embedding.as_mut().map_or(Ok(()), |embedding| embedding.read(&outputs, chosen, answers))
    }
}
