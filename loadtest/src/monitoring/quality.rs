//! Faults of what goes through the fleet: pictures, events, models, and single processes.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::proof::{FOLDER, Proof};
use super::watch::{Expected, any, of};
use super::{faults, now, pictures};

impl Proof {
    /// Sources that go bad, and what is independent of them: a malformed event, a disk that is full, a certificate
    /// that ends, a scheduler that dies again and again, a worker without its GPU, a consumer that the
    /// broker forgets.
    pub async fn sources_go_bad(&self) -> anyhow::Result<()> {
        const FAULT: &str = "bad sources and single processes";
        const ALERTS: &[Expected] = &[
            any("TagfleetDeadLetters"),
            of("TagfleetDefaultsHigh", "namespace", "fleet"),
            any("TagfleetSkipsHigh"),
            any("TagfleetCacheCollapsed"),
            of("TagfleetWrongProvider", "pool", "gpu"),
            of("TagfleetRestartLoop", "pod", "scheduler-2"),
            of("TagfleetConsumersGone", "lane", "bulk"),
            of("TagfleetDiskFull", "persistentvolumeclaim", "broker"),
            of("TagfleetCertificateEnds", "name", "broker"),
        ];
        self.watch.begins(FAULT, ALERTS).await;
        self.gate.pause(true);
        faults::cluster(&self.arena, 0.05, now() + 86_400.0);
        pictures::publish_bytes(&self.arena, "malformed", b"{}".to_vec()).await?;
        self.spare.start().await?;
        faults::forget_consumer(&self.arena, "chaos.jobs.bulk").await?;
        let troubled = |id: &str| pictures::troubled(&self.arena, id, 30);
        tokio::select! {
            fired = self.watch.fire(FAULT, ALERTS) => fired?,
            ended = self.gate.keep_publishing("troubled", troubled) => ended?,
            ended = self.a_scheduler_dies_again_and_again() => ended?,
        }
        self.status_tells(&["TagfleetDeadLetters", "TagfleetWrongProvider", "TagfleetConsumersGone"]).await?;
        faults::cluster(&self.arena, 0.5, now() + 1e7);
        faults::purge(&self.arena, "chaos.dead").await?;
        for scheduler in faults::members(&self.arena, false) {
            // It may have been between its death and its start.
            scheduler.start().await?;
        }
        self.gate.pause(false);
        self.spare.stop().await?;
        // Whoever was forgotten begins anew; the others work meanwhile.
        for worker in faults::members(&self.arena, true) {
            worker.stop().await?;
            worker.start().await?;
            worker.until_ready().await?;
        }
        self.watch.ends(FAULT).await
    }

    /// The last scheduler dies as soon as Prometheus has seen that it lives. Never ends.
    async fn a_scheduler_dies_again_and_again(&self) -> anyhow::Result<()> {
        let last = faults::members(&self.arena, false).last().context("no schedulers")?;
        let started = format!("process_start_time_seconds{{pod=\"{}\"}}", last.name);
        loop {
            let before = self.watch.prometheus().value(&started).await?;
            // A process tells the second of its start: one that starts in the same second as the one before it
            // would be taken for that one, for ever.
            tokio::time::sleep(Duration::from_secs(1)).await;
            last.kill().await?;
            last.start().await?;
            last.until_ready().await?;
            self.until(&format!("{started} != {before}")).await?;
        }
    }

    /// One worker has another model set, which fails on red pictures.
    pub async fn models_go_bad(&self) -> anyhow::Result<()> {
        const FAULT: &str = "another model set in one worker, which fails";
        const ALERTS: &[Expected] =
            &[any("TagfleetModelsFail"), of("TagfleetModelSetsDiffer", "pool", "cpu")];
        // Pictures on which models fail have the defaults; and a new set begins with an empty cache.
        const MAY: &[Expected] = &[any("TagfleetDefaultsHigh"), any("TagfleetCacheCollapsed")];
        let last = faults::members(&self.arena, true).last().context("no workers")?;
        self.watch.begins(FAULT, &[ALERTS, MAY].concat()).await;
        faults::spoil(&self.models)?;
        last.post("/models/reload").await?;
        tokio::select! {
            fired = self.watch.fire(FAULT, ALERTS) => fired?,
            ended = self.gate.keep_publishing("red", |id| pictures::red(&self.arena, id, 60)) => ended?,
        }
        self.status_tells(&["TagfleetModelSetsDiffer"]).await?;
        faults::copy_of_the_set(Path::new(FOLDER))?;
        last.post("/models/reload").await?;
        self.watch.ends(FAULT).await
    }
}
