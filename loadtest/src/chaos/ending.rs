//! What has to be true when everything is over.

use std::time::Duration;

use tokio::time::Instant;

use super::arena::{Arena, DATABASE};
use super::fleet::{POOL, SCHEDULERS, WORKERS};

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

/// Times that is looked whether what is open is closed again.
const LOOKS: u32 = 5;

/// What is open now, and what of it nobody closes: more than `before` the first fault, in words.
///
/// Looks again where there is more: a process opens a channel for a moment to ask for the depth of a queue or for a
/// sign of life.
pub async fn leaks(arena: &Arena, before: Open) -> anyhow::Result<(Open, Vec<String>)> {
    let most = most(before);
    for _ in 1..LOOKS {
        let now = open(arena).await?;
        if beyond(now, most).is_empty() {
            return Ok((now, Vec::new()));
        }
    }
    let now = open(arena).await?;
    Ok((now, beyond(now, most)))
}

/// What may be open at the end, where this was `before`.
///
/// As many connections to the broker. One channel more of each process: a publisher opens its own when it first
/// publishes, and each process has one that is first needed in a fault, a worker for jobs that it puts off and a
/// scheduler for those that its sweep publishes again. Pools open a connection to the database whenever all are in
/// use, and keep it: theirs is the size of the pool.
pub fn most(before: Open) -> Open {
    let processes = SCHEDULERS + WORKERS;
    Open {
        connections: before.connections,
        channels: before.channels + processes,
        sessions: before.sessions.max(POOL * processes),
        idle_in_transaction: 0,
    }
}

/// What of `open` is more than `most`, in words.
pub fn beyond(open: Open, most: Open) -> Vec<String> {
    let held = |what: &str, open: usize, most: usize| {
        (open > most).then(|| format!("{open} {what} are open, and no more than {most} should be"))
    };
    [
        held("connections to the broker", open.connections, most.connections),
        held("channels", open.channels, most.channels),
        held("connections to the database", open.sessions, most.sessions),
        held("idle transactions", open.idle_in_transaction, most.idle_in_transaction),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_more_is_a_leak_and_a_channel_of_each_process_is_none() {
        let before = Open { connections: 10, channels: 20, sessions: 12, idle_in_transaction: 0 };
        let leaks = |now| beyond(now, most(before)).len();

        assert_eq!(leaks(before), 0);
        // Schedulers and workers together.
        let sessions = POOL * 5;
        assert_eq!(leaks(Open { channels: 25, sessions, ..before }), 0);
        let leaking = Open { connections: 11, channels: 26, sessions: sessions + 1, idle_in_transaction: 1 };
        assert_eq!(leaks(leaking), 4);
    }
}
