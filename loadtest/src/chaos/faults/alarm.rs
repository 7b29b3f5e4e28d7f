//! A broker that is short of memory: whoever publishes is blocked.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Arena, Fault, Site};

/// The memory alarm.
#[derive(Default)]
pub struct Alarm {
    /// Whether anybody of the fleet wanted to publish meanwhile, and was kept from it.
    blocked: bool,
}

/// The longest that somebody is waited for who publishes: scrapes come to their end all the time, and are announced.
const BLOCKS_WITHIN: Duration = Duration::from_secs(10);

impl Fault for Alarm {
    fn name(&self) -> String {
        "memory alarm of the broker".to_owned()
    }

    fn sites(&self) -> Vec<Site> {
        vec![Site::Broker]
    }

    fn begin<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async { watermark(arena, "0.0001").await }.boxed()
    }

    fn end<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async {
            if !self.blocked {
                let blocked = async {
                    while !connections(arena).await.is_ok_and(|listed| is_one_blocked(&listed)) {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                };
                self.blocked = tokio::time::timeout(BLOCKS_WITHIN, blocked).await.is_ok();
            }
            watermark(arena, "0.3").await
        }
        .boxed()
    }

    fn least(&self) -> Duration {
        Duration::from_secs(2)
    }

    fn nothing(&self) -> Option<&'static str> {
        (!self.blocked).then_some("which blocked nobody")
    }
}

async fn watermark(arena: &Arena, share: &str) -> anyhow::Result<()> {
    arena.servers.run(&["rabbitmqctl", "set_vm_memory_high_watermark", share]).await.map(drop)
}

async fn connections(arena: &Arena) -> anyhow::Result<String> {
    arena.servers.run(&["rabbitmqctl", "-q", "list_connections", "client_properties", "state"]).await
}

/// Whether a connection of the fleet is among those `listed` that have published since the alarm. One that has not is
/// only `blocking`.
fn is_one_blocked(listed: &str) -> bool {
    let ours = |line: &&str| line.contains("tagfleet-worker") || line.contains("tagfleet-scheduler");
    listed.lines().filter(ours).any(|line| line.trim_end().ends_with("\tblocked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever watches the fleet publishes as well.
    #[test]
    fn an_alarm_blocks_somebody_where_one_of_the_fleet_publishes() {
        let line = |process: &str, state: &str| {
            format!("[{{\"connection_name\",\"{process} publishing\"}}]\t{state}\n")
        };
        let idle = line("tagfleet-worker", "blocking") + &line("tagfleet-scheduler", "running");

        assert!(!is_one_blocked(&idle));
        assert!(!is_one_blocked(&(line("tagfleet-chaos", "blocked") + &idle)));
        assert!(is_one_blocked(&(idle + &line("tagfleet-scheduler", "blocked"))));
    }

    #[test]
    fn an_alarm_that_blocked_nobody_did_nothing() {
        assert_eq!(Alarm { blocked: false }.nothing(), Some("which blocked nobody"));
        assert_eq!(Alarm { blocked: true }.nothing(), None);
    }
}
