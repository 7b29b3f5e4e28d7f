//! Which dead letters are meant.

use clap::Args;
use tagfleet_shared::dead;

/// Those that every option is true of.
#[derive(Clone, Debug, Default, Args)]
pub struct FilterArgs {
    /// With this reason; more than once: with one of these.
    #[arg(long = "reason", value_name = "WORD")]
    pub reasons: Vec<String>,
    /// With an id that begins like this; more than once: like one of these.
    #[arg(long = "id", value_name = "ID")]
    pub ids: Vec<String>,
    /// At most so many, the oldest first.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

impl From<FilterArgs> for dead::Filter {
    fn from(FilterArgs { reasons, ids, limit }: FilterArgs) -> Self {
        Self { reasons, ids, limit }
    }
}
