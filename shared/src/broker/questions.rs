//! Questions to the workers, and their answers.
//!
//! They go through the broker, and not to a worker's own port: the broker knows which workers there are and
//! which of them has time, nobody has to find them or let the console into their network, and one that dies
//! leaves the question to the next. They lie in a classic queue for seconds at most and are on no disk:
//! whoever asked has gone by then. The answer comes by RabbitMQ's direct reply-to, which needs no queue at all.

use std::time::Duration;

use futures::StreamExt;
use lapin::BasicProperties;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Confirmation};

use super::consumer::Consumer;
use super::publisher::{Outgoing, QUESTION};
use super::received::Received;
use super::topology::short;
use super::{Broker, BrokerError, close, within};
use crate::questions::{Question, Reply};

/// The name of the queue that is none.
const REPLY_TO: &str = "amq.rabbitmq.reply-to";

impl Broker {
    /// Asks the workers, and waits for the answer of one of them.
    ///
    /// # Errors
    ///
    /// If the broker is away, too many ask, or nobody answers within `patience`.
    pub async fn ask(&self, question: Question, patience: Duration) -> Result<Reply, BrokerError> {
        let channel = self.consuming.channel().await?;
        let queue = self.topology.questions();
        let answer = tokio::time::timeout(patience, ask_over(&channel, &queue, question));
        let answer = answer.await.unwrap_or(Err(BrokerError::Silent));
        close(&channel).await;
        answer
    }

    /// Takes questions, at most `at_once` at the same time.
    pub fn questions(&self, at_once: u16) -> Consumer {
        self.consume(self.topology.questions(), at_once)
    }
}

async fn ask_over(channel: &Channel, queue: &str, question: Question) -> Result<Reply, BrokerError> {
    within(channel.confirm_select(ConfirmSelectOptions::default())).await?;
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let consumed = channel.basic_consume(REPLY_TO.into(), "".into(), options, FieldTable::default());
    let mut replies = within(consumed).await?;
    let mut headers = FieldTable::default();
    headers.insert(QUESTION.into(), AMQPValue::LongString(question.kind().into()));
    let properties = BasicProperties::default().with_headers(headers).with_reply_to(REPLY_TO.into());
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let body = question.into_body();
    let published =
        within(channel.basic_publish("".into(), short(queue), options, &body, properties)).await?;
    match within(published).await? {
        Confirmation::Ack(None) => {}
        Confirmation::Ack(Some(_)) => return Err(BrokerError::Unroutable(queue.into())),
        _ => return Err(BrokerError::Refused(queue.into())),
    }
    let gone = || BrokerError::Refused("the consumer of answers".into());
    let delivery = replies.next().await.ok_or_else(gone)??;
    let malformed = |error: serde_json::Error| BrokerError::Away(std::io::Error::other(error).into());
    serde_json::from_slice(&delivery.data).map_err(malformed)
}

impl Received {
    /// The question in it; none if only newer workers know its kind.
    pub fn question(&mut self) -> Option<Question> {
        let kind = self.header(QUESTION)?;
        Question::read(&kind, std::mem::take(&mut self.body))
    }

    /// The answer to it; none if nobody waits for one.
    pub fn reply(&self, reply: &Reply) -> Option<Outgoing> {
        let body = serde_json::to_vec(reply).expect("a reply is text and numbers");
        self.reply_to.clone().map(|asker| Outgoing::reply(asker, body))
    }
}
