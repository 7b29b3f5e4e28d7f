//! What has to be true when everything is over.

use std::time::Duration;

use tokio::time::Instant;

use super::arena::{Arena, DATABASE};

/// Nothing is left that should not be. Each violation in words.
pub async fn violations(arena: &Arena) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for queue in arena.broker.topology().queues() {
        if let Some(left) = left_in(arena, &queue).await {
            found.push(format!("queue {queue}: {left}"));
        }
    }
    for (what, sql) in ORPHANS {
        let rows = arena.count(sql).await?;
        if rows > 0 {
            found.push(format!("{rows} {what}"));
        }
    }
    Ok(found)
}

/// How long an acknowledgement may take on its way.
const SETTLES_WITHIN: Duration = Duration::from_secs(15);

/// What is left in a queue once everything had time to be settled, unacknowledged messages included.
async fn left_in(arena: &Arena, queue: &str) -> Option<String> {
    let end = Instant::now() + SETTLES_WITHIN;
    loop {
        let listed = arena.servers.run(&["rabbitmqctl", "-q", "list_queues", "name", "messages"]).await;
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => return Some(error.to_string()),
        };
        let messages = listed.lines().find_map(|line| line.strip_prefix(queue)?.strip_prefix('\t'));
        match messages.map(str::trim) {
            Some("0") => return None,
            left if Instant::now() > end => {
                return Some(format!("{} messages", left.unwrap_or("no such queue, or no")));
            }
            _ => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

/// Rows that belong to nothing.
const ORPHANS: &[(&str, &str)] = &[
    (
        "rows of scrape_images without a scrape",
        "SELECT count(*) FROM scrape_images i WHERE NOT EXISTS (SELECT FROM scrapes s WHERE s.key = i.scrape)",
    ),
    (
        "rows of scrape_images behind the end of their scrape",
        "SELECT count(*) FROM scrape_images i JOIN scrapes s ON s.key = i.scrape WHERE i.seq >= s.listed",
    ),
    (
        "rows of scrape_progress of scrapes that are tagged",
        "SELECT count(*) FROM scrape_progress p JOIN scrapes s ON s.key = p.scrape WHERE s.state = 'tagged'",
    ),
    (
        "rows of scrape_progress without a scrape",
        "SELECT count(*) FROM scrape_progress p WHERE NOT EXISTS (SELECT FROM scrapes s WHERE s.key = p.scrape)",
    ),
    (
        "scrapes that are not announced",
        "SELECT count(*) FROM scrapes WHERE state <> 'tagged' OR announced_at IS NULL",
    ),
    (
        "scrapes that list another number of images than they have",
        "SELECT count(*) FROM scrapes s WHERE listed <> (SELECT count(*) FROM scrape_images WHERE scrape = s.key)",
    ),
    ("fixes that were never applied", "SELECT count(*) FROM pending_fixes"),
];

/// Connections and channels of the fleet's processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// Connections to the broker.
    pub connections: usize,
    /// Their channels.
    pub channels: usize,
    /// Connections to the database.
    pub sessions: usize,
    /// Of these, such as sit in a transaction and do nothing.
    pub idle_in_transaction: usize,
}

/// What the fleet holds open, as the servers count it.
pub async fn open(arena: &Arena) -> anyhow::Result<Open> {
    let command = ["rabbitmqctl", "-q", "list_connections", "client_properties", "channels"];
    let listed = arena.servers.run(&command).await?;
    let ours =
        listed.lines().filter(|line| line.contains("tagfleet-worker") || line.contains("tagfleet-scheduler"));
    let channels: Vec<usize> =
        ours.filter_map(|line| line.rsplit('\t').next()?.trim().parse().ok()).collect();
    let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{DATABASE}'");
    let idle = format!(
        "{sessions} AND state = 'idle in transaction' AND state_change < clock_timestamp() - interval '2 seconds'"
    );
    Ok(Open {
        connections: channels.len(),
        channels: channels.iter().sum(),
        sessions: usize::try_from(arena.count(&sessions).await?)?,
        idle_in_transaction: usize::try_from(arena.count(&idle).await?)?,
    })
}
