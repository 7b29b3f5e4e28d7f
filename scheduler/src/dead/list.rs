//! `dead list`.

use std::collections::BTreeMap;
use std::io::Write;

use jiff::Timestamp;
use tagfleet_shared::broker::{Broker, Kind};

/// Dead letters that have the same reason, kind and lane.
#[derive(Default)]
struct Group {
    messages: u64,
    redriven: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

/// Prints a line for each group.
pub(super) async fn list(broker: &Broker, out: &mut impl Write) -> anyhow::Result<()> {
    let mut letters = broker.dead_letters().await?;
    let mut groups: BTreeMap<(String, Kind), Group> = BTreeMap::new();
    while let Some(letter) = letters.next().await? {
        let group = groups.entry((letter.reason, letter.kind)).or_default();
        group.messages += 1;
        group.redriven += u64::from(letter.redriven > 0);
        group.first = group.first.into_iter().chain(letter.dead_at).min();
        group.last = group.last.max(letter.dead_at);
    }
    letters.close().await;
    if groups.is_empty() {
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
    Ok(())
}

pub(super) fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".into(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
