//! The command line of `tagfleet-scheduler`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use secrecy::ExposeSecret;
use tagfleet_shared::config::{require, without_password};
use tagfleet_shared::traces::Traces;
use tagfleet_shared::{db, shutdown, telemetry};

use crate::app::App;
use crate::config::SchedulerConfig;
use crate::dead::DeadCommand;
use crate::status::StatusArgs;
use crate::{publish, schemas};

/// Turns finished scrapes into tagging jobs and announces tagged scrapes.
#[derive(Debug, Parser)]
#[command(name = "tagfleet-scheduler", version)]
pub struct Cli {
    /// A TOML file with settings; see `tagfleet-scheduler config`.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the scheduler can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Work on events until SIGTERM.
    Run,
    /// Bring the database's schema up to date.
    Migrate,
    /// Show the settings that hold, without passwords.
    Config,
    /// Publish a `scrape.finished` event, after checking it; prints its `scrape_id`.
    Publish {
        /// The event as JSON, or `-` for stdin.
        file: PathBuf,
    },
    /// Look at the dead-letter queue, and send back or drop what is in it.
    Dead {
        /// What to do with it.
        #[command(subcommand)]
        command: DeadCommand,
    },
    /// Tell how the fleet is; exit code 1 where an alert would fire, 2 where it cannot be told.
    Status(StatusArgs),
    /// Write the JSON Schemas of all events.
    #[command(hide = true)]
    Schemas {
        /// Where to, e.g. `docs/schemas`.
        dir: PathBuf,
    },
}

impl Cli {
    /// How the process ends where it could not be done: scripts tell by it whether `status` has looked.
    pub fn failure(&self) -> ExitCode {
        match self.command {
            Command::Status(_) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }

    /// Does it.
    ///
    /// # Errors
    ///
    /// Whatever kept it from being done, for a person to read.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        if let Command::Schemas { dir } = &self.command {
            schemas::write(dir)?;
            return Ok(ExitCode::SUCCESS);
        }
        let loaded = SchedulerConfig::load(self.config)?;
        let mut config = loaded.config;
        if matches!(self.command, Command::Status(_)) {
            // What is away is on the page; a log would run through it.
            config.log.filter = "error,lapin=off".into();
        }
        let traces = match self.command {
            Command::Run => Traces::start("tagfleet-scheduler", &config.traces.endpoint)?,
            _ => Traces::off(),
        };
        telemetry::init(&config.log, &traces).context("log.filter")?;
        let (broker, database) = (("broker.url", &config.broker.url), ("database.url", &config.database.url));
        let done = match self.command {
            Command::Run => {
                require(&[broker, database])?;
                let stop = shutdown::on_signal()?;
                let app = App::build(config, traces.clone());
                let ran = tokio::select! {
                    app = app => app.context("cannot start the scheduler")?.run(stop).await,
                    () = stop.cancelled() => Ok(()),
                };
                traces.stop().await;
                ran
            }
            Command::Migrate => {
                require(&[database])?;
                let url = without_password(config.database.url.expose_secret());
                db::migrate(&db::pool(&config.database)?).await.with_context(|| format!("database.url {url}"))
            }
            Command::Config => Ok(std::io::stdout().write_all(loaded.shown.as_bytes())?),
            Command::Publish { file } => {
                require(&[broker])?;
                let scrape_id = publish::publish(&config.broker, &file).await?;
                Ok(writeln!(std::io::stdout(), "{scrape_id}")?)
            }
            Command::Dead { command } => {
                require(&[broker])?;
                if command.needs_database() {
                    require(&[database])?;
                }
                command.run(&config).await
            }
            Command::Status(args) => {
                require(&[broker, database])?;
                let well = args.run(&config).await?;
                return Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            Command::Schemas { .. } => Ok(()),
        };
        done.map(|()| ExitCode::SUCCESS)
    }
}
