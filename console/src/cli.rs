//! The command line of `tagfleet-console`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tagfleet_shared::config::require;
use tagfleet_shared::traces::Traces;
use tagfleet_shared::{shutdown, telemetry};

use crate::app::App;
use crate::config::ConsoleConfig;
use crate::state::Console;
use crate::tokens::TokenCommand;

/// Lets people see and correct tags: an HTTP API and pages.
#[derive(Debug, Parser)]
#[command(name = "tagfleet-console", version)]
pub struct Cli {
    /// A TOML file with settings; see `tagfleet-console config`.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the console can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer requests until SIGTERM.
    Run {
        /// Everybody who reaches the port may do everything, without a login: for a try-out
        /// on this machine. Refused unless http.listen is a loopback address.
        #[arg(long)]
        dev_insecure: bool,
    },
    /// Make, list and revoke API tokens.
    Token {
        /// What to do.
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Show the settings that hold, without passwords.
    Config,
    /// Write the OpenAPI document.
    #[command(hide = true)]
    Openapi {
        /// Where to, e.g. `docs/openapi.json`.
        file: PathBuf,
    },
}

impl Cli {
    /// Does it.
    ///
    /// # Errors
    ///
    /// Whatever kept it from being done, for a person to read.
    pub async fn run(self) -> anyhow::Result<()> {
        if let Command::Openapi { file } = &self.command {
            let text = crate::api::document::text(&Console::unconnected()?);
            return std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()));
        }
        let loaded = ConsoleConfig::load(self.config)?;
        let config = loaded.config;
        telemetry::init(&config.log, &Traces::off()).context("log.filter")?;
        let (broker, database) = (("broker.url", &config.broker.url), ("database.url", &config.database.url));
        match self.command {
            Command::Run { dev_insecure } => {
                require(&[broker, database])?;
                let stop = shutdown::on_signal()?;
                let app = App::build(config, dev_insecure);
                tokio::select! {
                    app = app => app.context("cannot start the console")?.run(stop).await,
                    () = stop.cancelled() => Ok(()),
                }
            }
            Command::Token { command } => {
                require(&[database])?;
                command.run(&config).await
            }
            Command::Openapi { .. } => Ok(()),
            Command::Config => Ok(std::io::stdout().write_all(loaded.shown.as_bytes())?),
        }
    }
}
