//! Every metric of the scheduler: one struct, one file, one prefix. docs/METRICS.md is the table of them.
//!
//! What is read from the database or the broker is the same in every scheduler: take `max`, not `sum`.

use std::time::Duration;

use deadpool_postgres::Status;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
};
use tagfleet_shared::events::Change;
use tagfleet_shared::lane::Lane;
use tagfleet_shared::metrics::{CONNECTIONS, Registrar, begin, set_connections};
use tagfleet_shared::wall_clock;

use crate::queues::Queue;
use crate::store::{Accepted, Standing, Upkeep};

/// Up to a day, with the limit of the service level in it.
const SCRAPE_SECONDS: [f64; 12] =
    [1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 86_400.0];

/// The label `size`: images of a scrape, at most.
const SIZES: [(u64, &str); 4] = [(100, "100"), (1000, "1000"), (10_000, "10000"), (u64::MAX, "more")];

/// The label `change` of an event that says nothing new.
const KNOWN: &str = "known";

/// From a scrape of a few images to one of a million.
const SECONDS: [f64; 13] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0];

/// See the help texts below. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    scrapes_total: IntCounterVec,
    images_listed_total: IntCounter,
    jobs_published_total: IntCounter,
    fan_out_seconds: Histogram,
    announcements_total: IntCounter,
    dead_letters_total: IntCounterVec,
    sweeps_total: IntCounter,
    jobs_swept_total: IntCounter,
    lost_fixes_total: IntCounter,
    outages_total: IntCounterVec,
    held: IntGaugeVec,
    image_changes_total: IntCounterVec,
    micro_scrapes_total: IntCounter,
    image_announcements_total: IntCounter,
    scrape_seconds: HistogramVec,
    images_tagged_total: IntCounterVec,
    open_scrapes: IntGaugeVec,
    stuck_scrapes: IntGaugeVec,
    oldest_scrape_seconds: GaugeVec,
    untagged_images: IntGaugeVec,
    oldest_untagged_image_seconds: GaugeVec,
    queue_messages: IntGaugeVec,
    queue_consumers: IntGaugeVec,
    fixes_total: IntCounterVec,
    database_bytes: IntGauge,
    counted_timestamp_seconds: Gauge,
    database_connections: IntGaugeVec,
}

impl Metrics {
    /// Registers everything. Each test brings its own registry.
    ///
    /// # Errors
    ///
    /// If the registry has metrics of these names already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let add = Registrar::new(registry, "scheduler", env!("CARGO_PKG_VERSION"), &SECONDS)?;
        let metrics = Self {
            scrapes_total: add.counters(
                "scrapes_total",
                "Scrapes by what happened to them: accepted, resumed (a fan-out was cut off), repeated (the event \
                 came again), superseded, fanned_out (all jobs are confirmed). \
                 Accepted far above fanned_out: schedulers do not keep up, or are held.",
                &["event"],
            )?,
            images_listed_total: add.counter(
                "images_listed_total",
                "Images recorded: the demand. Above the rate of jobs that end for long: the fleet is too small.",
            )?,
            jobs_published_total: add.counter(
                "jobs_published_total",
                "Jobs that the broker has confirmed. Far above images_listed_total: fan-outs are cut off often.",
            )?,
            fan_out_seconds: add.histogram(
                "fan_out_seconds",
                "Time from an event to its last confirmed job, the wait for another fan-out of the scrape included. Long: a slow manifest, or a broker that confirms slowly.",
            )?,
            announcements_total: add.counter(
                "announcements_total",
                "Announcements that the broker has confirmed: scrapes that the listing site knows as tagged. None while scrapes end: the broker takes nothing, see held.",
            )?,
            dead_letters_total: add.counters(
                "dead_letters_total",
                "Events that a person has to look at, by reason. More than none is worth a look.",
                &["reason"],
            )?,
            sweeps_total: add.counter(
                "sweeps_total",
                "Scrapes that had stopped moving and were swept. More than none: somewhere jobs get lost.",
            )?,
            jobs_swept_total: add.counter(
                "jobs_swept_total",
                "Jobs that sweeps have published again: how much was lost, or was late.",
            )?,
            lost_fixes_total: add.counter(
                "lost_fixes_total",
                "Passes over fixed images that had to be made up for: whoever makes fixes dies before the pass.",
            )?,
            outages_total: add.counters(
                "outages_total",
                "Times that work was held because a server of ours was away: broker or database. Nothing is lost; one now and then is a server's restart, one every few minutes: see held and /readyz.",
                &["server"],
            )?,
            held: add.gauges(
                "held",
                "Pieces of work that are held now, by the server that they need and by what it does: away, silent, blocked (short of memory or disk), refused, unroutable, panic (a mistake of ours). More than none for minutes: that server has to be mended.",
                &["server", "why"],
            )?,
            image_changes_total: add.counters(
                "image_changes_total",
                "Events image.changed by what they say: added, replaced, removed; or known, where the same or a later change of the picture was known already. Mostly known: a pipeline sends everything twice.",
                &["change"],
            )?,
            micro_scrapes_total: add.counter(
                "micro_scrapes_total",
                "Micro-scrapes that were made of changes. As many as changes: changes.coalesce gathers nothing.",
            )?,
            image_announcements_total: add.counter(
                "image_announcements_total",
                "Events image.tagged that the broker has confirmed: changes that the listing site knows as tagged. Far below image_changes_total for long: changes wait; see held and untagged_images.",
            )?,
            scrape_seconds: add.distribution(
                "scrape_seconds",
                "Time from the event of a scrape to its last image's outcome, by its number of images (100, 1000, 10000 at most, or more); once for each scrape. Small ones as slow as large ones: they wait behind them, or for one host.",
                &["size"],
                &SCRAPE_SECONDS,
            )?,
            images_tagged_total: add.counters(
                "images_tagged_total",
                "Images that were announced, with their scrape or as changed, and whether they had their outcome within announce.in_time of the event: the service level. Those that are opened again count once more, from then. `no` above 1 %: it is not kept.",
                &["lane", "in_time"],
            )?,
            open_scrapes: add.gauges(
                "open_scrapes",
                "Scrapes that are not announced yet, by state: fanning_out, tagging, changing (a micro-scrape), or announcing (tagged, and the listing site is not told). All growing: the fleet is too small, or held; announcing alone: see held. The same in every scheduler.",
                &["state"],
            )?,
            stuck_scrapes: add.gauges(
                "stuck_scrapes",
                "Open scrapes in which nothing has moved for alerts.stuck_after although no job of their lane waits, or for a day where jobs of it wait. More than none: their jobs are lost, or their host is slow. The same in every scheduler.",
                &["lane"],
            )?,
            oldest_scrape_seconds: add.fractions(
                "oldest_scrape_seconds",
                "Age of the oldest scrape that is not announced yet, by state. Growing while jobs are done: stuck. The same in every scheduler.",
                &["state"],
            )?,
            untagged_images: add.gauges(
                "untagged_images",
                "Images that are listed and have no outcome, by lane. Divided by the rate of jobs_ended_total: the time until the lane is drained. The same in every scheduler.",
                &["lane"],
            )?,
            oldest_untagged_image_seconds: add.fractions(
                "oldest_untagged_image_seconds",
                "How long the oldest image without an outcome has waited since the event of its scrape, or since it was opened again, by lane; 0 without any. Rising by a second each second: nothing of that lane moves. The same in every scheduler.",
                &["lane"],
            )?,
            queue_messages: add.gauges(
                "queue_messages",
                "Messages that are ready in a queue of the fleet. What was delivered and is not settled is not among them. dead above none: a person has to look; a lane that only grows: more workers. The same in every scheduler.",
                &["queue"],
            )?,
            queue_consumers: add.gauges(
                "queue_consumers",
                "Consumers that the broker knows of a queue. Fewer than workers that believe to receive: they have to be restarted. The same in every scheduler.",
                &["queue"],
            )?,
            fixes_total: add.counters(
                "fixes_total",
                "Corrections by people ever, withdrawn ones included. More of them for as many images: the models got worse, or the pictures changed. The same in every scheduler.",
                &[],
            )?,
            database_bytes: add.gauge(
                "database_bytes",
                "What the fleet's database takes on its disk. Growing while retention.days is long over: image_tags grows with every new picture, anything else is not dropped. The same in every scheduler.",
            )?,
            counted_timestamp_seconds: add.fraction(
                "counted_timestamp_seconds",
                "When the gauges that are the same in every scheduler were last read from the database. After a minute without a reading they are left out, those of the queues likewise.",
            )?,
            database_connections: add.gauges("database_connections", CONNECTIONS, &["state"])?,
        };
        for event in ["accepted", "resumed", "repeated", "superseded", "fanned_out"] {
            begin(&metrics.scrapes_total, &[&[event]]);
        }
        for server in ["database", "broker"] {
            begin(&metrics.outages_total, &[&[server]]);
            metrics.held.with_label_values(&[server, "away"]);
        }
        for reason in REASONS {
            begin(&metrics.dead_letters_total, &[&[reason]]);
        }
        for lane in Lane::ALL {
            begin(&metrics.images_tagged_total, &[&[lane.as_str(), "yes"], &[lane.as_str(), "no"]]);
        }
        for change in Change::ALL.map(Change::as_str).into_iter().chain([KNOWN]) {
            begin(&metrics.image_changes_total, &[&[change]]);
        }
        for (_, size) in SIZES {
            metrics.scrape_seconds.with_label_values(&[size]);
        }
        Ok(metrics)
    }

    /// An event was taken.
    pub fn scrape_accepted(&self, accepted: &Accepted) {
        let event = match accepted {
            Accepted::New(scrape) => {
                self.scrapes_superseded(u64::from(scrape.superseded));
                "accepted"
            }
            Accepted::Resumed(_) => "resumed",
            Accepted::Repeated => "repeated",
            // Counted as a dead letter.
            Accepted::Taken(_) => return,
        };
        self.scrapes_total.with_label_values(&[event]).inc();
    }

    /// Newer scrapes of their advertisers have overtaken so many.
    pub fn scrapes_superseded(&self, scrapes: u64) {
        self.scrapes_total.with_label_values(&["superseded"]).inc_by(scrapes);
    }

    /// The last job of a scrape is confirmed.
    pub fn scrape_fanned_out(&self, took: Duration) {
        self.scrapes_total.with_label_values(&["fanned_out"]).inc();
        self.fan_out_seconds.observe(took.as_secs_f64());
    }

    /// A page is in the table.
    pub fn images_listed(&self, images: usize) {
        self.images_listed_total.inc_by(images as u64);
    }

    /// A page's jobs are confirmed.
    pub fn jobs_published(&self, jobs: usize) {
        self.jobs_published_total.inc_by(jobs as u64);
    }

    /// A scrape is announced.
    pub fn announced(&self) {
        self.announcements_total.inc();
    }

    /// A scrape is announced for the first time: so long after its event its last image had its outcome.
    pub fn scrape_tagged(&self, images: u64, took: Duration) {
        let size = SIZES.iter().find(|(most, _)| images <= *most).map_or("more", |(_, size)| size);
        self.scrape_seconds.with_label_values(&[size]).observe(took.as_secs_f64());
    }

    /// So many images that changed are announced, of which so many came late.
    pub fn images_announced(&self, lane: Lane, images: usize, late: usize) {
        self.image_announcements_total.inc_by(images as u64);
        self.tagged(lane, images as u64, late as u64);
    }

    /// So many images of what is announced have their outcome, and so many of them came late.
    pub fn tagged(&self, lane: Lane, images: u64, late: u64) {
        for (in_time, images) in [("yes", images - late), ("no", late)] {
            self.images_tagged_total.with_label_values(&[lane.as_str(), in_time]).inc_by(images);
        }
    }

    /// Of so many changes these were news.
    pub fn changes_noted(&self, news: &[Change], of: usize) {
        for change in news {
            self.image_changes_total.with_label_values(&[change.as_str()]).inc();
        }
        self.image_changes_total.with_label_values(&[KNOWN]).inc_by((of - news.len()) as u64);
    }

    /// A micro-scrape of so many images is in its tables.
    pub fn micro_scrape(&self, images: usize) {
        self.micro_scrapes_total.inc();
        self.images_listed(images);
    }

    /// An event went to the dead-letter queue.
    pub fn dead_lettered(&self, reason: &str) {
        self.dead_letters_total.with_label_values(&[reason]).inc();
    }

    /// A scrape was swept.
    pub fn swept(&self, jobs: usize) {
        self.sweeps_total.inc();
        self.jobs_swept_total.inc_by(jobs as u64);
    }

    /// A lost pass over a fixed image was made up for.
    pub fn fix_applied(&self) {
        self.lost_fixes_total.inc();
    }

    /// Work is held because `server` is away.
    pub fn outage(&self, server: &str) {
        self.outages_total.with_label_values(&[server]).inc();
    }

    /// Work is held because `server` does this, until the answer is dropped.
    pub fn held(&self, server: &str, why: &str) -> Held {
        let gauge = self.held.with_label_values(&[server, why]);
        gauge.inc();
        Held { gauge }
    }

    /// How the queues are now.
    pub fn sample_queues(&self, queues: &[Queue]) {
        for queue in queues {
            self.queue_messages.with_label_values(&[&queue.name]).set(i64::from(queue.ready));
            self.queue_consumers.with_label_values(&[&queue.name]).set(i64::from(queue.consumers));
        }
    }

    /// How the queues are is not known.
    pub fn forget_queues(&self) {
        self.queue_messages.reset();
        self.queue_consumers.reset();
    }

    /// How the scrapes stand is not known.
    pub fn forget_scrapes(&self) {
        for gauges in [&self.open_scrapes, &self.stuck_scrapes, &self.untagged_images] {
            gauges.reset();
        }
        self.oldest_scrape_seconds.reset();
        self.oldest_untagged_image_seconds.reset();
    }

    /// How busy the connections are.
    pub fn sample_connections(&self, pool: Status) {
        set_connections(&self.database_connections, pool);
    }

    /// How the scrapes stand now.
    pub fn sample(&self, standing: &[Standing], upkeep: Upkeep) {
        let oldest = |of: &dyn Fn(&&Standing) -> bool| {
            standing.iter().filter(of).map(|of_it| of_it.oldest_seconds).fold(0.0, f64::max)
        };
        let sum = |of: &dyn Fn(&&Standing) -> bool, what: &dyn Fn(&Standing) -> i64| {
            standing.iter().filter(of).map(what).sum()
        };
        for state in ["fanning_out", "tagging", "changing", "announcing"] {
            let of_it = |standing: &&Standing| standing.state == state;
            self.open_scrapes.with_label_values(&[state]).set(sum(&of_it, &|of_it| of_it.scrapes));
            self.oldest_scrape_seconds.with_label_values(&[state]).set(oldest(&of_it));
        }
        for lane in Lane::ALL {
            let (of_it, label) = (|standing: &&Standing| standing.lane == lane, [lane.as_str()]);
            self.stuck_scrapes.with_label_values(&label).set(sum(&of_it, &|of_it| of_it.stuck));
            self.untagged_images.with_label_values(&label).set(sum(&of_it, &|of_it| of_it.untagged));
            let oldest = standing.iter().filter(of_it).filter_map(|of_it| of_it.oldest_untagged_seconds);
            self.oldest_untagged_image_seconds.with_label_values(&label).set(oldest.fold(0.0, f64::max));
        }
        // Begins with what there is: that has not increased.
        let fixes = self.fixes_total.with_label_values::<&str>(&[]);
        fixes.inc_by(upkeep.fixes.saturating_sub(fixes.get()));
        self.database_bytes.set(upkeep.database_bytes);
        self.counted_timestamp_seconds.set(wall_clock::now().as_millisecond() as f64 / 1e3);
    }
}

/// Counts a piece of work as held until it is dropped.
pub struct Held {
    gauge: IntGauge,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

/// Reasons of the scheduler's own dead letters: see `halt.rs`.
const REASONS: [&str; 6] = [
    "malformed_event",
    "manifest_unavailable",
    "inventory_unavailable",
    "refused_by_database",
    "scrape_id_taken",
    "panicked",
];
