//! From logits to tags.

use serde::Serialize;
use tagfleet_shared::tags::{Scores, Tags};

use super::hierarchy::{above, is_within};
use super::{Attribute, Embedding};

/// What a model set says of one image.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Answer {
    /// The value of every attribute of the set.
    pub tags: Tags,
    /// How likely each value is, 0 to 1; where none is likely enough to be said, the likeliest class. Nothing of
    /// attributes that do not apply.
    pub scores: Scores,
    /// The vector of the stage that gives one, where embeddings are asked for and
    /// that stage ran. Nobody reads it back: an answer from the database has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding: Option<Embedding>,
}

impl Attribute {
    /// Adds to `answer` what `logits` (one for each class) say of one image, to
    /// which the attributes before this one are already decided. `None` where they
    /// say nothing, because one of them is not finite.
    #[must_use]
    pub(super) fn decide(&self, logits: &[f32], answer: &mut Answer) -> Option<()> {
        if self.applies_when.as_ref().is_some_and(|condition| !condition.holds(&answer.tags)) {
            answer.tags.0.insert(self.name.clone(), None);
            return Some(());
        }
        let probabilities = softmax(logits)?;
        let (value, score) = self.choose(&probabilities);
        answer.tags.0.insert(self.name.clone(), value.map(str::to_owned));
        answer.scores.0.insert(self.name.clone(), score);
        Some(())
    }

    /// The likeliest class. Where it is less likely than its least score, the nearest
    /// value above it that is likely enough, with all that lies within that; else
    /// nothing, with the score of the class.
    fn choose(&self, probabilities: &[f32]) -> (Option<&str>, f32) {
        // Of equals the first, as everybody's argmax has it.
        let numbered = probabilities.iter().enumerate().rev();
        let Some((best, &score)) = numbered.max_by(|(_, a), (_, b)| a.total_cmp(b)) else {
            return (None, 0.0);
        };
        let (class, score) = (self.classes[best].as_str(), rounded(score));
        if score >= self.least(class) {
            return (Some(class), score);
        }
        let likely = above(class).find_map(|value| {
            let within = self.classes.iter().zip(probabilities).filter(|(class, _)| is_within(class, value));
            let score = rounded(within.map(|(_, probability)| probability).sum());
            (score >= self.least(value)).then_some((Some(value), score))
        });
        likely.unwrap_or((None, score))
    }

    /// The probability from which on `value` is an answer: its own of `min_scores`, or
    /// else `min_score`.
    fn least(&self, value: &str) -> f32 {
        self.min_scores.get(value).copied().or(self.min_score).unwrap_or_default()
    }
}

/// The probability of every class. `None` where a model that overflowed gave
/// something that is not a number.
fn softmax(logits: &[f32]) -> Option<Vec<f32>> {
    let top = logits.iter().copied().max_by(f32::total_cmp)?;
    if !logits.iter().all(|logit| logit.is_finite()) {
        return None;
    }
    let sum: f32 = logits.iter().map(|logit| (logit - top).exp()).sum();
    Some(logits.iter().map(|logit| (logit - top).exp() / sum).collect())
}

/// To four decimals.
fn rounded(probability: f32) -> f32 {
    (10_000.0 * probability).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const GOODS: [&str; 5] =
        ["Goods/Computers/Keyboards", "Goods/Computers/Mice", "Goods/Phones", "Pets/Cats", "Pets/Dogs"];

    fn attribute(classes: &[&str], min_score: Option<f32>) -> Attribute {
        Attribute {
            name: "category".into(),
            output: "category".into(),
            classes: classes.iter().map(|&class| class.to_owned()).collect(),
            default: None,
            min_score,
            min_scores: BTreeMap::new(),
            applies_when: None,
        }
    }

    fn likeliest(logits: &[f32]) -> (Option<String>, f32) {
        let names: Vec<String> = (0..logits.len()).map(|number| number.to_string()).collect();
        let attribute = attribute(&names.iter().map(String::as_str).collect::<Vec<_>>(), None);
        let (value, score) = attribute.choose(&softmax(logits).unwrap());
        (value.map(str::to_owned), score)
    }

    #[test]
    fn the_score_is_the_probability_of_the_best_class() {
        assert_eq!(likeliest(&[0.0, 0.0, 0.0, 2.0_f32.ln()]), (Some("3".into()), 0.4));
        assert_eq!(likeliest(&[1.0, 3.0, 2.0]), (Some("1".into()), 0.6652));
        assert_eq!(likeliest(&[1000.0, -1000.0]), (Some("0".into()), 1.0));
        assert_eq!(likeliest(&[5.0, 5.0]), (Some("0".into()), 0.5));
    }

    #[test]
    fn what_is_not_a_number_is_no_answer() {
        assert_eq!(softmax(&[0.0, f32::NAN]), None);
        assert_eq!(softmax(&[f32::INFINITY, 0.0]), None);
        assert_eq!(softmax(&[]), None);
    }

    #[test]
    fn an_unsure_leaf_rolls_up_to_the_nearest_value_that_is_sure() {
        let goods = attribute(&GOODS, Some(0.6));
        let chosen = |probabilities: [f32; 5]| goods.choose(&probabilities);
        assert_eq!(chosen([0.7, 0.1, 0.1, 0.1, 0.0]), (Some("Goods/Computers/Keyboards"), 0.7));
        assert_eq!(chosen([0.4, 0.3, 0.1, 0.1, 0.1]), (Some("Goods/Computers"), 0.7));
        assert_eq!(chosen([0.3, 0.2, 0.2, 0.2, 0.1]), (Some("Goods"), 0.7));
        assert_eq!(chosen([0.1, 0.1, 0.1, 0.4, 0.3]), (Some("Pets"), 0.7));
        assert_eq!(chosen([0.3, 0.1, 0.1, 0.25, 0.25]), (None, 0.3), "neither Goods nor what is in it");
    }

    #[test]
    fn a_value_has_a_least_score_of_its_own_or_that_of_all() {
        let mut goods = attribute(&GOODS, Some(0.6));
        goods.min_scores =
            [("Pets/Cats".into(), 0.3), ("Goods/Phones".into(), 0.9), ("Goods".into(), 0.95)].into();
        let chosen = |probabilities: [f32; 5]| goods.choose(&probabilities);
        assert_eq!(chosen([0.2, 0.2, 0.2, 0.35, 0.05]), (Some("Pets/Cats"), 0.35));
        assert_eq!(chosen([0.2, 0.2, 0.2, 0.05, 0.35]), (None, 0.35), "dogs need 0.6, like all others");
        assert_eq!(chosen([0.1, 0.0, 0.8, 0.1, 0.0]), (None, 0.8), "phones need 0.9, and goods 0.95");
        assert_eq!(chosen([0.1, 0.0, 0.86, 0.04, 0.0]), (Some("Goods"), 0.96));
    }

    #[test]
    fn without_a_least_score_the_leaf_stays() {
        let chosen = attribute(&GOODS, None);
        assert_eq!(chosen.choose(&[0.3, 0.2, 0.2, 0.2, 0.1]), (Some("Goods/Computers/Keyboards"), 0.3));
    }
}
