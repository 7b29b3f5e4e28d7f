//! The table on the terminal.

use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::row::{Row, short, sorted};

/// Prints the rows, each with the time at which it was measured, and where the `files` are.
pub fn print(rows: &[(Timestamp, Row)], begun: Timestamp, files: &[&Path]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "\n{:>3}  {:<44} {:<10} {:>25} {:>25} {:>6}  {:<9} met",
        "row", "what", "unit", "fleet (from, to)", "limit (from, to)", "ratio", "mark"
    )?;
    for (at, row) in rows {
        let earlier = if *at < begun { format!("  measured {}", moment(*at)) } else { String::new() };
        writeln!(out, "{}{earlier}", line(row))?;
    }
    writeln!(out)?;
    for file in files {
        writeln!(out, "{}", file.display())?;
    }
    Ok(())
}

fn line(row: &Row) -> String {
    let ratio = row.ratio().map_or(String::new(), |ratio| format!("{ratio:.2}"));
    let met = match row.met() {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "",
    };
    format!(
        "{:>3}  {:<44} {:<10} {:>25} {:>25} {ratio:>6}  {:<9} {met:<3}",
        row.number(),
        row.name(),
        row.unit(),
        shown(row.value(), row.values()),
        shown(row.limit(), row.limits()),
        row.mark_shown(),
    )
}

/// What counts, and among what: `123 (118 to 130)`.
fn shown(counts: Option<f64>, samples: &[f64]) -> String {
    match (counts, sorted(samples).as_slice()) {
        (Some(counts), [lowest, .., highest]) => {
            format!("{} ({} to {})", short(counts), short(*lowest), short(*highest))
        }
        (Some(only), _) => short(only),
        (None, _) => "-".to_owned(),
    }
}

fn moment(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}
