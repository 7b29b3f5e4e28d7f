//! What people do with the dead-letter queue.
//!
//! All of it sees what was in the queue when it began, in its order, and while it looks nobody else sees it: of
//! two at a time, the second sees none, and is told so. A hundred thousand are seen at most, fewer where they are
//! large: how many more there are is told.

mod piece;
mod redrive;

use std::collections::BTreeMap;

use jiff::Timestamp;

pub use self::piece::{Piece, Position, piece};
pub use self::redrive::{DeadError, Redriven, redrive};
use crate::broker::{Broker, BrokerError, DeadLetter, Kind};

/// Letters that are taken out of the queue together, and bytes of what is held of letters at a time.
const PAGE: usize = 500;
const HELD: usize = 32 * 1024 * 1024;

/// Which dead letters are meant: those that every part is true of.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// With one of these reasons; of any, if empty.
    pub reasons: Vec<String>,
    /// With an id that begins like one of these; any, if empty.
    pub ids: Vec<String>,
    /// At most so many, the oldest first.
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

/// Dead letters that have the same reason, kind and lane.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// How many.
    pub messages: u64,
    /// Of these, sent back before.
    pub redriven: u64,
    /// When the first of them died.
    pub first: Option<Timestamp>,
    /// When the last of them did.
    pub last: Option<Timestamp>,
}

/// The dead letters by reason and kind.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    /// Those that were seen.
    pub groups: BTreeMap<(String, Kind), Group>,
    /// How many more there are: see [`DeadLetters::unseen`](crate::broker::DeadLetters::unseen).
    pub unseen: u64,
}

impl Groups {
    /// Counts one more.
    pub fn count(&mut self, letter: &DeadLetter) {
        let group = self.groups.entry((letter.reason.clone(), letter.kind)).or_default();
        group.messages += 1;
        group.redriven += u64::from(letter.redriven > 0);
        group.first = group.first.into_iter().chain(letter.dead_at).min();
        group.last = group.last.max(letter.dead_at);
    }
}

/// Counts the dead letters by reason and kind; takes none of them.
///
/// # Errors
///
/// If the broker is away.
pub async fn groups(broker: &Broker) -> Result<Groups, BrokerError> {
    let mut letters = broker.dead_letters().await?;
    let mut groups = Groups::default();
    while let Some(letter) = letters.next().await? {
        groups.count(&letter);
    }
    groups.unseen = letters.unseen();
    letters.close().await?;
    Ok(groups)
}

/// Those that `filter` takes, the oldest first; takes none of them out of the queue. All are held: `filter` has a limit,
/// or there are few.
///
/// # Errors
///
/// If the broker is away, or somebody else is looking: who is not seen then is not gone.
pub async fn look(broker: &Broker, mut filter: Filter) -> Result<Vec<DeadLetter>, BrokerError> {
    let mut letters = broker.dead_letters().await?.undisturbed()?;
    let mut taken = Vec::new();
    while !filter.is_satisfied()
        && let Some(letter) = letters.next().await?
    {
        if filter.takes(&letter) {
            taken.push(letter);
        }
    }
    letters.close().await?;
    Ok(taken)
}

/// What was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Messages.
    pub messages: u64,
    /// Messages that were not looked at, where more could have been dropped.
    pub unseen: u64,
}

/// Takes those that `filter` takes out of the queue, for good.
///
/// # Errors
///
/// If the broker is away, or somebody else is looking. What was taken until then is gone, or some of it: do it again.
pub async fn discard(broker: &Broker, mut filter: Filter) -> Result<Dropped, BrokerError> {
    let mut letters = broker.dead_letters().await?.undisturbed()?;
    let mut dropped = Dropped::default();
    let mut page = Vec::new();
    while !filter.is_satisfied()
        && let Some(letter) = letters.next().await?
    {
        if filter.takes(&letter) {
            dropped.messages += 1;
            page.push(letter.without_body());
        }
        if page.len() == PAGE {
            letters.forget(&std::mem::take(&mut page)).await?;
        }
    }
    letters.forget(&page).await?;
    dropped.unseen = if filter.is_satisfied() { 0 } else { letters.unseen() };
    letters.close().await?;
    Ok(dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_filter_has_to_be_true_of_a_letter() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let filter = Filter { reasons: words(&["a", "b"]), ids: words(&["12", "f"]), limit: None };
        assert!(filter.is_about("a", "123") && filter.is_about("b", "f0"));
        assert!(!filter.is_about("c", "123") && !filter.is_about("a", "23"));
        assert!(Filter::default().is_about("whatever", "0"));
    }
}
