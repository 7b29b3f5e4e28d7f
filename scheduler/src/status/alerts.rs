//! Which of the chart's alerts would fire.
//!
//! The names and the times that a condition has to last are those of the chart, and so are the numbers
//! (`[alerts]` of the settings): a test compares them.

use std::collections::BTreeMap;

use serde::Serialize;
use tagfleet_shared::reports::EndingsReport;

use super::look::{Status, WorkerStatus};
use super::text::duration;
use crate::config::AlertLimits;
use crate::queues::SUSPECTS;

/// Nothing is tagged: told where the oldest image has waited for longer than a few reports of a worker take.
const BEFORE_NOTHING_IS_TAGGED: f64 = 60.0;

/// How many times faster than allowed the service level may be used up: within an hour and the last five
/// minutes of it, and within six hours and the last half of one.
const BURN_RATES: [f64; 2] = [14.4, 6.0];

/// Share of the pictures that the models may fail on, where they fail on more than a part of the least rate.
const MODELS_FAIL: f64 = 0.01;
const PART_OF_LEAST_RATE: f64 = 0.25;

/// The seconds of what the workers tell of.
const QUARTER: f64 = 900.0;

/// An alert that would fire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// Its name in the chart, and its section of docs/RUNBOOK.md.
    pub alert: &'static str,
    /// How long it has to last.
    pub lasting: &'static str,
    /// What is seen.
    pub what: String,
}

/// Every alert that `status` knows, and its `for` in the chart.
const KNOWN: [(&str, &str); 17] = [
    ("TagfleetServerAway", "2m"),
    ("TagfleetNoScheduler", "5m"),
    ("TagfleetNothingTagged", "10m"),
    ("TagfleetImagesWait", "5m"),
    ("TagfleetScrapeStuck", "5m"),
    ("TagfleetDeadLetters", "0s"),
    ("TagfleetLaneWithoutWorker", "5m"),
    ("TagfleetConsumersGone", "5m"),
    ("TagfleetJobsGetLost", "5m"),
    ("TagfleetServiceLevelFast", "2m"),
    ("TagfleetPublishingBlocked", "2m"),
    ("TagfleetDefaultsHigh", "15m"),
    ("TagfleetSkipsHigh", "15m"),
    ("TagfleetModelsFail", "15m"),
    ("TagfleetModelSetsDiffer", "1h"),
    ("TagfleetWrongProvider", "10m"),
    ("TagfleetFanOutBehind", "10m"),
];

/// All that would fire if what `status` shows lasts.
pub(super) fn would_fire(status: &Status, limits: &AlertLimits) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let mut fire = |alert: &str, what: String| {
        let known = KNOWN.iter().find(|(name, _)| *name == alert);
        alerts.extend(known.map(|&(alert, lasting)| Alert { alert, lasting, what }));
    };
    for server in &status.servers {
        if let Some(error) = &server.error {
            fire("TagfleetServerAway", format!("{}: {error}", server.server));
        }
    }
    for lane in &status.lanes {
        let oldest = lane.oldest_seconds.unwrap_or_default();
        if oldest > limits.oldest(lane.lane).as_secs_f64() {
            fire("TagfleetImagesWait", format!("the oldest image in {} for {}", lane.lane, duration(oldest)));
        }
        if lane.consumers == Some(0) && lane.ready.is_none_or(|jobs| jobs > 0) {
            fire("TagfleetLaneWithoutWorker", format!("nobody takes jobs of {}", lane.lane));
        }
        if let Some((receiving, consumers)) = lane.receiving.zip(lane.consumers)
            && receiving > consumers as usize
        {
            let what = format!(
                "{receiving} workers believe to take jobs of {}, the broker knows {consumers}",
                lane.lane
            );
            fire("TagfleetConsumersGone", what);
        }
    }
    let untagged: i64 = status.lanes.iter().filter_map(|lane| lane.untagged).sum();
    let oldest = status.lanes.iter().filter_map(|lane| lane.oldest_seconds).fold(0.0, f64::max);
    let per_second: f64 = status.lanes.iter().filter_map(|lane| lane.per_second).sum();
    // Where all that is untagged was put off, nobody can be quicker.
    let suspects = status.queues.iter().flatten().filter(|queue| queue.queue == SUSPECTS);
    let jobs = suspects.map(|queue| i64::from(queue.ready)).sum::<i64>()
        + status
            .lanes
            .iter()
            .map(|lane| i64::from(lane.ready.unwrap_or(1)) + lane.at_work.unwrap_or(0))
            .sum::<i64>();
    if untagged > 0 && jobs > 0 && per_second == 0.0 && oldest > BEFORE_NOTHING_IS_TAGGED {
        fire("TagfleetNothingTagged", format!("{untagged} images wait, and none comes to its outcome"));
    }
    if let Some(stuck) = status.scrapes.as_ref().map(|scrapes| scrapes.stuck).filter(|stuck| *stuck > 0) {
        fire("TagfleetScrapeStuck", format!("{stuck}: see scrape_overview"));
    }
    for queue in status.queues.iter().flatten() {
        match queue.queue.as_str() {
            "dead" if queue.ready > 0 => {
                fire("TagfleetDeadLetters", format!("{}: see `tagfleet-scheduler dead list`", queue.ready));
            }
            "scrape.finished" | "image.changed" if queue.consumers == 0 => {
                fire("TagfleetNoScheduler", format!("nobody takes {}, {} wait", queue.queue, queue.ready));
            }
            "scrape.finished" | "image.changed" if queue.ready > limits.events_waiting => {
                fire("TagfleetFanOutBehind", format!("{} events {} wait", queue.ready, queue.queue));
            }
            _ => {}
        }
    }
    if let Some(recent) = &status.recent {
        if recent.swept > 0 {
            fire("TagfleetJobsGetLost", format!("{} scrapes were swept within the last hour", recent.swept));
        }
        let windows = [
            (recent.late_share, recent.late_share_now, recent.images, 1.0),
            (recent.late_share_six_hours, recent.late_share_half_hour, recent.images_six_hours, 6.0),
        ];
        let used_up = windows.into_iter().zip(BURN_RATES).find_map(|((share, now, images, hours), burn)| {
            let most = burn * (1.0 - limits.objective);
            let enough = images as f64 / (3600.0 * hours) > limits.least_rate;
            (enough && share? > most && now? > most).then_some((share?, hours))
        });
        if let Some((share, hours)) = used_up {
            fire(
                "TagfleetServiceLevelFast",
                format!("{:.1} % of the images of the last {hours}h came late", 100.0 * share),
            );
        }
    }
    if let Some(error) = &status.publishing_error {
        fire("TagfleetPublishingBlocked", error.clone());
    }
    if let Some(endings) = &status.endings {
        for (alert, share, most, what) in shares(endings, limits) {
            if share > most {
                fire(alert, format!("{:.1} % of the images of the last 15 minutes {what}", 100.0 * share));
            }
        }
    }
    let workers = status.workers.as_deref().unwrap_or_default();
    for (pool, digests) in differing(workers, |worker| &worker.digest) {
        fire("TagfleetModelSetsDiffer", format!("pool {pool} answers with {digests} model sets"));
    }
    for (pool, providers) in differing(workers, |worker| &worker.provider) {
        fire("TagfleetWrongProvider", format!("pool {pool} runs on {providers} providers"));
    }
    for pool in &limits.gpu_pools {
        let on_cpu =
            |worker: &&WorkerStatus| !worker.silent && worker.pool == *pool && worker.provider == "cpu";
        match workers.iter().filter(on_cpu).count() {
            0 => {}
            count => fire("TagfleetWrongProvider", format!("{count} workers of pool {pool} run on the CPU")),
        }
    }
    alerts
}

/// What is judged by itself, whatever was usual before: the alert, a share, the most that it may be, and of what.
/// None where there are so few images that a share says nothing.
fn shares(endings: &EndingsReport, limits: &AlertLimits) -> Vec<(&'static str, f64, f64, &'static str)> {
    let share = |part: u64, of: u64| if of == 0 { 0.0 } else { part as f64 / of as f64 };
    if endings.ended as f64 / QUARTER <= limits.least_rate {
        return Vec::new();
    }
    let EndingsReport { ended, skipped, defaulted, inferred, failed } = *endings;
    let few_fail = failed as f64 / QUARTER <= PART_OF_LEAST_RATE * limits.least_rate;
    vec![
        ("TagfleetDefaultsHigh", share(defaulted, ended), limits.defaults_ceiling, "got the defaults"),
        ("TagfleetSkipsHigh", share(skipped, ended), limits.skips_ceiling, "were skipped"),
        (
            "TagfleetModelsFail",
            if few_fail { 0.0 } else { share(failed, inferred + failed) },
            MODELS_FAIL,
            "that the models looked at made them fail",
        ),
    ]
}

/// Pools whose workers differ in something, and in how many ways.
fn differing(workers: &[WorkerStatus], what: impl Fn(&WorkerStatus) -> &String) -> Vec<(&String, usize)> {
    let mut pools: BTreeMap<&String, Vec<&String>> = BTreeMap::new();
    for worker in workers.iter().filter(|worker| !worker.silent) {
        let seen = pools.entry(&worker.pool).or_default();
        if !seen.contains(&what(worker)) {
            seen.push(what(worker));
        }
    }
    pools.into_iter().map(|(pool, seen)| (pool, seen.len())).filter(|(_, kinds)| *kinds > 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tagfleet_shared::lane::Lane;

    use super::super::look::UNKNOWN;
    use crate::config::{DEFAULTS, SchedulerConfig};

    const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/tagfleet");

    fn read(path: &str) -> String {
        std::fs::read_to_string(format!("{CHART}/{path}")).unwrap()
    }

    /// Whoever is told by `status` finds the alert in the chart, and waits as long.
    #[test]
    fn every_alert_is_one_of_the_chart_and_has_to_last_as_long() {
        let rules = read("ci/golden/everything.yaml");
        for (alert, lasting) in KNOWN {
            let rule = rules.split(&format!("- alert: {alert}\n")).nth(1);
            let rule = rule.unwrap_or_else(|| panic!("the chart has no alert {alert}"));
            let rule = rule.split("- alert:").next().unwrap();
            let line = rule.lines().find_map(|line| line.trim().strip_prefix("for: "));
            assert_eq!(line.unwrap_or("0s"), lasting, "{alert}");
        }
    }

    /// Nobody has to guess whether an alert that is not told is not there.
    #[test]
    fn every_alert_of_the_chart_is_known_or_is_told_to_be_unknown() {
        let rules = read("ci/golden/everything.yaml");
        let names = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
        let mut count = 0;
        for name in names {
            let unknown = UNKNOWN.iter().any(|words| words.contains(name));
            assert!(unknown != KNOWN.iter().any(|(known, _)| *known == name), "{name}");
            count += 1;
        }
        assert!(count > KNOWN.len());
    }

    #[test]
    fn the_limits_are_those_of_the_chart() {
        let values = read("values.yaml");
        let value = |key: &str| {
            let line = values.lines().find_map(|line| line.trim().strip_prefix(&format!("{key}: ")));
            line.unwrap_or_else(|| panic!("values.yaml has no {key}")).to_owned()
        };
        let loaded = tagfleet_shared::config::load::<SchedulerConfig>(DEFAULTS, None, []).unwrap();
        let limits = loaded.config.alerts;
        for (key, limit) in [
            ("oldestExpress", limits.oldest(Lane::Express)),
            ("oldestStandard", limits.oldest(Lane::Standard)),
            ("oldestBulk", limits.oldest(Lane::Bulk)),
            ("stuckAfter", limits.stuck_after),
        ] {
            let of_the_chart = humantime_serde::re::humantime::parse_duration(&value(key)).unwrap();
            assert_eq!(of_the_chart, limit, "{key}");
        }
        assert_eq!(value("eventsWaiting"), limits.events_waiting.to_string());
        assert_eq!(value("leastRate"), limits.least_rate.to_string());
        assert_eq!(value("defaultsCeiling"), limits.defaults_ceiling.to_string());
        assert_eq!(value("skipsCeiling"), limits.skips_ceiling.to_string());
        assert_eq!(value("objective"), limits.objective.to_string());
    }
}
