//! The scheduler's settings. Their manual, with all defaults, is `config.toml`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tagfleet_shared::admin::AdminConfig;
use tagfleet_shared::broker::BrokerConfig;
use tagfleet_shared::config::{self, Check, ConfigError, Loaded, LogConfig};
use tagfleet_shared::db::DatabaseConfig;
use tagfleet_shared::events::ScrapeFinished;
use tagfleet_shared::lane::Lane;

use crate::sampling::TracesConfig;

/// The defaults, and the manual.
pub const DEFAULTS: &str = include_str!("../config.toml");

/// Connections for everything beside the fan-outs. The announcers of scrapes and of pictures, and whoever publishes
/// the jobs of changes, keep theirs for as long as the broker keeps them waiting; intake, sweep and
/// housekeeping need one for moments, and take turns. A probe of `/readyz` has one of its own.
const OTHER_CONNECTIONS: usize = 6;

/// Every setting of the scheduler.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchedulerConfig {
    /// Logs.
    pub log: LogConfig,
    /// The port for operators.
    pub admin: AdminConfig,
    /// RabbitMQ.
    pub broker: BrokerConfig,
    /// Postgres.
    pub database: DatabaseConfig,
    /// Which scrape goes to which lane.
    pub lanes: LaneSizes,
    /// Fan-outs: from an event to its jobs.
    pub fan_out: FanOutConfig,
    /// Pictures that change one at a time.
    pub changes: ChangesConfig,
    /// Scrapes that stopped moving.
    pub sweep: SweepConfig,
    /// Announcements: `scrape.tagged` and `image.tagged`.
    pub announce: AnnounceConfig,
    /// What `status` holds for alarming.
    pub alerts: AlertLimits,
    /// How long rows are kept.
    pub retention: RetentionConfig,
    /// Traces of scrapes.
    pub traces: TracesConfig,
    /// How to stop.
    pub shutdown: ShutdownConfig,
}

/// Which scrape goes to which lane.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneSizes {
    /// Images of the largest scrape in [`Lane::Express`].
    pub express_max: usize,
    /// Images of the largest scrape in [`Lane::Standard`].
    pub standard_max: usize,
}

impl LaneSizes {
    /// The lane of a scrape with so many images.
    pub fn lane_of(&self, images: usize) -> Lane {
        match images {
            n if n <= self.express_max => Lane::Express,
            n if n <= self.standard_max => Lane::Standard,
            _ => Lane::Bulk,
        }
    }

    /// Before anything is listed the lane is a guess, made good page by page.
    pub fn first_lane(&self, event: &ScrapeFinished) -> Lane {
        let size = event.images.as_ref().map_or(usize::MAX, Vec::len);
        event.lane.unwrap_or_else(|| self.lane_of(size))
    }
}

/// Fan-outs: from an event to its jobs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FanOutConfig {
    /// Images in one transaction, and jobs in one publication.
    pub page_size: usize,
    /// Scrapes fanned out at the same time.
    pub scrapes_at_once: u16,
    /// Longest wait for a connection to a manifest's server.
    #[serde(with = "humantime_serde")]
    pub manifest_connect_timeout: Duration,
    /// Longest pause within a manifest.
    #[serde(with = "humantime_serde")]
    pub manifest_idle_timeout: Duration,
    /// Longest single download of a manifest.
    #[serde(with = "humantime_serde")]
    pub manifest_timeout: Duration,
    /// How long a manifest may bring nothing new.
    #[serde(with = "humantime_serde")]
    pub manifest_patience: Duration,
    /// Images that are taken of one manifest.
    pub manifest_max_images: i32,
}

/// Pictures that change one at a time.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangesConfig {
    /// For how long changes of one advertiser are gathered.
    #[serde(with = "humantime_serde")]
    pub coalesce: Duration,
}

/// Scrapes that stopped moving.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepConfig {
    /// How often to look for what was lost.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// How long a scrape may stand still before its first sweep.
    #[serde(with = "humantime_serde")]
    pub after: Duration,
}

/// Announcements: `scrape.tagged` and `image.tagged`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnnounceConfig {
    /// How often to look for what has ended.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// How soon after its event an image should have its outcome.
    #[serde(with = "humantime_serde")]
    pub in_time: Duration,
}

/// The numbers of the chart's alerts that `tagfleet-scheduler status` knows too. The chart writes them here.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertLimits {
    /// How long the oldest image of the lane `express` may wait,
    #[serde(with = "humantime_serde")]
    pub oldest_express: Duration,
    /// of `standard`,
    #[serde(with = "humantime_serde")]
    pub oldest_standard: Duration,
    /// and of `bulk`.
    #[serde(with = "humantime_serde")]
    pub oldest_bulk: Duration,
    /// How long nothing may move in a scrape.
    #[serde(with = "humantime_serde")]
    pub stuck_after: Duration,
    /// Events that may wait for a scheduler.
    pub events_waiting: u32,
    /// Share of the images of `express` and `standard` that are to be in time: `announce.in_time`.
    pub objective: f64,
    /// Images per second below which no share is an alert.
    pub least_rate: f64,
    /// Share of defaulted images that is never right,
    pub defaults_ceiling: f64,
    /// and of skipped ones.
    pub skips_ceiling: f64,
    /// Pools whose workers are to compute on a GPU.
    pub gpu_pools: Vec<String>,
}

impl AlertLimits {
    /// How long the oldest image of a lane may wait.
    pub fn oldest(&self, lane: Lane) -> Duration {
        match lane {
            Lane::Express => self.oldest_express,
            Lane::Standard => self.oldest_standard,
            Lane::Bulk => self.oldest_bulk,
        }
    }
}

/// How long rows are kept.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// Days of `scrape_images`.
    pub days: i32,
}

/// Images of a page at most.
const MAX_PAGE: usize = 100_000;

/// How to stop.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShutdownConfig {
    /// How long fan-outs may go on to the end of their page.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
}

impl SchedulerConfig {
    /// Loads defaults, `file` and environment.
    ///
    /// # Errors
    ///
    /// Lists every problem.
    pub fn load(file: Option<PathBuf>) -> Result<Loaded<Self>, ConfigError> {
        config::load(DEFAULTS, config::file(file).as_deref(), config::environment())
    }
}

impl Check for SchedulerConfig {
    fn check(&self, problems: &mut Vec<String>) {
        self.log.check(problems);
        self.broker.check(problems);
        self.database.check(problems);
        self.traces.check(problems);
        let at_once = usize::from(self.fan_out.scrapes_at_once);
        if self.database.pool_size < at_once + OTHER_CONNECTIONS {
            problems.push(format!(
                "database.pool_size ({}) must be at least fan_out.scrapes_at_once ({at_once}) + {OTHER_CONNECTIONS}",
                self.database.pool_size
            ));
        }
        if self.lanes.express_max > self.lanes.standard_max {
            problems.push("lanes.express_max must not be above lanes.standard_max".into());
        }
        let at_least_one = [
            ("fan_out.page_size", self.fan_out.page_size == 0),
            ("fan_out.scrapes_at_once", at_once == 0),
            ("fan_out.manifest_max_images", self.fan_out.manifest_max_images < 1),
            ("retention.days", self.retention.days < 1),
        ];
        for (key, _) in at_least_one.iter().filter(|(_, too_few)| *too_few) {
            problems.push(format!("{key} must be at least 1"));
        }
        if self.fan_out.page_size > MAX_PAGE {
            problems.push(format!("fan_out.page_size must be at most {MAX_PAGE}: a page is held in memory"));
        }
        if !(0.0..1.0).contains(&self.alerts.objective) {
            problems.push("alerts.objective must be at least 0 and less than 1".into());
        }
        let longer_than_nothing = [
            ("fan_out.manifest_connect_timeout", self.fan_out.manifest_connect_timeout),
            ("fan_out.manifest_idle_timeout", self.fan_out.manifest_idle_timeout),
            ("fan_out.manifest_timeout", self.fan_out.manifest_timeout),
            ("sweep.every", self.sweep.every),
            ("sweep.after", self.sweep.after),
            ("announce.every", self.announce.every),
        ];
        for (key, _) in longer_than_nothing.iter().filter(|(_, duration)| duration.is_zero()) {
            problems.push(format!("{key} must be longer than nothing"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVERS: [(&str, &str); 2] = [
        ("TAGFLEET__BROKER__URL", "amqp://localhost/%2f"),
        ("TAGFLEET__DATABASE__URL", "postgres://localhost/tagfleet"),
    ];

    fn problems(variables: &[(&str, &str)]) -> Vec<String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        config::load::<SchedulerConfig>(DEFAULTS, None, variables)
            .map_or_else(|error| error.0, |_| Vec::new())
    }

    #[test]
    fn the_defaults_lack_only_the_servers() {
        let loaded = config::load::<SchedulerConfig>(DEFAULTS, None, []).unwrap();
        let (broker, database) = (&loaded.config.broker.url, &loaded.config.database.url);
        let error = config::require(&[("broker.url", broker), ("database.url", database)]).unwrap_err();
        assert_eq!(error.0[0], "broker.url is required (TAGFLEET__BROKER__URL)");
        assert_eq!(error.0[1], "database.url is required (TAGFLEET__DATABASE__URL)");
        assert_eq!(problems(&SERVERS), Vec::<String>::new());
    }

    #[test]
    fn a_pool_that_fan_outs_would_empty_is_refused() {
        let mut variables = SERVERS.to_vec();
        variables.push(("TAGFLEET__FAN_OUT__SCRAPES_AT_ONCE", "7"));
        assert_eq!(
            problems(&variables),
            ["database.pool_size (12) must be at least fan_out.scrapes_at_once (7) + 6"]
        );
    }

    #[test]
    fn a_page_that_would_not_fit_into_memory_is_refused() {
        let mut variables = SERVERS.to_vec();
        variables.push(("TAGFLEET__FAN_OUT__PAGE_SIZE", "100001"));
        assert_eq!(
            problems(&variables),
            ["fan_out.page_size must be at most 100000: a page is held in memory"]
        );
    }

    #[test]
    fn the_size_of_a_scrape_decides_its_lane() {
        let sizes = LaneSizes { express_max: 500, standard_max: 20_000 };
        let lanes = [0, 500, 501, 20_000, 20_001].map(|images| sizes.lane_of(images));
        assert_eq!(lanes, [Lane::Express, Lane::Express, Lane::Standard, Lane::Standard, Lane::Bulk]);
    }
}
