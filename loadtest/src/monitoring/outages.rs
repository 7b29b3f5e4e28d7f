//! Faults of the servers and of all processes of a kind.

use anyhow::Result;
use tagfleet_shared::lane::Lane;

use super::proof::Proof;
use super::watch::{Expected, any, of};
use super::{faults, pictures};
use crate::chaos::proxy::Mode;

/// What follows where nothing is tagged for a while, whatever the reason.
const STANDSTILL: &[Expected] = &[
    any("TagfleetNothingTagged"),
    any("TagfleetImagesWait"),
    any("TagfleetScrapeStuck"),
    any("TagfleetJobsGetLost"),
    any("TagfleetServiceLevelFast"),
    any("TagfleetServiceLevelSlow"),
];

impl Proof {
    /// The database is away while events come, and then it is there and slow.
    pub async fn database_goes_away(&self) -> Result<()> {
        const FAULT: &str = "the database is away, then slow";
        const AWAY: &[Expected] =
            &[of("TagfleetServerAway", "server", "database"), any("TagfleetFanOutBehind")];
        const SLOW: &[Expected] = &[any("TagfleetDatabaseConnectionsShort")];
        // Nobody knows the images that are published here.
        const MAY: &[Expected] = &[any("TagfleetCacheCollapsed")];
        self.watch.begins(FAULT, &[AWAY, SLOW, MAY, STANDSTILL].concat()).await;
        self.gate.pause(true);
        faults::database(&self.arena, Mode::Cut);
        self.events("waiting", 25).await?;
        self.watch.fire(FAULT, AWAY).await?;
        faults::database(&self.arena, Mode::Pass);
        self.gate.reopen().await?;
        // To the worker with two connections come pictures, one after the other, which it cannot record then, and
        // jobs, of which it cannot find out what is known: its report has no connection.
        let slow = pictures::slow(&self.arena, "slow-database", 60)?;
        pictures::publish(&self.arena, "slow-database", Lane::Express, slow).await?;
        self.gate
            .until(
                "SELECT count(*) FROM scrape_images i JOIN scrapes s ON s.key = i.scrape AND s.day = i.day
                  WHERE s.scrape_id = 'slow-database' AND i.outcome IS NOT NULL",
            )
            .await?;
        let client = self.arena.database.get().await?;
        client.batch_execute("BEGIN; LOCK TABLE image_tags IN ACCESS EXCLUSIVE MODE").await?;
        self.gate.pause(true);
        self.events("unknown", 12).await?;
        self.watch.fire(FAULT, SLOW).await?;
        client.batch_execute("ROLLBACK").await?;
        self.gate.reopen().await?;
        self.watch.ends(FAULT).await
    }

    /// Nobody reaches the broker.
    pub async fn broker_goes_away(&self) -> Result<()> {
        const FAULT: &str = "the broker is away";
        const ALERTS: &[Expected] = &[of("TagfleetServerAway", "server", "broker")];
        // Until a connection is known to be dead it is silent; and consumers come back one after the other.
        const MAY: &[Expected] = &[
            any("TagfleetPublishingBlocked"),
            any("TagfleetConsumersGone"),
            any("TagfleetLaneWithoutWorker"),
            any("TagfleetNoScheduler"),
            any("TagfleetFanOutBehind"),
        ];
        self.watch.begins(FAULT, &[ALERTS, MAY, STANDSTILL].concat()).await;
        self.gate.pause(true);
        faults::broker(&self.arena, Mode::Cut);
        self.watch.fire(FAULT, ALERTS).await?;
        faults::broker(&self.arena, Mode::Pass);
        self.gate.reopen().await?;
        self.watch.ends(FAULT).await
    }

    /// There are no workers, and the jobs of one scrape get lost; then there are some again, and all is late.
    pub async fn workers_go_away(&self) -> Result<()> {
        const FAULT: &str = "no workers, and jobs that get lost";
        const GONE: &[Expected] = &[
            any("TagfleetNothingTagged"),
            of("TagfleetLaneWithoutWorker", "lane", "express"),
            of("TagfleetImagesWait", "lane", "express"),
            of("TagfleetScrapeStuck", "lane", "bulk"),
            any("TagfleetJobsGetLost"),
        ];
        const LATE: &[Expected] = &[any("TagfleetServiceLevelFast"), any("TagfleetServiceLevelSlow")];
        // Two connections are few for a worker that comes to hundreds of jobs, of images that nobody knows.
        const MAY: &[Expected] = &[any("TagfleetDatabaseConnectionsShort"), any("TagfleetCacheCollapsed")];
        self.watch.begins(FAULT, &[GONE, LATE, MAY].concat()).await;
        self.gate.pause(true);
        for worker in faults::members(&self.arena, true) {
            worker.stop().await?;
        }
        // So many late ones that they count among all that was in time in the longest window.
        for (id, lane, images) in [("lost", Lane::Bulk, 7), ("late", Lane::Express, 300)] {
            pictures::publish(&self.arena, id, lane, pictures::red(&self.arena, id, images)?).await?;
            let sql = format!("SELECT count(*) FROM scrapes WHERE scrape_id = '{id}' AND state = 'tagging'");
            self.gate.until(&sql).await?;
        }
        faults::purge(&self.arena, &self.arena.broker.topology().lane_queue(Lane::Bulk)).await?;
        self.watch.fire(FAULT, GONE).await?;
        self.status_tells(&["TagfleetLaneWithoutWorker"]).await?;
        self.gate.until(&faults::all_are_late()).await?;
        for worker in faults::members(&self.arena, true) {
            worker.start().await?;
        }
        self.watch.fire(FAULT, LATE).await?;
        self.gate.reopen().await?;
        self.watch.ends(FAULT).await
    }

    /// There are no schedulers; then there are some again, with events to work on, and the broker is
    /// short of memory.
    pub async fn schedulers_go_away(&self) -> Result<()> {
        const FAULT: &str = "no schedulers, then a broker without memory";
        const GONE: &[Expected] = &[any("TagfleetNoScheduler")];
        const BLOCKED: &[Expected] = &[of("TagfleetPublishingBlocked", "why", "blocked")];
        const MAY: &[Expected] = &[any("TagfleetFanOutBehind"), any("TagfleetConsumersGone")];
        self.watch.begins(FAULT, &[GONE, BLOCKED, MAY, STANDSTILL].concat()).await;
        self.gate.pause(true);
        for scheduler in faults::members(&self.arena, false) {
            scheduler.stop().await?;
        }
        self.watch.fire(FAULT, GONE).await?;
        self.status_tells(&["TagfleetNoScheduler"]).await?;
        // Whoever starts has jobs to publish at once.
        self.events("blocked", 5).await?;
        faults::memory_alarm(&self.arena, true).await?;
        for scheduler in faults::members(&self.arena, false) {
            scheduler.start().await?;
        }
        let fired = self.watch.fire(FAULT, BLOCKED).await;
        let told = self.status_tells(&["TagfleetPublishingBlocked"]).await;
        faults::memory_alarm(&self.arena, false).await?;
        fired.and(told)?;
        self.gate.reopen().await?;
        self.watch.ends(FAULT).await
    }

    /// So many finished scrapes of one picture each.
    async fn events(&self, name: &str, count: usize) -> Result<()> {
        for number in 0..count {
            let id = format!("{name}-{number}");
            pictures::publish(&self.arena, &id, Lane::Express, pictures::red(&self.arena, &id, 1)?).await?;
        }
        Ok(())
    }
}
