//! A part of the dead-letter queue in the hands of one consumer.

use futures::StreamExt;
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
};
use lapin::types::FieldTable;

use crate::broker::topology::short;
use crate::broker::{Broker, BrokerError, TIMEOUT, close, within};

/// Letters of the first piece, when nobody knows how large they are; of any; and of any of large ones.
const FIRST: u16 = 32;
const MOST: u16 = 1000;
const LEAST: u16 = 16;

/// Bytes that a piece should have: all of it may have to wait in memory.
const BYTES: u64 = 32 * 1024 * 1024;

/// How large letters are, by those that were seen.
#[derive(Debug, Default)]
pub(super) struct Size {
    letters: u64,
    bytes: u64,
}

impl Size {
    pub fn saw(&mut self, bytes: usize) {
        self.letters += 1;
        self.bytes += bytes as u64;
    }

    /// Letters of the next piece, where `left` are left.
    pub fn of_piece(&self, left: u32) -> u16 {
        let fit = match self.letters {
            0 => FIRST,
            letters => u16::try_from(BYTES * letters / self.bytes.max(1)).unwrap_or(MOST).clamp(LEAST, MOST),
        };
        fit.min(u16::try_from(left).unwrap_or(MOST))
    }
}

/// So many letters one after the other, as one consumer got them. What it does not acknowledge goes back in order.
pub(super) struct Piece {
    channel: Channel,
    consumer: lapin::Consumer,
    /// It is given so many: without a limit a quorum queue gives 2000, and then none, without a word.
    prefetch: u16,
    /// The last that was seen, and how many of those up to it are still in the queue.
    last: u64,
    kept: u64,
    /// Some were forgotten from among others.
    has_gaps: bool,
}

impl Piece {
    pub async fn begin(broker: &Broker, prefetch: u16) -> Result<Self, BrokerError> {
        let channel = broker.consuming.channel().await?;
        within(channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        let queue = short(&broker.topology.dead());
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = within(channel.basic_consume(queue, "".into(), options, arguments)).await?;
        Ok(Self { channel, consumer, prefetch, last: 0, kept: 0, has_gaps: false })
    }

    /// Nothing more comes before something is forgotten.
    pub fn is_full(&self) -> bool {
        self.kept == u64::from(self.prefetch)
    }

    pub fn has_forgotten(&self) -> bool {
        self.kept < self.last
    }

    pub async fn next(&mut self) -> Result<Delivery, BrokerError> {
        let next = tokio::time::timeout(TIMEOUT, self.consumer.next()).await;
        let gone = || BrokerError::Refused("the consumer of dead letters".into());
        let delivery = next.map_err(|_| BrokerError::Silent)?.ok_or_else(gone)??;
        self.last = delivery.delivery_tag;
        self.kept += 1;
        Ok(delivery)
    }

    /// Nothing more is to come; what it has it keeps.
    pub async fn cancel(&self) -> Result<(), BrokerError> {
        within(self.channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default())).await
    }

    /// `tags` are in order, and kept.
    pub async fn forget(&mut self, tags: &[u64]) -> Result<(), BrokerError> {
        let count = tags.len() as u64;
        let all = count == self.kept && tags.last() == Some(&self.last);
        // One for all, where there is nothing between them that stays.
        let told = if all { &tags[tags.len() - 1..] } else { tags };
        self.has_gaps |= !all;
        for &tag in told {
            within(self.channel.basic_ack(tag, BasicAckOptions { multiple: all })).await?;
        }
        self.kept -= count;
        Ok(())
    }

    /// Gives back what is kept, and says how much that is.
    ///
    /// Of a channel a quorum queue has some 32 acknowledgements on the way at a time; others are kept until these are
    /// stored, and forgotten when the channel closes. So where there were many the channel stays open: what is given
    /// back goes the same way behind them, and is in the queue when they have arrived.
    pub async fn give_back(&self) -> Result<u64, BrokerError> {
        if self.has_gaps {
            let everything = BasicNackOptions { multiple: true, requeue: true };
            within(self.channel.basic_nack(0, everything)).await?;
        } else {
            self.close().await;
        }
        Ok(self.kept)
    }

    pub async fn close(&self) {
        if self.channel.status().connected() {
            close(&self.channel).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_has_as_many_letters_as_fit_into_its_bytes() {
        let of = |bytes: usize, left| {
            let mut size = Size::default();
            size.saw(bytes);
            size.of_piece(left)
        };
        assert_eq!([Size::default().of_piece(7), Size::default().of_piece(1_000_000)], [7, FIRST]);
        assert_eq!([of(0, 1_000_000), of(300, 1_000_000), of(300, 12)], [MOST, MOST, 12]);
        assert_eq!([of(128 * 1024, 1_000_000), of(100 * 1024 * 1024, 1_000_000)], [256, LEAST]);
    }
}
