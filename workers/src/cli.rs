//! The command line of `tagfleet-worker`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tagfleet_shared::config::require;
use tagfleet_shared::traces::Traces;
use tagfleet_shared::{shutdown, telemetry};

use crate::app::App;
use crate::config::WorkerConfig;
use crate::decoders::ApartArgs;
use crate::preprocess::PreprocessArgs;
use crate::tag::TagArgs;

/// Takes tagging jobs to their outcome.
#[derive(Debug, Parser)]
#[command(name = "tagfleet-worker", version)]
pub struct Cli {
    /// A TOML file with settings; see `tagfleet-worker config`.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the worker can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Work on jobs until SIGTERM.
    Run,
    /// Show the settings that hold, without passwords.
    Config,
    /// Tag pictures without queue or database: files, folders, URLs, or `-` for NDJSON from stdin.
    Tag(TagArgs),
    /// Write the pixels that the models are shown, for training: files, folders, or `-` for paths from stdin.
    Preprocess(PreprocessArgs),
    /// Decode what a worker sends.
    #[command(hide = true)]
    DecodeApart(ApartArgs),
}

impl Cli {
    /// Does it.
    ///
    /// # Errors
    ///
    /// Whatever kept it from being done, for a person to read.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Run => {
                let config = WorkerConfig::load(self.config)?.config;
                require(&[("broker.url", &config.broker.url), ("database.url", &config.database.url)])?;
                let traces = Traces::start("tagfleet-worker", &config.traces.endpoint)?;
                telemetry::init(&config.log, &traces).context("log.filter")?;
                let stop = shutdown::on_signal()?;
                let app = App::build(config);
                let ran = tokio::select! {
                    app = app => app.context("cannot start the worker")?.run(stop).await,
                    () = stop.cancelled() => Ok(()),
                };
                traces.stop().await;
                ran
            }
            Command::Config => {
                let shown = WorkerConfig::load(self.config)?.shown;
                Ok(std::io::stdout().write_all(shown.as_bytes())?)
            }
            Command::Tag(args) => args.run(self.config).await,
            Command::DecodeApart(args) => tokio::task::block_in_place(|| args.run()),
            Command::Preprocess(args) => tokio::task::block_in_place(|| args.run(self.config)),
        }
    }
}
