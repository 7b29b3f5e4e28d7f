//! All lanes as one stream of jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Broker;
use super::consumer::{Closing, Consumer};
use super::received::Received;
use super::returned::Returned;
use crate::lane::{Lane, LaneWeights, Shares};
use futures::future::select_all;

/// The lanes of one worker, shared by weight.
///
/// Work-conserving: a lane that has no jobs leaves its share to the others.
pub struct Lanes {
    sources: Vec<Source<Consumer>>,
    shares: Shares,
    returned: Returned,
}

struct Source<C> {
    lane: Lane,
    head: Option<Received>,
    consumer: C,
}

impl Lanes {
    /// Consumes every lane whose weight is not 0, each with up to `prefetch`
    /// unsettled jobs.
    pub fn consume(broker: &Broker, weights: LaneWeights, prefetch: u16) -> Self {
        let returned = Returned::new();
        let sources = Lane::ALL.into_iter().filter(|&lane| weights.of(lane) > 0).map(|lane| Source {
            lane,
            head: None,
            consumer: broker.consume_noting(broker.topology().lane_queue(lane), prefetch, returned.clone()),
        });
        Self { sources: sources.collect(), shares: Shares::new(weights), returned }
    }

    /// The jobs of these lanes that came back and are held here.
    pub fn returned(&self) -> Returned {
        self.returned.clone()
    }

    /// The next job. Cancel-safe: a job is taken out only when it is returned.
    pub async fn next(&mut self) -> (Lane, Received) {
        loop {
            for source in &mut self.sources {
                if source.head.is_none() {
                    source.head = source.consumer.try_next();
                }
            }
            if let Some(next) = pick(&mut self.sources, &mut self.shares) {
                return next;
            }
            let waiting = self.sources.iter_mut().map(|source| {
                Box::pin(async {
                    source.head = Some(source.consumer.next().await);
                })
            });
            select_all(waiting).await;
        }
    }

    /// Whether the broker has the consumers, lane by lane.
    pub fn receiving(&self) -> Vec<(Lane, Arc<AtomicBool>)> {
        self.sources.iter().map(|source| (source.lane, source.consumer.is_receiving())).collect()
    }

    /// Stops taking jobs; see [`Consumer::close`]. Those that were next in their lane
    /// come with it.
    pub fn close(self) -> (Vec<Closing>, Vec<Received>) {
        let end = |source: Source<Consumer>| (source.consumer.close(), source.head);
        let (closing, heads): (Vec<_>, Vec<_>) = self.sources.into_iter().map(end).unzip();
        (closing, heads.into_iter().flatten().collect())
    }
}

/// The head of the lane whose turn it is, of those that have one.
fn pick<C>(sources: &mut [Source<C>], shares: &mut Shares) -> Option<(Lane, Received)> {
    let has_job = |lane| sources.iter().any(|source| source.lane == lane && source.head.is_some());
    let lane = shares.next(has_job)?;
    let source = sources.iter_mut().find(|source| source.lane == lane)?;
    Some((lane, source.head.take()?))
}

/// The first lane that is not receiving, of those of [`Lanes::receiving`].
pub fn first_silent(lanes: &[(Lane, Arc<AtomicBool>)]) -> Option<Lane> {
    lanes.iter().find(|(_, receiving)| !receiving.load(Ordering::Relaxed)).map(|(lane, _)| *lane)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each job comes out once, with the name of its lane.
    #[test]
    fn a_job_is_taken_from_the_lane_whose_turn_it_is() {
        let weights = LaneWeights { express: 6, standard: 3, bulk: 1 };
        let source = |lane| Source { lane, head: None, consumer: () };
        let (mut sources, mut shares) = (Lane::ALL.map(source), Shares::new(weights));
        assert!(pick(&mut sources, &mut shares).is_none());

        sources[2].head = Some(Received::of_nobody());
        sources[1].head = Some(Received::of_nobody());
        let order = [(); 3].map(|()| pick(&mut sources, &mut shares).map(|(lane, _)| lane));
        assert_eq!(order, [Some(Lane::Standard), Some(Lane::Bulk), None]);
    }
}
