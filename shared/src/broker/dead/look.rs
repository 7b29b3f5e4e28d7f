//! A look at the dead-letter queue.

use std::time::Duration;

use tokio::time::Instant;

use super::piece::{Piece, Size};
use super::{DeadLetter, read};
use crate::broker::{Broker, BrokerError, SETTLED, TIMEOUT};

/// Pieces of one look at most: each is a channel, and whoever looks has a person waiting.
const PIECES: usize = 100;

/// The pause between two looks at the queue's length, and how long it is looked at where nothing was forgotten.
const PAUSE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(1);

/// A look at the dead-letter queue: each message that was there when it began, once, in order.
///
/// They are taken without being acknowledged, and go back to their places when it ends, in whatever
/// way: nothing is lost by a process that dies.
///
/// They come in pieces, because one consumer is given some thousands at most, and whatever it is given waits in
/// memory. A hundred thousand are looked at, fewer where they are large; the others are [not seen](Self::unseen), and
/// may be in front of them the next time, as those may be that a process did not see before it died.
pub struct DeadLetters {
    broker: Broker,
    /// Those that were there when it began, and that nobody has seen.
    left: u32,
    /// Somebody else was looking then, and holds some that the broker counts for nobody.
    somebody_looks: bool,
    /// The last of them is still being delivered.
    pieces: Vec<Piece>,
    most: usize,
    size: Size,
}

impl Broker {
    /// Begins to look at the dead letters.
    ///
    /// # Errors
    ///
    /// If the broker is away.
    pub async fn dead_letters(&self) -> Result<DeadLetters, BrokerError> {
        // What is sent back and dies again must not be looked at again, for ever.
        let (left, somebody_looks) = self.undisturbed().await?;
        let most = if somebody_looks { 0 } else { PIECES };
        let (broker, pieces, size) = (self.clone(), Vec::new(), Size::default());
        Ok(DeadLetters { broker, left, somebody_looks, pieces, most, size })
    }

    /// How many there are, and whether somebody else looks at them: two would each wait for what the other has. Who
    /// has looked is gone within a moment.
    async fn undisturbed(&self) -> Result<(u32, bool), BrokerError> {
        let (queue, end) = (self.topology.dead(), Instant::now() + PATIENCE);
        loop {
            let (left, consumers) = self.depth(&queue).await?;
            if consumers == 0 || Instant::now() >= end {
                return Ok((left, consumers > 0));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl DeadLetters {
    /// Looks at so many pieces: for tests.
    #[must_use]
    pub fn at_most(self, pieces: usize) -> Self {
        Self { most: pieces, ..self }
    }

    /// Itself, unless somebody else is looking: for whoever would take what it does not see for gone.
    ///
    /// # Errors
    ///
    /// If somebody is ([`BrokerError::Taken`]).
    pub fn undisturbed(self) -> Result<Self, BrokerError> {
        if self.somebody_looks { Err(BrokerError::Taken) } else { Ok(self) }
    }

    /// The next one; `None` if there is none, or none that is looked at. While somebody else looks it is none.
    ///
    /// # Errors
    ///
    /// If the broker is away.
    pub async fn next(&mut self) -> Result<Option<DeadLetter>, BrokerError> {
        if self.left == 0 {
            return Ok(None);
        }
        if self.pieces.last().is_none_or(Piece::is_full) {
            if self.pieces.len() == self.most {
                return Ok(None);
            }
            self.begin_piece().await?;
        }
        let place = self.pieces.len() - 1;
        let delivery = self.pieces[place].next().await?;
        self.left -= 1;
        self.size.saw(delivery.data.len());
        Ok(Some(read(&self.broker.topology, place, delivery)))
    }

    /// How many were there when it began and were not seen. Where [`next`](Self::next) has come to its end, there are
    /// too many to look at, or somebody else is looking: then it is one at least, as nobody can say how many they hold.
    pub fn unseen(&self) -> u64 {
        u64::from(self.left.max(u32::from(self.somebody_looks)))
    }

    async fn begin_piece(&mut self) -> Result<(), BrokerError> {
        // The one before is given no more, and others see by its consumer that somebody looks until the next one is there.
        let next = Piece::begin(&self.broker, self.size.of_piece(self.left)).await?;
        if let Some(full) = self.pieces.last() {
            full.cancel().await?;
        }
        self.pieces.push(next);
        Ok(())
    }

    /// Takes these out of the queue, for good. They are in the order in which they came.
    ///
    /// # Errors
    ///
    /// If the broker is away: they are still there, all of them or some.
    pub async fn forget(&mut self, letters: &[DeadLetter]) -> Result<(), BrokerError> {
        for of_piece in letters.chunk_by(|one, next| one.place.0 == next.place.0) {
            let tags: Vec<_> = of_piece.iter().map(|letter| letter.place.1).collect();
            self.pieces[of_piece[0].place.0].forget(&tags).await?;
        }
        Ok(())
    }

    /// Ends it: whatever was not forgotten goes back to its place, and is there for the next look. The broker gives
    /// it back in its own time; where nothing was forgotten this is not waited for longer than a second.
    ///
    /// # Errors
    ///
    /// If some were forgotten and the broker does not show that it has heard so: they may be back.
    pub async fn close(mut self) -> Result<(), BrokerError> {
        // What is given back comes behind all that was given back before and is not taken.
        while let Ok(Some(_)) = self.next().await {}
        if let Some(last) = self.pieces.last() {
            last.cancel().await?;
        }
        let forgot = self.pieces.iter().any(Piece::has_forgotten);
        if forgot {
            tokio::time::sleep(SETTLED).await;
        }
        let patience = if forgot { TIMEOUT } else { PATIENCE };
        let mut back = u64::from(self.left);
        let mut is_seen = true;
        for piece in &self.pieces {
            // One after the other: so they are in order again.
            back += piece.give_back().await?;
            is_seen = is_seen && self.are_ready(back, patience).await?;
        }
        for piece in &self.pieces {
            piece.close().await;
        }
        if is_seen || !forgot { Ok(()) } else { Err(BrokerError::Silent) }
    }

    /// Whether so many messages are in the queue within `patience`.
    async fn are_ready(&self, messages: u64, patience: Duration) -> Result<bool, BrokerError> {
        let (queue, end) = (self.broker.topology.dead(), Instant::now() + patience);
        loop {
            if u64::from(self.broker.depth(&queue).await?.0) >= messages {
                return Ok(true);
            }
            if Instant::now() >= end {
                return Ok(false);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
