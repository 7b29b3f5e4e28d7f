//! Sending dead letters back.

use deadpool_postgres::Pool;

use super::{Filter, HELD, PAGE};
use crate::broker::{Broker, BrokerError, DeadLetter, DeadLetters, Outgoing, Publisher};
use crate::db::DbError;
use crate::jobs::{Job, TagImage};
use crate::reopen;

/// What kept dead letters from being sent back.
#[derive(Debug, thiserror::Error)]
pub enum DeadError {
    /// The broker is away.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The database is away.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// What was sent back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redriven {
    /// How many messages.
    pub messages: u64,
    /// Images that have no outcome again.
    pub reopened: u64,
    /// Messages that were meant, but belong to nobody here.
    pub foreign: u64,
    /// Messages that were not looked at, where more could have been sent back.
    pub unseen: u64,
}

/// Sends back the letters that `filter` takes.
///
/// # Errors
///
/// If a server is away, or somebody else is looking. Those before are sent back, the others are still there, and of some there may be
/// two now: do it again.
pub async fn redrive(broker: &Broker, pool: &Pool, mut filter: Filter) -> Result<Redriven, DeadError> {
    let (mut letters, publisher) = (broker.dead_letters().await?.undisturbed()?, broker.publisher());
    let mut redriven = Redriven::default();
    let (mut page, mut held) = (Vec::new(), 0);
    while !filter.is_satisfied()
        && let Some(letter) = letters.next().await?
    {
        if filter.takes(&letter) {
            held += letter.body.len();
            page.push(letter);
        }
        if page.len() == PAGE || held >= HELD {
            held = 0;
            send_back(std::mem::take(&mut page), &mut letters, &publisher, pool, &mut redriven).await?;
        }
    }
    send_back(page, &mut letters, &publisher, pool, &mut redriven).await?;
    redriven.unseen = if filter.is_satisfied() { 0 } else { letters.unseen() };
    letters.close().await?;
    Ok(redriven)
}

async fn send_back(
    page: Vec<DeadLetter>,
    letters: &mut DeadLetters,
    publisher: &Publisher,
    pool: &Pool,
    redriven: &mut Redriven,
) -> Result<(), DeadError> {
    let topology = publisher.topology();
    let mut own = Vec::new();
    let mut copies = Vec::new();
    for letter in page {
        match Outgoing::redriven(topology, &letter) {
            Some(copy) => {
                copies.push(copy);
                own.push(letter);
            }
            None => redriven.foreign += 1,
        }
    }
    let jobs: Vec<_> = own.iter().filter_map(job).collect();
    if !jobs.is_empty() {
        redriven.reopened += reopen::parked(&mut *pool.get().await.map_err(DbError::from)?, &jobs).await?;
    }
    publisher.publish(&copies).await?;
    letters.forget(&own).await?;
    redriven.messages += own.len() as u64;
    Ok(())
}

/// Its image, if it is a job that can be read.
fn job(letter: &DeadLetter) -> Option<TagImage> {
    letter.lane()?;
    let Job::TagImageV1(image) = serde_json::from_slice(&letter.body).ok()?;
    Some(image)
}
