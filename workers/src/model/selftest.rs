//! A set's own test: pictures that it ships, and the tags that it must give them.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Model, ModelSet};
use crate::decode::{DecodeLimits, Decoder};

/// A picture whose tags are known.
#[derive(Clone, Debug)]
pub struct Example {
    /// Its file, as the manifest names it.
    pub file: String,
    /// What the file holds.
    pub(super) picture: Bytes,
    /// The values that must come out. Attributes that are not here may have any.
    pub tags: BTreeMap<String, String>,
}

/// Everything in which the answers of `model` differ from what `set` expects.
pub(super) fn problems(set: &ModelSet, model: &mut impl Model, limits: &DecodeLimits) -> Vec<String> {
    let decoder = Decoder::new(set.input_sizes(), limits.clone());
    let mut problems = Vec::new();
    for example in &set.examples {
        let answer = decoder
            .decode(&example.picture)
            .map_err(|error| error.to_string())
            .and_then(|pixels| model.run(&[&pixels]).map_err(|error| error.to_string()));
        match answer.as_deref() {
            Ok([answer]) => {
                let wrong = example.tags.iter().filter(|(name, value)| answer.tags.get(name) != Some(value));
                problems.extend(wrong.map(|(name, value)| {
                    let found = answer.tags.get(name).unwrap_or("null");
                    let score =
                        answer.scores.0.get(name).map_or(String::new(), |score| format!(" ({score})"));
                    format!("selftest {:?}: {name} is {found}{score}, not {value}", example.file)
                }));
            }
            Ok(answers) => {
                problems.push(format!(
                    "selftest {:?}: {} answers for one picture",
                    example.file,
                    answers.len()
                ));
            }
            Err(error) => problems.push(format!("selftest {:?}: {error}", example.file)),
        }
    }
    problems
}
