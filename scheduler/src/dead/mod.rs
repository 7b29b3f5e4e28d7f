//! `tagfleet-scheduler dead`: what a person does with the dead-letter queue.
//!
//! - `list` groups the dead letters by reason, and takes none of them.
//! - `show` prints some of them, with headers and body, and takes none of them.
//! - `redrive` sends some of them back to where they came from, as new: an event to the schedulers, a job
//!   to its lane, with attempts and returns forgotten, and the number of its ways back noted. First the
//!   image of a parked job loses the defaults that it got for it (see `shared/src/reopen.rs`), then the copy is
//!   published and confirmed, and only then is the dead letter taken out of the queue: whoever is killed in
//!   between loses nothing, and what is there twice then is harmless.
//! - `drop` takes some of them out of the queue, for good. An image keeps the defaults that it got.
//!
//! All of them see what was in the queue when they began, in its order, and while they look nobody else
//! sees it: of two at a time, the second sees none, and says so. Where there are more than a hundred thousand
//! (fewer of large ones) they say how many they have not seen.

mod filter;
mod list;
mod show;

use std::io::Write;

use clap::Subcommand;
use tagfleet_shared::broker::Broker;
use tagfleet_shared::dead;

use self::filter::FilterArgs;
use crate::config::SchedulerConfig;

pub use tagfleet_shared::dead::{Redriven, redrive};

/// What to do with the dead-letter queue.
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// Count the dead letters by reason, kind and lane; the queue stays as it is.
    List,
    /// Print dead letters with headers and body; the queue stays as it is.
    Show {
        /// Which ones.
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// Send dead letters back to where they came from, as if they were new.
    Redrive {
        /// Which ones: all, if nothing is said.
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// Take dead letters out of the queue, for good.
    Drop {
        /// Which ones: all, if nothing is said.
        #[command(flatten)]
        filter: FilterArgs,
        /// Really.
        #[arg(long)]
        yes: bool,
    },
}

impl DeadCommand {
    /// Whether it writes rows.
    pub fn needs_database(&self) -> bool {
        matches!(self, Self::Redrive { .. })
    }

    /// Does it.
    ///
    /// # Errors
    ///
    /// If a server is away, or stdout is closed. What was done until then stays done.
    pub async fn run(self, config: &SchedulerConfig) -> anyhow::Result<()> {
        let broker = Broker::lazy(&config.broker, "tagfleet-scheduler dead");
        let mut out = std::io::stdout();
        match self {
            Self::List => list::list(&broker, &mut out).await,
            Self::Show { filter } => show::show(&broker, filter.into(), &mut out).await,
            Self::Redrive { filter } => {
                let pool = tagfleet_shared::db::pool(&config.database)?;
                let Redriven { messages, reopened, foreign, unseen } =
                    redrive(&broker, &pool, filter.into()).await?;
                if foreign > 0 {
                    writeln!(out, "{foreign} are not from this fleet, and stay")?;
                }
                list::unseen(unseen, &mut out)?;
                Ok(writeln!(out, "sent back {messages}; {reopened} images have no outcome again")?)
            }
            Self::Drop { yes: false, .. } => {
                anyhow::bail!("this cannot be undone: look at them with `dead show`, then say --yes")
            }
            Self::Drop { filter, yes: true } => {
                let dropped = dead::discard(&broker, filter.into()).await?;
                list::unseen(dropped.unseen, &mut out)?;
                Ok(writeln!(out, "dropped {}", dropped.messages)?)
            }
        }
    }
}
