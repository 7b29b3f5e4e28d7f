//! `dead list`.

use std::io::Write;

use jiff::Timestamp;
use tagfleet_shared::broker::{Broker, Kind};
use tagfleet_shared::dead::{self, Groups};

/// Prints a line for each group.
pub(super) async fn list(broker: &Broker, out: &mut impl Write) -> anyhow::Result<()> {
    let Groups { groups, unseen: more } = dead::groups(broker).await?;
    if groups.is_empty() && more == 0 {
        return Ok(writeln!(out, "no dead letters")?);
    }
    let heads = ["REASON", "KIND", "LANE", "MESSAGES", "SENT BACK BEFORE", "FIRST", "LAST"];
    let mut lines = vec![heads.map(str::to_owned)];
    for ((reason, kind), group) in groups {
        let lane = if let Kind::Job(lane) = kind { lane.as_str() } else { "-" };
        lines.push([
            reason,
            kind.to_string(),
            lane.to_owned(),
            group.messages.to_string(),
            group.redriven.to_string(),
            time(group.first),
            time(group.last),
        ]);
    }
    let widths: [usize; 7] =
        std::array::from_fn(|column| lines.iter().map(|line| line[column].len()).max().unwrap_or(0));
    for line in lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    unseen(more, out)
}

/// Says that there are more.
pub(super) fn unseen(more: u64, out: &mut impl Write) -> anyhow::Result<()> {
    if more > 0 {
        writeln!(out, "{more} or more were not looked at: they are too many, or somebody else is looking")?;
    }
    Ok(())
}

pub(super) fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".into(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
