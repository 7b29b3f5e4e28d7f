//! Why a fan-out ended early, by what happens next.

use std::fmt;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tagfleet_shared::db::DbError;
use tagfleet_shared::events::Malformed;
use tagfleet_shared::ids::{AdvertiserId, ScrapeId};

use crate::hold::Stopped;
use crate::manifest::Unavailable;

/// Why a fan-out ended before all jobs were published.
#[derive(Debug)]
pub enum Halt {
    /// The scheduler is stopping: the event goes back to the queue.
    Stopped,
    /// The database is unwell: the event is held and tried again.
    Outage(DbError),
    /// The event cannot be carried out: it goes to a person.
    Refused(Refusal),
}

/// Why an event is dead-lettered.
#[derive(Debug)]
pub struct Refusal {
    /// Short, stable word: a header of the dead letter, so never rename one.
    pub reason: &'static str,
    /// What is wrong, with the field's name.
    pub problem: String,
}

impl Refusal {
    /// It is not what the contract says.
    pub fn malformed(error: Malformed) -> Self {
        Self { reason: "malformed_event", problem: error.to_string() }
    }

    /// The scrape `source`, whose images are to be tagged again, cannot be read.
    pub fn no_inventory(source: &ScrapeId, why: &str) -> Self {
        let problem = format!("images_of: scrape {source} {why}");
        Self { reason: "inventory_unavailable", problem }
    }

    /// It would change another advertiser's scrape.
    pub fn taken(other: &AdvertiserId) -> Self {
        let problem = format!("scrape_id: already the name of a scrape of advertiser {other}");
        Self { reason: "scrape_id_taken", problem }
    }

    /// No row can hold it.
    pub fn of_database(error: &DbError) -> Self {
        Self { reason: "refused_by_database", problem: error.to_string() }
    }

    /// It met a mistake in the scheduler. Its neighbours are unharmed.
    pub fn panic() -> Self {
        Self { reason: "panicked", problem: "the scheduler panicked; see its log".to_owned() }
    }
}

/// Takes a step.
///
/// # Errors
///
/// If it panics.
pub async fn unpanicked<T>(step: impl Future<Output = T>) -> Result<T, Refusal> {
    AssertUnwindSafe(step).catch_unwind().await.map_err(|_| Refusal::panic())
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl From<DbError> for Halt {
    fn from(error: DbError) -> Self {
        if error.is_about_data() {
            return Refusal::of_database(&error).into();
        }
        Self::Outage(error)
    }
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Unavailable> for Halt {
    fn from(error: Unavailable) -> Self {
        Refusal { reason: "manifest_unavailable", problem: error.to_string() }.into()
    }
}

impl From<Stopped> for Halt {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_step_that_panics_is_refused_and_any_other_gives_what_it_gives() {
        assert_eq!(unpanicked(async { 1 }).await.unwrap(), 1);
        assert_eq!(
            unpanicked(async { panic!("in a step") }).await.map(|()| 0).unwrap_err().reason,
            "panicked"
        );
    }
}
