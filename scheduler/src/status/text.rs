//! The page that a person reads.

use std::fmt::Write as _;

use tagfleet_shared::reports::{EndingsReport, FailedImage};

use super::look::{LaneStatus, RecentStatus, ScrapesStatus, Status, WorkerStatus};

/// What `status` prints for people.
pub(super) fn page(status: &Status) -> String {
    let mut page = String::new();
    let alerts = match status.alerts.len() {
        0 => "no alert would fire".to_owned(),
        1 => "1 ALERT would fire if this lasts".to_owned(),
        many => format!("{many} ALERTS would fire if this lasts"),
    };
    let _ = writeln!(page, "{}  {alerts}", status.at.strftime("%Y-%m-%d %H:%M:%SZ"));
    for alert in &status.alerts {
        let _ = writeln!(page, "  {} (after {}): {}", alert.alert, alert.lasting, alert.what);
    }
    let heads = ["LANE", "READY", "AT WORK", "UNTAGGED", "OLDEST", "PER SECOND", "DRAINED IN", "CONSUMERS"];
    table(&mut page, heads, status.lanes.iter().map(lane));
    let _ = writeln!(page, "\n{}", scrapes(status.scrapes.as_ref()));
    match &status.recent {
        Some(recent) => {
            let _ = writeln!(page, "last hour: {}", last_hour(recent));
        }
        None if status.scrapes.is_some() => {
            page.push_str("last hour: not known, so much came late that it takes long to count\n")
        }
        None => {}
    }
    if let Some(endings) = &status.endings {
        let _ = writeln!(page, "last 15 minutes: {}", last_quarter(endings));
    }
    let queues = status.queues.iter().flatten().filter(|queue| !queue.queue.starts_with("jobs."));
    let queues: Vec<_> = queues.map(|queue| format!("{} {}", queue.queue, queue.ready)).collect();
    if !queues.is_empty() {
        let _ = writeln!(page, "queues: {}", queues.join(", "));
    }
    let heads =
        ["WORKER", "POOL", "PROVIDER", "MODEL SET", "VERSION", "PER SECOND", "AT WORK", "LAST HEARD OF"];
    match &status.workers {
        None => page.push_str("\nworkers: not known, the database is away\n"),
        Some(workers) if workers.is_empty() => page.push_str("\nworkers: none reports\n"),
        Some(workers) => table(&mut page, heads, workers.iter().map(worker)),
    }
    let servers = status.servers.iter().map(|server| {
        let takes_nothing = status.publishing_error.as_ref().filter(|_| server.server == "broker");
        let how = match (&server.error, takes_nothing) {
            (Some(error), _) => format!("AWAY: {error}"),
            (None, Some(error)) => format!("TAKES NO MESSAGES: {error}"),
            (None, None) => format!("ok, {} ms", server.took_ms.unwrap_or_default()),
        };
        [server.server.to_owned(), how]
    });
    table(&mut page, ["SERVER", ""], servers);
    if !status.failures.is_empty() {
        let heads = ["LAST FAILED", "OUTCOME", "REASON", "SCRAPE", "HOST"];
        table(&mut page, heads, status.failures.iter().map(failure));
    }
    page.push_str("\nnot known here\n");
    for unknown in status.unknown {
        let _ = writeln!(page, "  {unknown}");
    }
    page
}

fn lane(lane: &LaneStatus) -> [String; 8] {
    [
        lane.lane.to_string(),
        told(lane.ready),
        told(lane.at_work),
        told(lane.untagged),
        lane.oldest_seconds.map_or_else(|| "-".into(), duration),
        lane.per_second.map_or_else(|| "?".into(), |rate| format!("{rate:.1}")),
        match (lane.drain_seconds, lane.untagged) {
            (Some(0.0), _) => "-".into(),
            (Some(seconds), _) => duration(seconds),
            (None, Some(_)) => "never".into(),
            (None, None) => "?".into(),
        },
        told(lane.consumers),
    ]
}

fn scrapes(scrapes: Option<&ScrapesStatus>) -> String {
    let Some(scrapes) = scrapes else { return "scrapes: not known, the database is away".into() };
    let oldest =
        scrapes.oldest_seconds.map_or_else(String::new, |age| format!(", the oldest {}", duration(age)));
    let ScrapesStatus { fanning_out, tagging, changing, announcing, stuck, .. } = scrapes;
    format!(
        "scrapes: {fanning_out} fanning out, {tagging} tagging, {changing} of pictures that changed, {announcing} to be announced{oldest}; {stuck} stuck"
    )
}

fn last_hour(recent: &RecentStatus) -> String {
    let in_time = recent.late_share.map_or_else(
        || "no images of express and standard were announced".to_owned(),
        |late| {
            format!(
                "{:.1} % of {} images of express and standard in time",
                100.0 * (1.0 - late),
                recent.images
            )
        },
    );
    format!("{in_time}; {} scrapes swept", recent.swept)
}

fn last_quarter(endings: &EndingsReport) -> String {
    let EndingsReport { ended, skipped, defaulted, inferred, failed } = *endings;
    if ended == 0 {
        return "no image came to its outcome".into();
    }
    let percent = |part: u64, of: u64| 100.0 * part as f64 / of.max(1) as f64;
    format!(
        "{ended} images, {:.1} % skipped, {:.1} % with the defaults; {} seen by the models, which failed on {:.1} %",
        percent(skipped, ended),
        percent(defaulted, ended),
        inferred + failed,
        percent(failed, inferred + failed)
    )
}

fn worker(worker: &WorkerStatus) -> [String; 8] {
    let heard =
        format!("{} ago{}", duration(worker.reported_seconds), if worker.silent { ", SILENT" } else { "" });
    [
        worker.worker.clone(),
        worker.pool.clone(),
        worker.provider.clone(),
        worker.model_set.clone(),
        worker.version.clone(),
        format!("{:.1}", worker.per_second),
        worker.at_work.to_string(),
        heard,
    ]
}

fn failure(failed: &FailedImage) -> [String; 5] {
    let at = failed.at.strftime("%H:%M:%SZ").to_string();
    [at, failed.outcome.clone(), failed.reason.clone(), failed.scrape_id.0.clone(), failed.host.clone()]
}

fn told<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "?".into(), |value| value.to_string())
}

/// In its two largest units, such as `2h 5m`.
pub(super) fn duration(seconds: f64) -> String {
    let s = seconds.max(0.0) as u64;
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m {}s", s / 60, s % 60),
        3600..86_400 => format!("{}h {}m", s / 3600, s / 60 % 60),
        _ => format!("{}d {}h", s / 86_400, s / 3600 % 24),
    }
}

/// A blank line, and columns as wide as they need be.
fn table<const N: usize>(page: &mut String, heads: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    let rows: Vec<[String; N]> = std::iter::once(heads.map(str::to_owned)).chain(rows).collect();
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    page.push('\n');
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let _ = writeln!(page, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_told_in_its_two_largest_units() {
        let told = [0.4, 59.0, 61.0, 7265.0, 90_000.0].map(duration);
        assert_eq!(told, ["0s", "59s", "1m 1s", "2h 1m", "1d 1h"]);
    }

    #[test]
    fn columns_are_as_wide_as_they_need_be() {
        let mut page = String::new();
        table(&mut page, ["A", "B"], [["long".into(), "1".into()], ["x".into(), String::new()]].into_iter());
        assert_eq!(page, "\nA     B\nlong  1\nx\n");
    }
}
