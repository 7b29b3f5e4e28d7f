//! What is known by other ways than Prometheus: it has to say the same.

use anyhow::Result;
use tagfleet_scheduler::config::{DEFAULTS, SchedulerConfig};
use tagfleet_scheduler::status::Status;
use tokio::time::Instant;

use super::proof::Proof;
use super::watch::PATIENCE;
use super::{now, say};

/// What the fleet's series say, and the query that gives the same number from the database. Counters are those of
/// the whole run: whoever is killed takes with it what it has counted since it was last asked.
const KNOWN: [(&str, &str); 6] = [
    ("sum(increase(tagfleet_scheduler_images_listed_total[SPAN]))", "SELECT sum(listed)::int8 FROM scrapes"),
    (
        "sum(increase(tagfleet_worker_jobs_ended_total[SPAN]))",
        "SELECT count(*) FROM scrape_images WHERE outcome IS NOT NULL AND reason IS DISTINCT FROM 'superseded'",
    ),
    (
        "sum(increase(tagfleet_scheduler_images_tagged_total[SPAN]))",
        "SELECT sum(listed)::int8 FROM scrapes WHERE announced_at IS NOT NULL",
    ),
    ("max(tagfleet_scheduler_fixes_total)", "SELECT count(*) FROM fix_history"),
    ("max(tagfleet_scheduler_database_bytes)", "SELECT pg_database_size(current_database())"),
    (
        "max(tagfleet_scheduler_queue_consumers{queue=\"jobs.express\"})",
        "SELECT count(*) FROM worker_reports WHERE reported_at > now() - every_seconds * interval '3 seconds'",
    ),
];

/// How far the two may be apart: looks a second apart, and counts that went with their process.
const APART: f64 = 0.1;

impl Proof {
    /// Series whose numbers are not those of the database; the load has to stand still. Returns how many were compared,
    /// and the problems.
    pub async fn numbers_are_true(&self) -> Result<(usize, Vec<String>)> {
        self.gate.pause(true);
        let (from, _) = self.span();
        let mut problems = Vec::new();
        for (expr, sql) in KNOWN {
            let begun = Instant::now();
            loop {
                let expr = expr.replace("SPAN", &format!("{:.0}s", now() - from));
                let told = self.watch.prometheus().value(&expr).await?;
                let is = self.arena.count(sql).await? as f64;
                if is > 0.0 && (told - is).abs() <= APART * is {
                    say(&format!("{told:.0}, and by the database {is:.0}: {expr}"));
                    break;
                }
                if begun.elapsed() > PATIENCE {
                    problems.push(format!("{told:.0}, and by the database {is:.0}: {expr}"));
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
        Ok((KNOWN.len(), problems))
    }

    /// `tagfleet-scheduler status` says so too: that these alerts would fire.
    pub async fn status_tells(&self, alerts: &[&str]) -> Result<()> {
        let gpu = ("TAGFLEET__ALERTS__GPU_POOLS".to_owned(), "gpu".to_owned());
        let config = tagfleet_shared::config::load::<SchedulerConfig>(DEFAULTS, None, [gpu])?.config;
        let begun = Instant::now();
        loop {
            let status = Status::look(&self.arena.broker, &self.arena.database, &config).await;
            let told: Vec<&str> = status.alerts.iter().map(|alert| alert.alert).collect();
            if alerts.iter().all(|alert| told.contains(alert)) {
                say(&format!("status tells it too: {}", alerts.join(", ")));
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                self.watch.problem(format!("status tells {told:?} and not all of {alerts:?}")).await;
                return Ok(());
            }
        }
    }
}
