//! The dead letters piece by piece.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{Filter, HELD};
use crate::broker::{Broker, BrokerError, DeadLetter};

/// Which of the letters in the queue: copies have the same id, so their number tells them apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position(String, u32);

/// Some letters, one after the other.
#[derive(Debug)]
pub struct Piece {
    /// The oldest first.
    pub letters: Vec<(Position, DeadLetter)>,
    /// They are large: there may be more, though the filter's limit is not reached. At least two are here.
    pub is_heavy: bool,
}

/// Those that `filter` takes and that come after the one at `after`, the oldest first: so many that they can be held.
///
/// Takes none of them out of the queue. `None` if nobody is at `after` any more: it, or a copy before it, was sent
/// back or dropped.
///
/// # Errors
///
/// If the broker is away, or somebody else is looking: the one at `after` may be in their hands.
pub async fn piece(
    broker: &Broker,
    mut filter: Filter,
    mut after: Option<Position>,
) -> Result<Option<Piece>, BrokerError> {
    let mut letters = broker.dead_letters().await?.undisturbed()?;
    let mut copies: HashMap<String, u32> = HashMap::new();
    let mut piece = Piece { letters: Vec::new(), is_heavy: false };
    let mut held = 0;
    while !piece.is_heavy
        && !filter.is_satisfied()
        && let Some(letter) = letters.next().await?
    {
        let copy = copies.entry(letter.id.clone()).and_modify(|copies| *copies += 1).or_insert(1);
        let position = Position(letter.id.clone(), *copy);
        if after.is_some() {
            after = after.filter(|last| *last != position);
        } else if filter.takes(&letter) {
            held += letter.body.len();
            piece.letters.push((position, letter));
            piece.is_heavy = held > HELD && piece.letters.len() > 1;
        }
    }
    letters.close().await?;
    Ok(after.is_none().then_some(piece))
}
