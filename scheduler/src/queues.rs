//! The lengths of the fleet's queues, by the names that people know them by.

use tagfleet_shared::broker::{Broker, BrokerError};
use tagfleet_shared::lane::Lane;

/// One queue, as the broker sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its name without the prefix of the fleet, such as `jobs.express`.
    pub name: String,
    /// Messages that wait to be delivered.
    pub ready: u32,
    /// Consumers of it, of all processes together.
    pub consumers: u32,
}

/// Asks for every queue of the fleet.
///
/// A passive declaration of a queue tells what is ready in it and nothing of what is unacknowledged; for that the broker has an HTTP API, which may not be there or not be reachable, so
/// workers tell it themselves.
///
/// # Errors
///
/// If the broker is away.
pub async fn depths(broker: &Broker) -> Result<Vec<Queue>, BrokerError> {
    let topology = broker.topology();
    // All names begin with the prefix and a dot.
    let prefix = topology.dead().len() - "dead".len();
    let mut queues = Vec::new();
    for queue in topology.queues() {
        let (ready, consumers) = broker.depth(&queue).await?;
        queues.push(Queue { name: queue[prefix..].to_owned(), ready, consumers });
    }
    Ok(queues)
}

/// The name of the queue of jobs that are tried alone.
pub const SUSPECTS: &str = "suspects";

/// The name of a lane's queue.
pub fn of_lane(lane: Lane) -> String {
    format!("jobs.{lane}")
}

/// Lanes of which no job waits: a scrape that stands still there is not just waiting for its turn.
pub fn idle_lanes(queues: &[Queue]) -> Vec<Lane> {
    let waits = |lane: Lane| queues.iter().any(|queue| queue.name == of_lane(lane) && queue.ready > 0);
    Lane::ALL.into_iter().filter(|&lane| !waits(lane)).collect()
}
