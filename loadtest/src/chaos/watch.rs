//! How soon the fleet is itself again, and whether it says so.

use std::time::Duration;

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
    let topology = arena.broker.topology();
    let lanes = Lane::ALL.into_iter().map(|lane| (topology.lane_queue(lane), WORKERS));
    let others = [(topology.suspects(), WORKERS), (topology.finished_queue(), SCHEDULERS)];
    for (queue, wanted) in lanes.chain(others) {
        match arena.broker.depth(&queue).await {
            Ok((_, consumers)) if consumers as usize == wanted => {}
            _ => return false,
        }
    }
    true
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
