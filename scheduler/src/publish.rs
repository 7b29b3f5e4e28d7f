//! `tagfleet-scheduler publish`: an event from a person's hand.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use tagfleet_shared::broker::{Broker, BrokerConfig, Outgoing, SCRAPE_FINISHED};
use tagfleet_shared::events::ScrapeFinished;
use tagfleet_shared::ids::ScrapeId;
use tracing::warn;

/// Publishes the `scrape.finished` in `file` (`-`: stdin), if it is one.
///
/// # Errors
///
/// If it cannot be read, is malformed (naming the field), or the broker is away.
pub async fn publish(config: &BrokerConfig, file: &Path) -> anyhow::Result<ScrapeId> {
    let body = read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let parsed = ScrapeFinished::parse(&body).with_context(|| file.display().to_string())?;
    if !parsed.unknown_fields.is_empty() {
        let fields = parsed.unknown_fields.join(", ");
        warn!(%fields, "fields that nobody knows, they change nothing: {fields}");
    }
    let scrape_id = parsed.value.scrape_id;
    let broker = Broker::lazy(config, "tagfleet-scheduler publish");
    let event = Outgoing::event(broker.topology(), SCRAPE_FINISHED, scrape_id.to_string(), body);
    broker.publisher().publish(&[event]).await?;
    Ok(scrape_id)
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    if file != Path::new("-") {
        return std::fs::read(file);
    }
    let mut body = Vec::new();
    std::io::stdin().lock().read_to_end(&mut body)?;
    Ok(body)
}
