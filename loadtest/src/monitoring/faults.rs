//! What is done to the fleet so that an alert fires, and how it is undone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::bench::process::{Setting, setting};
use crate::chaos::arena::Arena;
use crate::chaos::fleet::Member;
use crate::chaos::proxy::Mode;
use crate::origin::Response;
use crate::private::repository;
use crate::usage;

/// Later than this after its event an image is late: `announce.in_time`, in seconds.
const IN_TIME: u32 = 40;

/// Gives 1 as soon as every image that waits is late.
pub fn all_are_late() -> String {
    format!(
        "SELECT (count(*) = 0)::int::int8 FROM scrapes
          WHERE state IN ('fanning_out', 'tagging') AND received_at > now() - interval '{IN_TIME} seconds'"
    )
}

/// Settings of the fleet of this proof, beside those of a chaos run: what takes minutes takes seconds.
pub fn settings(name: &str, models: &Path) -> Vec<Setting> {
    let mut settings = Vec::new();
    if name.starts_with("scheduler") {
        settings.extend([
            setting("sweep.after", "45s"),
            setting("announce.in_time", &format!("{IN_TIME}s")),
            setting("alerts.stuck_after", "15s"),
        ]);
    } else {
        settings.push(setting("report.every", "1s"));
        // As their targets are labelled.
        settings.push(setting("report.pool", if name == "worker-4" { "gpu" } else { "cpu" }));
    }
    if name == "worker-1" {
        settings.push(setting("cache.revalidate_after", "5s"));
    }
    if name == "worker-2" {
        // The one that waits for connections when the database is slow.
        settings.push(setting("database.pool_size", "2"));
        settings.push(setting("database.statement_timeout", "60s"));
    }
    if name == "worker-3" {
        settings.push(setting("models.dir", &models.display().to_string()));
    }
    settings
}

/// Whether this is a worker.
fn is_worker(member: &Member) -> bool {
    member.name.starts_with("worker")
}

/// All workers, or all schedulers.
pub fn members(arena: &Arena, workers: bool) -> impl Iterator<Item = &Member> {
    arena.fleet.members.iter().filter(move |member| is_worker(member) == workers)
}

/// The way of everybody to the database.
pub fn database(arena: &Arena, mode: Mode) {
    arena.fleet.members.iter().for_each(|member| member.to_database.set(mode));
}

/// The way of everybody to the broker.
pub fn broker(arena: &Arena, mode: Mode) {
    arena.fleet.members.iter().for_each(|member| member.to_broker.set(mode));
}

/// Kills the processes that decode for this worker, as soon as there are any.
pub async fn kill_decoders(worker: &Member) -> anyhow::Result<()> {
    let own = worker.id().await.context("the worker does not run")?.to_string();
    let mut decoders = usage::children(&own)?;
    while decoders.is_empty() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        decoders = usage::children(&own)?;
    }
    for decoder in decoders {
        Command::new("kill").args(["-9", &decoder.to_string()]).status().await?;
    }
    Ok(())
}

/// The broker is short of memory, or not.
pub async fn memory_alarm(arena: &Arena, on: bool) -> anyhow::Result<()> {
    let watermark = if on { "0.0001" } else { "0.3" };
    arena.servers.run(&["rabbitmqctl", "set_vm_memory_high_watermark", watermark]).await.map(drop)
}

/// The broker forgets one consumer of a queue, and tells nobody.
pub async fn forget_consumer(arena: &Arena, queue: &str) -> anyhow::Result<()> {
    let forget = format!(
        "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)),
         [Consumer | _] = rabbit_amqqueue:consumers(Q),
         Cancel = rabbit_fifo:make_checkout({{element(2, Consumer), element(1, Consumer)}}, cancel, #{{}}),
         ra:process_command(amqqueue:get_pid(Q), Cancel)."
    );
    arena.erlang(&forget).await.map(drop)
}

/// Jobs get lost: whatever is ready in a queue.
pub async fn purge(arena: &Arena, queue: &str) -> anyhow::Result<()> {
    arena.servers.run(&["rabbitmqctl", "purge_queue", queue]).await.map(drop)
}

/// A set that fails on red pictures: the second stage says what is not a number.
const SPOILED: &str = r#"
name = "spoiled"

[[stages]]
name = "channel"
file = "any_size.onnx"
sha256 = "SHA256(any_size.onnx)"
input = { name = "images", height = 8, width = 8 }

[[stages.attributes]]
name = "channel"
output = "channel"
classes = ["red", "green", "blue"]
default = "green"
min_score = 0.6

[[stages]]
name = "broken"
file = "second.onnx"
sha256 = "SHA256(second.onnx)"
input = { name = "images", height = 4, width = 4 }

[[stages.attributes]]
name = "broken"
output = "broken"
classes = ["one", "two"]
applies_when = { channel = ["red"] }
"#;

/// A folder with a copy of the default set.
pub fn copy_of_the_set(folder: &Path) -> anyhow::Result<PathBuf> {
    let models = folder.join("models");
    copy(&repository().join("models/default"), &models)?;
    Ok(models.canonicalize()?)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let (entry, to) = (entry?.path(), to.to_owned());
        let to = to.join(entry.file_name().unwrap_or_default());
        if entry.is_dir() { copy(&entry, &to)? } else { std::fs::copy(&entry, &to).map(drop)? }
    }
    Ok(())
}

/// Puts the set that fails in place of the one in the folder.
pub fn spoil(models: &Path) -> anyhow::Result<()> {
    let mut manifest = SPOILED.to_owned();
    for file in ["any_size.onnx", "second.onnx"] {
        let model = std::fs::read(repository().join("workers/src/model/testdata").join(file))?;
        let hash: String = Sha256::digest(&model).iter().map(|byte| format!("{byte:02x}")).collect();
        manifest = manifest.replace(&format!("SHA256({file})"), &hash);
        std::fs::write(models.join(file), model)?;
    }
    Ok(std::fs::write(models.join("manifest.toml"), manifest)?)
}

/// What the kubelet and cert-manager of a cluster would tell: there is none here. Of all that is proved this
/// alone is a stand-in.
pub fn cluster(arena: &Arena, disk_left: f64, certificate_ends: f64) {
    let text = format!(
        "kubelet_volume_stats_available_bytes{{persistentvolumeclaim=\"broker\"}} {}
kubelet_volume_stats_capacity_bytes{{persistentvolumeclaim=\"broker\"}} 100
certmanager_certificate_expiration_timestamp_seconds{{name=\"broker\"}} {certificate_ends}
",
        100.0 * disk_left
    );
    let content_type = "text/plain; version=0.0.4";
    arena.origin.put("/metrics", Response::Bytes { content_type, body: text.into() });
}
