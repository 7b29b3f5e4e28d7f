//! All lanes as one stream of jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::select_all;
use serde::Deserialize;

use super::Broker;
use super::consumer::{Closing, Consumer, Received};
use crate::lane::Lane;

/// Shares of the lanes when all of them have jobs.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneWeights {
    /// Of [`Lane::Express`].
    pub express: u32,
    /// Of [`Lane::Standard`].
    pub standard: u32,
    /// Of [`Lane::Bulk`].
    pub bulk: u32,
}

impl LaneWeights {
    /// The weight of one lane; 0 means that the worker does not consume it.
    pub fn of(&self, lane: Lane) -> u32 {
        match lane {
            Lane::Express => self.express,
            Lane::Standard => self.standard,
            Lane::Bulk => self.bulk,
        }
    }
}

/// The lanes of one worker, shared by weight.
///
/// Work-conserving: a lane that has no jobs leaves its share to the others.
pub struct Lanes {
    sources: Vec<Source<Consumer>>,
}

struct Source<C> {
    lane: Lane,
    weight: i64,
    credit: i64,
    head: Option<Received>,
    consumer: C,
}

impl Lanes {
    /// Consumes every lane whose weight is not 0, each with up to `prefetch`
    /// unsettled jobs.
    pub fn consume(broker: &Broker, weights: LaneWeights, prefetch: u16) -> Self {
        let sources = Lane::ALL.into_iter().filter(|&lane| weights.of(lane) > 0).map(|lane| Source {
            lane,
            weight: i64::from(weights.of(lane)),
            credit: 0,
            head: None,
            consumer: broker.consume(broker.topology().lane_queue(lane), prefetch),
        });
        Self { sources: sources.collect() }
    }

    /// The next job. Cancel-safe: a job is taken out only when it is returned.
    pub async fn next(&mut self) -> Option<(Lane, Received)> {
        loop {
            for source in &mut self.sources {
                if source.head.is_none() {
                    source.head = source.consumer.try_next();
                }
            }
            if let Some(next) = pick(&mut self.sources) {
                return Some(next);
            }
            let waiting = self.sources.iter_mut().map(|source| {
                Box::pin(async {
                    source.head = source.consumer.next().await;
                    source.head.is_some()
                })
            });
            if !select_all(waiting).await.0 {
                return None;
            }
        }
    }

    /// Whether the broker has the consumers, lane by lane.
    pub fn receiving(&self) -> Vec<(Lane, Arc<AtomicBool>)> {
        self.sources.iter().map(|source| (source.lane, source.consumer.is_receiving())).collect()
    }

    /// Stops taking jobs; see [`Consumer::close`].
    pub fn close(self) -> Vec<Closing> {
        self.sources.into_iter().map(|source| source.consumer.close()).collect()
    }
}

/// Smooth weighted round robin over the lanes that have a job (the algorithm
/// of nginx's upstream balancer: each gains its weight, the richest is taken
/// and pays the sum).
fn pick<C>(sources: &mut [Source<C>]) -> Option<(Lane, Received)> {
    let mut total = 0;
    let mut richest: Option<usize> = None;
    for i in 0..sources.len() {
        if sources[i].head.is_none() {
            continue;
        }
        sources[i].credit += sources[i].weight;
        total += sources[i].weight;
        if richest.is_none_or(|best| sources[i].credit > sources[best].credit) {
            richest = Some(i);
        }
    }
    let source = &mut sources[richest?];
    source.credit -= total;
    Some((source.lane, source.head.take()?))
}

/// The first lane that is not receiving, of those of [`Lanes::receiving`].
pub fn first_silent(lanes: &[(Lane, Arc<AtomicBool>)]) -> Option<Lane> {
    lanes.iter().find(|(_, receiving)| !receiving.load(Ordering::Relaxed)).map(|(lane, _)| *lane)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(with_jobs: &[bool; 3], rounds: usize) -> [usize; 3] {
        let mut sources: Vec<_> = Lane::ALL
            .into_iter()
            .zip([6, 3, 1])
            .map(|(lane, weight)| Source { lane, weight, credit: 0, head: None, consumer: () })
            .collect();
        let mut counts = [0; 3];
        for _ in 0..rounds {
            for (source, has_jobs) in sources.iter_mut().zip(with_jobs) {
                if *has_jobs && source.head.is_none() {
                    source.head = Some(Received::of_nobody());
                }
            }
            if let Some((lane, job)) = pick(&mut sources) {
                counts[lane as usize] += 1;
                drop(job);
            }
        }
        counts
    }

    #[test]
    fn busy_lanes_share_by_weight() {
        assert_eq!(taken(&[true, true, true], 100), [60, 30, 10]);
    }

    #[test]
    fn a_lane_without_jobs_leaves_its_share_to_the_others() {
        assert_eq!(taken(&[false, true, true], 100), [0, 75, 25]);
        assert_eq!(taken(&[false, false, true], 100), [0, 0, 100]);
    }
}
