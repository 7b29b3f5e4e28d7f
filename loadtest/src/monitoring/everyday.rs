//! What happens every day: it shows on the dashboards, and nobody is woken.

use std::time::Duration;

use anyhow::Context;
use tagfleet_shared::lane::Lane;

use super::proof::Proof;
use super::{faults, pictures};
use crate::origin::Response;

/// Pictures of the host that asks for patience: more than all workers ask it for at once.
const WAITING: usize = 240;
/// Of these, the first ones, which are answered with 429: some for each worker.
const REFUSED: usize = 9;
/// Pictures of the host that is slow.
const SLOW: usize = 12;

impl Proof {
    /// People correct something, a host asks for patience, a decoder and a worker are killed, known pictures are
    /// looked at again: all of it is counted, and none of it is an alert.
    pub async fn everyday_trouble(&self) -> anyhow::Result<()> {
        self.fixes().await?;
        self.a_host_asks_for_patience().await?;
        self.a_decoder_is_killed().await?;
        self.a_worker_is_killed().await?;
        // worker-1 looks again after seconds: see its settings.
        self.until("sum(tagfleet_worker_revalidated_total)").await
    }

    async fn fixes(&self) -> anyhow::Result<()> {
        const SQL: &str = "
            INSERT INTO fixes (image_id, attribute, value, fixed_by)
            SELECT image_id, 'color', 'red', 'somebody' FROM image_tags LIMIT 5;
            SELECT apply_fixes(image_id) FROM fixes";
        self.gate.until("SELECT count(*) FROM image_tags").await?;
        self.arena.execute(SQL).await
    }

    /// The first pictures are answered with 429; those that wait behind them are put off, without an attempt.
    async fn a_host_asks_for_patience(&self) -> anyhow::Result<()> {
        let body: bytes::Bytes = pictures::plain([90, 160, 60])?.into();
        let images = (0..WAITING).map(|number| {
            let path = format!("/patience-{number}");
            let (headers, times) = (vec![("retry-after", "1".to_owned())], u64::from(number < REFUSED));
            let answer = Response::StatusThenBytes { status: 429, times, headers, body: body.clone() };
            self.other_host.put(&path, Response::After(Duration::from_millis(50), Box::new(answer)));
            pictures::at(self.other_host.url(&path), path)
        });
        pictures::publish(&self.arena, "patience", Lane::Express, images.collect()).await?;
        self.until("sum(tagfleet_worker_jobs_put_off_total)").await?;
        self.gate.until_ended("patience").await
    }

    /// Between two pictures: the next one finds it gone, and gets a fresh one. Not of the worker that is killed
    /// afterwards, with all that it has counted.
    async fn a_decoder_is_killed(&self) -> anyhow::Result<()> {
        let worker = faults::members(&self.arena, true).nth(1).context("no workers")?;
        faults::kill_decoders(worker).await?;
        self.until("sum(tagfleet_worker_decoders_lost_total)").await
    }

    /// In the middle of pictures that come slowly: its jobs come back.
    async fn a_worker_is_killed(&self) -> anyhow::Result<()> {
        let slow = Response::jpeg(pictures::plain([160, 90, 60])?);
        let path = |number: usize| format!("/slow-{number}");
        let images = (0..SLOW).map(|number| {
            let late = Response::After(Duration::from_millis(500), Box::new(slow.clone()));
            self.other_host.put(&path(number), late);
            pictures::at(self.other_host.url(&path(number)), path(number))
        });
        let worker = faults::members(&self.arena, true).next().context("no workers")?;
        pictures::publish(&self.arena, "slow", Lane::Express, images.collect()).await?;
        self.other_host.until_requested(&path(0), 1).await;
        worker.kill().await?;
        worker.start().await?;
        worker.until_ready().await?;
        self.until("sum(tagfleet_worker_jobs_returned_total)").await?;
        self.gate.until_ended("slow").await
    }
}
