//! `dead show`.

use std::io::Write;

use tagfleet_shared::broker::Broker;
use tagfleet_shared::dead::Filter;

use super::list::{time, unseen};

/// Printed where nothing is said: enough for a screen.
const LIMIT: u64 = 10;

/// Prints letters, each as a few lines and an empty one.
pub(super) async fn show(broker: &Broker, mut filter: Filter, out: &mut impl Write) -> anyhow::Result<()> {
    filter.limit.get_or_insert(LIMIT);
    let mut letters = broker.dead_letters().await?;
    while !filter.is_satisfied()
        && let Some(letter) = letters.next().await?
    {
        if !filter.takes(&letter) {
            continue;
        }
        let lane = letter.lane().map(|lane| format!(" of {lane}")).unwrap_or_default();
        writeln!(out, "{} {}: {}{lane}, {}", letter.id, letter.reason, letter.kind, time(letter.dead_at))?;
        if letter.redriven > 0 {
            writeln!(out, "  sent back before: {}", letter.redriven)?;
        }
        for (name, value) in &letter.headers {
            writeln!(out, "  {name}: {value}")?;
        }
        writeln!(out, "  {}\n", String::from_utf8_lossy(&letter.body))?;
    }
    unseen(if filter.is_satisfied() { 0 } else { letters.unseen() }, out)?;
    letters.close().await?;
    Ok(())
}
