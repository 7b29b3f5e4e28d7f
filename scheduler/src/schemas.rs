//! The JSON Schemas of all events, made from their types.

use std::path::Path;

use anyhow::Context;
use schemars::schema_for;
use tagfleet_shared::events::{ImageChanged, ImageTagged, ScrapeFinished, ScrapeTagged, TagFixed};

/// File names and their contents.
fn all() -> anyhow::Result<[(&'static str, String); 5]> {
    let text = |schema| anyhow::Ok(format!("{}\n", serde_json::to_string_pretty(&schema)?));
    Ok([
        ("image.changed.v1.json", text(schema_for!(ImageChanged))?),
        ("image.tagged.v1.json", text(schema_for!(ImageTagged))?),
        ("scrape.finished.v1.json", text(schema_for!(ScrapeFinished))?),
        ("scrape.tagged.v1.json", text(schema_for!(ScrapeTagged))?),
        ("tag.fixed.v1.json", text(schema_for!(TagFixed))?),
    ])
}

/// Writes all of them into `dir`.
///
/// # Errors
///
/// If a file cannot be written.
pub fn write(dir: &Path) -> anyhow::Result<()> {
    for (name, text) in all()? {
        let path = dir.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is published for other teams is what the code reads and writes.
    #[test]
    fn the_committed_schemas_are_those_of_the_types() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas");
        for (name, text) in all().unwrap() {
            let committed = std::fs::read_to_string(dir.join(name)).unwrap_or_default();
            assert!(
                committed == text,
                "docs/schemas/{name} is not up to date; in the root of the repository run:\n\
                 cargo run -p tagfleet-scheduler -- schemas docs/schemas"
            );
        }
    }
}
