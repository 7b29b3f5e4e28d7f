//! Which dead letters are meant.

use clap::Args;
use tagfleet_shared::broker::DeadLetter;

/// Those that every option is true of.
#[derive(Clone, Debug, Default, Args)]
pub struct Filter {
    /// With this reason; more than once: with one of these.
    #[arg(long = "reason", value_name = "WORD")]
    pub reasons: Vec<String>,
    /// With an id that begins like this; more than once: like one of these.
    #[arg(long = "id", value_name = "ID")]
    pub ids: Vec<String>,
    /// At most so many, the oldest first.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

impl Filter {
    /// Whether this one is meant; counts it, if so.
    pub fn takes(&mut self, letter: &DeadLetter) -> bool {
        let takes = !self.is_satisfied() && self.is_about(&letter.reason, &letter.id);
        if takes {
            self.limit = self.limit.map(|limit| limit - 1);
        }
        takes
    }

    /// Whether there are enough.
    pub fn is_satisfied(&self) -> bool {
        self.limit == Some(0)
    }

    fn is_about(&self, reason: &str, id: &str) -> bool {
        (self.reasons.is_empty() || self.reasons.iter().any(|word| word == reason))
            && (self.ids.is_empty() || self.ids.iter().any(|start| id.starts_with(&**start)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_to_be_true_of_a_letter() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let filter = Filter { reasons: words(&["a", "b"]), ids: words(&["12", "f"]), limit: None };
        assert!(filter.is_about("a", "123") && filter.is_about("b", "f0"));
        assert!(!filter.is_about("c", "123") && !filter.is_about("a", "23"));
        assert!(Filter::default().is_about("whatever", "0"));
    }
}
