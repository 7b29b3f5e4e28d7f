//! From logits to tags.

use tagfleet_shared::tags::Answer;

use super::Attribute;

impl Attribute {
    /// Adds to `answer` what `logits` (one for each class) say of one image, to
    /// which the attributes before this one are already decided.
    pub(super) fn decide(&self, logits: &[f32], answer: &mut Answer) {
        if self.applies_when.as_ref().is_some_and(|condition| !condition.holds(&answer.tags)) {
            answer.tags.0.insert(self.name.clone(), None);
            return;
        }
        let Some((best, score)) = likeliest(logits) else {
            answer.tags.0.insert(self.name.clone(), self.default.clone());
            return;
        };
        let sure = self.min_score.is_none_or(|least| score >= least);
        answer.tags.0.insert(self.name.clone(), sure.then(|| self.classes[best].clone()));
        answer.scores.0.insert(self.name.clone(), score);
    }
}

/// The likeliest class and its probability (softmax), rounded to four decimals.
/// `None` where a model that overflowed gave something that is not a number.
fn likeliest(logits: &[f32]) -> Option<(usize, f32)> {
    if !logits.iter().all(|logit| logit.is_finite()) {
        return None;
    }
    // Of equals the first, as everybody's argmax has it.
    let (best, top) = logits.iter().enumerate().rev().max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let sum: f32 = logits.iter().map(|logit| (logit - top).exp()).sum();
    Some((best, (10_000.0 / sum).round() / 10_000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_the_probability_of_the_best_class() {
        assert_eq!(likeliest(&[0.0, 0.0, 0.0, 2.0_f32.ln()]), Some((3, 0.4)));
        assert_eq!(likeliest(&[1.0, 3.0, 2.0]), Some((1, 0.6652)));
        assert_eq!(likeliest(&[1000.0, -1000.0]), Some((0, 1.0)));
        assert_eq!(likeliest(&[5.0, 5.0]), Some((0, 0.5)));
    }

    #[test]
    fn what_is_not_a_number_is_no_answer() {
        assert_eq!(likeliest(&[0.0, f32::NAN]), None);
        assert_eq!(likeliest(&[f32::INFINITY, 0.0]), None);
        assert_eq!(likeliest(&[]), None);
    }
}
