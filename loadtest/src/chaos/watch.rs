//! How soon the fleet is itself again, and whether it says so.

use std::time::Duration;

use tagfleet_shared::broker::Topology;
use tagfleet_shared::lane::Lane;
use tokio::time::Instant;

use super::arena::Arena;
use super::fleet::{Member, SCHEDULERS, WORKERS};

/// Nothing is waited for longer than this.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until the broker counts every consumer of the fleet, and none beside. Returns how long that
/// took since `since`; none where it took too long.
pub async fn until_consumers_are_back(arena: &Arena, since: Instant) -> Option<Duration> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if consumers_are_back(arena).await {
            return Some(since.elapsed());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    None
}

async fn consumers_are_back(arena: &Arena) -> bool {
    for (queue, wanted) in consumed(arena.broker.topology()) {
        match arena.broker.depth(&queue).await {
            Ok((_, consumers)) if consumers as usize == wanted => {}
            _ => return false,
        }
    }
    true
}

/// Every queue that the fleet consumes, and by how many processes.
fn consumed(topology: &Topology) -> Vec<(String, usize)> {
    let of_workers = Lane::ALL.map(|lane| topology.lane_queue(lane)).into_iter();
    let of_workers = of_workers.chain([topology.suspects(), topology.questions()]);
    let of_schedulers = [topology.finished_queue(), topology.changed_queue()];
    let by = |processes: usize| move |queue| (queue, processes);
    of_workers.map(by(WORKERS)).chain(of_schedulers.map(by(SCHEDULERS))).collect()
}

/// Waits until every one of `members` says that it is ready, or that it is not. Returns how long that took;
/// none where it took too long.
pub async fn until_they_say(members: &[&Member], ready: bool, limit: Duration) -> Option<Duration> {
    let begun = Instant::now();
    let waiting = members.iter().map(|member| async move {
        while is_ready(member).await != Some(ready) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    let all = futures::future::join_all(waiting);
    tokio::time::timeout(limit, all).await.ok().map(|_| begun.elapsed())
}

/// What its admin port says; none where it says nothing.
async fn is_ready(member: &Member) -> Option<bool> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(3)).build().ok()?;
    let answer = client.get(format!("http://{}/readyz", member.admin)).send().await.ok()?;
    Some(answer.status().is_success())
}

#[cfg(test)]
mod tests {
    use tagfleet_shared::broker::Broker;

    use super::*;
    use crate::chaos::arena::{RETRY_DELAYS, broker_config};

    /// A queue that is new to the fleet is counted as well, or said to be one that nobody consumes.
    #[tokio::test]
    async fn every_queue_is_counted_but_those_that_nobody_consumes() {
        let broker = Broker::lazy(&broker_config("amqp://127.0.0.1:1/"), "tagfleet-chaos");
        let topology = broker.topology();
        let retries = Topology::delays(&RETRY_DELAYS).into_iter().map(|delay| topology.retry(delay));
        let unconsumed: Vec<_> = retries.chain([topology.dead()]).collect();

        let mut wanted = topology.queues();
        wanted.retain(|queue| !unconsumed.contains(queue));
        let mut counted: Vec<_> = consumed(topology).into_iter().map(|(queue, _)| queue).collect();
        wanted.sort();
        counted.sort();

        assert_eq!(counted, wanted);
    }
}
