//! `tagfleet-console token`: API tokens, for programs.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use tagfleet_shared::config::foreign_variable;
use tagfleet_shared::{db, wall_clock};

use crate::auth::{Right, token};
use crate::config::ConsoleConfig;
use crate::store::tokens;

/// What to do with API tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it: nobody can see it again.
    Create(NewToken),
    /// List all tokens, with their rights and when they were last used.
    List,
    /// End a token at once.
    Revoke {
        /// Its name.
        name: String,
    },
}

/// A token that is to be made.
#[derive(Debug, Args)]
pub struct NewToken {
    /// Who has it, for history and audit.
    pub name: String,
    /// What it may do: read, fix, classify, submit, operate; more than once for more.
    #[arg(long = "right", value_name = "RIGHT", required = true)]
    pub rights: Vec<Right>,
    /// When it ends to work, like `90d`; never, if nothing is said.
    #[arg(long, value_name = "DURATION", value_parser = humantime_serde::re::humantime::parse_duration)]
    pub lasts: Option<Duration>,
}

impl TokenCommand {
    /// Does it.
    ///
    /// # Errors
    ///
    /// If the database is away, the name is taken or there is no such token.
    pub async fn run(self, config: &ConsoleConfig) -> anyhow::Result<()> {
        let pool = db::pool(&config.database)?;
        let mut out = std::io::stdout();
        // Whoever runs this has the database's password: what they say of themselves is all there is.
        let by = foreign_variable("SUDO_USER").or_else(|| foreign_variable("USER"));
        match self {
            Self::Create(NewToken { name, rights, lasts }) => {
                anyhow::ensure!(!name.is_empty() && name.len() <= 100, "a name has 1 to 100 bytes");
                let secret = token::generate();
                let words: Vec<_> = rights.iter().map(|right| right.as_str()).collect();
                let ends =
                    lasts.map(|lasts| wall_clock::now().checked_add(lasts).context("--lasts is too long"));
                let (hash, ends) = (token::hash(&secret), ends.transpose()?);
                let made = tokens::create(&pool, &name, &hash, &words, ends, by.as_deref()).await?;
                anyhow::ensure!(made, "there is a token {name} already: revoke it first");
                Ok(writeln!(out, "{secret}")?)
            }
            Self::List => {
                for token in tokens::list(&pool).await? {
                    let time = |at: Option<Timestamp>, none: &str| {
                        at.map_or_else(|| none.to_owned(), |at| at.strftime("%Y-%m-%dT%H:%MZ").to_string())
                    };
                    writeln!(
                        out,
                        "{}  rights: {}  made: {}  ends: {}  last used: {}  revoked: {}",
                        token.name,
                        token.rights.join(","),
                        time(Some(token.created_at), ""),
                        time(token.expires_at, "never"),
                        time(token.last_used_at, "never"),
                        time(token.revoked_at, "no")
                    )?;
                }
                Ok(())
            }
            Self::Revoke { name } => {
                let revoked = tokens::revoke(&pool, &name, by.as_deref()).await?;
                anyhow::ensure!(revoked, "there is no token {name} that works");
                Ok(writeln!(out, "revoked {name}")?)
            }
        }
    }
}
