//! `tagfleet-worker tag`: the same pipeline on files, folders and URLs,
//! without queue or database. The way to try a model on a folder.

mod inputs;
mod output;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use ipnet::IpNet;
use prometheus::Registry;
use tagfleet_shared::config::{LogConfig, LogFormat};
use tagfleet_shared::traces::Traces;
use tagfleet_shared::{telemetry, tls};

use self::inputs::Input;
pub use self::output::Format;
use self::output::{Line, Printer};
use crate::app::build_pipeline;
use crate::config::{TaggingConfig, WorkerConfig};
use crate::metrics::Metrics;
use crate::outcome::{Outcome, Unfinished};
use crate::pipeline::{Pipeline, Wanted};
use crate::retries::Retries;
use crate::sets::{SetAtWork, SetLoader};

/// Delays between the attempts at a server that is unwell. Short, because a
/// person is waiting.
const RETRY_DELAYS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// The longest that a person waits because a server asked for it. It is not asked
/// before that: who is to wait for longer goes without.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What to tag, and how.
#[derive(Debug, Args)]
pub struct TagArgs {
    /// Files, folders, URLs, or `-`: NDJSON from stdin, one `{"url": …}`, path or URL a line.
    #[arg(required = true, value_name = "PATH|URL|-")]
    inputs: Vec<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// Print embeddings as well, with `--format json`; a set that names none is refused.
    #[arg(long)]
    embeddings: bool,
    /// The model set: a folder with manifest.toml.
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Where to run the models: auto, cpu, or cuda:N.
    #[arg(long)]
    device: Option<String>,
    /// A network that URLs may lead into although it is not public.
    #[arg(long = "allow-network", value_name = "CIDR")]
    allow_networks: Vec<IpNet>,
}

impl TagArgs {
    /// Tags every input; one bad input never ends the run.
    ///
    /// # Errors
    ///
    /// If the models cannot be loaded, or stdout is closed.
    pub async fn run(self, file: Option<PathBuf>) -> anyhow::Result<()> {
        tls::install();
        let config = self.settings(TaggingConfig::load(file)?.config.0)?;
        let log = LogConfig { filter: "error".into(), format: LogFormat::Text };
        telemetry::init(&log, &Traces::off())?;
        let metrics = Metrics::register(&Registry::new())?;
        let loader = SetLoader::open(&config, &metrics)?;
        let pipeline = build_pipeline(&config, loader.start(loader.load()?, 0, None)?, metrics)?;
        let set = pipeline.sets.now();

        let (inputs, total) = inputs::read(&self.inputs);
        let bar = progress_bar(total);
        let mut printer = Printer::new(self.format);
        let lines = inputs.map(|input| line(&pipeline, &set, input));
        let mut lines = lines.buffer_unordered(usize::from(config.work.prefetch));
        while let Some(line) = lines.next().await {
            bar.inc(1);
            if !bar.suspend(|| printer.print(&line))? {
                // The reader has seen enough: `tagfleet-worker tag … | head`.
                break;
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn settings(&self, mut config: WorkerConfig) -> anyhow::Result<WorkerConfig> {
        if let Some(dir) = &self.models {
            config.models.dir.clone_from(dir);
        }
        if let Some(device) = &self.device {
            config.runtime.device = device.parse().context("--device")?;
        }
        // Nothing is stored here, whatever the settings say.
        config.models.store_embeddings = self.embeddings;
        config.download.allow_networks.extend(&self.allow_networks);
        Ok(config)
    }
}

/// Takes one input to its end.
async fn line(pipeline: &Pipeline, set: &SetAtWork, input: Input) -> Line {
    match input {
        Input::Image { name, wanted } => {
            let outcome = end(pipeline, set, &wanted).await;
            Line::of(name, &outcome, &set.defaults)
        }
        Input::Malformed { name, error } => {
            tracing::error!("{name}: {error}");
            Line::malformed(name)
        }
    }
}

async fn end(pipeline: &Pipeline, set: &SetAtWork, wanted: &Wanted) -> Outcome {
    let retries = Retries::new(RETRY_DELAYS.to_vec());
    let (mut attempt, mut put_off) = (0, None::<Instant>);
    loop {
        let end = match pipeline.run(set, wanted).await {
            Ok(end) => end,
            // The models are sick. The fleet would wait for better ones; a person has to see it.
            Err(outage) => {
                tracing::error!("{outage}");
                return Outcome::parked("inference");
            }
        };
        match end {
            Ok(outcome) => return outcome,
            Err(Unfinished::Later(transient)) => {
                let ago = put_off.map(|since| since.elapsed());
                let again = retries.after(attempt, ago, &transient);
                let Some(again) = again.filter(|again| again.wait() <= LONGEST_WAIT) else {
                    return Outcome::given_up(&transient);
                };
                if again.attempt == attempt {
                    put_off.get_or_insert_with(Instant::now);
                }
                attempt = again.attempt;
                tokio::time::sleep(again.wait()).await;
            }
            Err(Unfinished::Poison(poison)) => return Outcome::parked(poison.reason()),
            Err(Unfinished::Suspected) => return Outcome::parked("killed_worker"),
        }
    }
}

fn progress_bar(total: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{bar:30} {pos}/{len} {per_sec} {eta}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    match total {
        Some(total) => ProgressBar::new(total).with_style(style),
        None => ProgressBar::new_spinner(),
    }
}
