//! Three models on one picture: one download, one decode, and nothing but the models' own time more.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use tagfleet_worker::config::TaggingConfig;
use tokio::task::block_in_place;
use toml::{Table, Value};

use super::fleet::Fleet;
use super::limits::inference::BareInference;
use super::pictures::Pictures;
use super::process::setting;
use super::results::{Mark, Row};
use super::{Bench, progress};

/// Stages of the set that is made.
const STAGES: usize = 3;

/// The worker's threads that run models: see `workers/src/inference.rs`.
const MODEL_THREADS: &str = "model";

/// A worker with three copies of the default set's stage, under names of their own, against a worker
/// with one; each tags pictures of its own, and what it asks for and decodes is counted.
///
/// Inference is held against its sum without a worker: all cores run the chain of three, and then
/// each stage alone, on the same pictures. In a worker the threads that decode slow down those that
/// run models, and the less so the longer the chain is: its figures stand beside it.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let mut downloads =
        Row::peak(7, "downloads of an image, three stages", "downloads").mark(Mark::AtMost(1.0));
    let mut decodes = Row::peak(7, "decodes of an image, three stages", "decodes").mark(Mark::AtMost(1.0));
    let mut inference =
        Row::new(7, "inference, three stages against their sum", "s/image").mark(Mark::RatioAtMost(1.05));
    let mut at_work = Row::new(7, "the same in a worker, against thrice one", "s/image");
    let mut pictures = block_in_place(|| Pictures::draw((2 * bench.runs + 1) * bench.images))?;
    let (one, three) = (ModelFolder::make(1)?, ModelFolder::make(STAGES)?);
    let (mut single, mut chain) =
        block_in_place(|| anyhow::Ok((BareInference::load(&one.0)?, BareInference::load(&three.0)?)))?;
    let pixels = block_in_place(|| single.decode(&pictures.take(bench.images).files))?;
    let mut fleet = bench.fleet().await?;

    for run in 1..=bench.runs {
        let of_one = tag(&mut fleet, &one, &mut pictures, bench.images).await?;
        let of_three = tag(&mut fleet, &three, &mut pictures, bench.images).await?;
        let (together, sum) = block_in_place(|| {
            let together = chain.run(&pixels)?;
            let sum = (0..STAGES).map(|_| single.run(&pixels)).sum::<anyhow::Result<f64>>()?;
            anyhow::Ok((together, sum))
        })?;
        let Cost { downloads: asked, decodes: decoded, inference: chained } = of_three;
        let thrice = STAGES as f64 * of_one.inference;
        progress(&format!(
            "stages {run}/{}: {asked:.2} downloads, {decoded:.2} decodes; inference {:.2} ms, the stages one by one \
             {:.2} ms; in a worker {:.2} ms, thrice one {:.2} ms",
            bench.runs,
            1e3 * together,
            1e3 * sum,
            1e3 * chained,
            1e3 * thrice
        ));
        downloads.reached(asked);
        decodes.reached(decoded);
        inference.measured(together, sum);
        at_work.measured(chained, thrice);
    }
    fleet.end().await?;
    Ok(vec![downloads, decodes, inference, at_work])
}

/// What an image took.
struct Cost {
    /// Requests to the image host.
    downloads: f64,
    /// Pictures that went through the decoder.
    decodes: f64,
    /// CPU time of the worker's threads that run models, in seconds.
    inference: f64,
}

async fn tag(
    fleet: &mut Fleet,
    set: &ModelFolder,
    pictures: &mut Pictures,
    images: usize,
) -> anyhow::Result<Cost> {
    const DECODED: &str = r#"tagfleet_worker_stage_batch_images_sum{stage="decode"}"#;
    let worker = fleet.start_worker_with(&[setting("models.dir", &set.0.display().to_string())]).await?;
    let (asked, begun) = (pictures.origin().total_requests(), worker.thread_cpu_seconds(MODEL_THREADS)?);
    let scrape = fleet.publish(pictures.list(images)).await?;
    fleet.until_tagged(&scrape, "inferred").await?;
    let each = |total: f64| total / images as f64;
    let cost = Cost {
        downloads: each((pictures.origin().total_requests() - asked) as f64),
        // It is a new process: what it counts is of this scrape.
        decodes: each(worker.metric(DECODED).await?),
        inference: each(worker.thread_cpu_seconds(MODEL_THREADS)? - begun),
    };
    worker.stop().await?;
    Ok(cost)
}

/// A model set with copies of the first stage of the set in use. Gone with the value.
struct ModelFolder(PathBuf);

impl ModelFolder {
    fn make(stages: usize) -> anyhow::Result<Self> {
        let from = TaggingConfig::load(None)?.config.0.models.dir;
        let folder =
            Self(std::env::temp_dir().join(format!("tagfleet-bench-{}-{stages}", std::process::id())));
        fs::create_dir_all(&folder.0)?;
        let text = fs::read_to_string(from.join("manifest.toml"))?;
        let manifest = copies(text.parse()?, stages).context("the manifest of the model set in use")?;
        fs::write(folder.0.join("manifest.toml"), manifest.to_string())?;
        for file in files(&manifest) {
            fs::copy(from.join(file), folder.0.join(file)).with_context(|| file.to_owned())?;
        }
        Ok(folder)
    }
}

impl Drop for ModelFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The set with its first stage so many times. Stages and attributes get a number at the end of their
/// names; what asks for an attribute asks for that of its own stage.
fn copies(manifest: Table, stages: usize) -> Option<Table> {
    let stage = manifest.get("stages")?.as_array()?.first()?.as_table()?;
    let copies = (1..=stages).map(|number| numbered(stage.clone(), number));
    let mut set = Table::new();
    set.insert("name".into(), Value::from(format!("{stages} stages")));
    set.insert("stages".into(), Value::Array(copies.collect::<Option<_>>()?));
    Some(set)
}

fn numbered(mut stage: Table, number: usize) -> Option<Value> {
    let add = |name: &str| format!("{name}_{number}");
    stage.insert("name".into(), add(stage.get("name")?.as_str()?).into());
    stage.remove("runs_when");
    // A set has one at most.
    stage.remove("embedding");
    for attribute in stage.get_mut("attributes")?.as_array_mut()? {
        let attribute = attribute.as_table_mut()?;
        attribute.insert("name".into(), add(attribute.get("name")?.as_str()?).into());
        if let Some(condition) = attribute.get("applies_when") {
            let renamed: Table =
                condition.as_table()?.iter().map(|(name, values)| (add(name), values.clone())).collect();
            attribute.insert("applies_when".into(), renamed.into());
        }
    }
    Some(stage.into())
}

fn files(manifest: &Table) -> impl Iterator<Item = &str> {
    let stages = manifest.get("stages").and_then(Value::as_array).into_iter().flatten();
    stages.take(1).filter_map(|stage| stage.get("file")?.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_ask_for_the_attributes_of_their_own_stage() {
        let manifest = r#"
            name = "set"
            [[stages]]
            name = "vehicle"
            file = "vehicle.onnx"
            embedding = "embedding"
            [[stages.attributes]]
            name = "kind"
            [[stages.attributes]]
            name = "color"
            applies_when = { kind = ["Dealer"] }"#;

        let set = copies(manifest.parse().unwrap(), 2).unwrap();

        let second = &set["stages"][1];
        assert_eq!(second["name"].as_str(), Some("vehicle_2"));
        assert!(second.get("embedding").is_none());
        assert_eq!(second["attributes"][1]["name"].as_str(), Some("color_2"));
        assert_eq!(second["attributes"][1]["applies_when"]["kind_2"][0].as_str(), Some("Dealer"));
        assert_eq!(files(&set).collect::<Vec<_>>(), ["vehicle.onnx"]);
    }
}
