//! Every SQL statement of the scheduler, each in the function that it serves.

mod accept;
mod changes;
mod earlier_scrape;
mod leave;
mod list;
mod progress;
mod recent;
mod retention;
mod stalled;
mod standing;
mod supersede;
mod workers;

use deadpool_postgres::ClientWrapper;
use jiff::civil::Date;
use tagfleet_shared::broker::{Outgoing, Topology};
use tagfleet_shared::events::Change;
use tagfleet_shared::ids::{AdvertiserId, ImageId, ScrapeId};
use tagfleet_shared::jobs::{Job, TagImage, Trust};
use tagfleet_shared::lane::Lane;
use tokio_postgres::Row;

use crate::sampling::JobTraces;

pub use accept::{Accepted, accept};
pub use changes::{
    Gathered, TOLD_AT_ONCE, Tagged, Told, gather, mark_published, mark_told, note, unpublished, untold,
};
pub use earlier_scrape::{Source, listed_images, source};
pub use leave::{mark_fanned_out, refuse};
pub use list::{Listed, OpenImage, list, open_images};
pub use progress::{Announcement, Tick, fold, look, mark_announced, mark_tagged, unannounced};
pub use recent::{Recent, Window, recent};
pub use retention::{
    Kept, drop_old_partitions, ensure_partitions, forget_old_changes, forget_old_failures, kept_for,
};
pub use stalled::{claim_abandoned, claim_stalled, pending_fixes};
pub use standing::{News, Standing, Upkeep, announced_images, standing, upkeep};
pub use supersede::skip_open_images;
pub use workers::{Worker, forget_old_reports, workers};

/// A connection, inside or outside a [`crate::lock::ScrapeLock`].
pub type Client = ClientWrapper;

/// One scrape that the scheduler works on.
#[derive(Clone, Debug)]
pub struct Scrape {
    /// Our own short name of it.
    pub key: i64,
    /// The pipeline's name of it.
    pub scrape_id: ScrapeId,
    /// Whose inventory it is.
    pub advertiser_id: AdvertiserId,
    /// The partition of its images.
    pub day: Date,
    /// The lane of its last jobs.
    pub lane: Lane,
    /// Images in `scrape_images`: those before this `seq`.
    pub listed: i32,
    /// Images whose job is confirmed, or that need none: those before this `seq`.
    pub published: i32,
    /// Whether a newer scrape of the advertiser has overtaken it.
    pub superseded: bool,
}

/// The columns that [`Scrape`] is made of.
const SCRAPE: &str =
    "key, scrape_id, advertiser_id, day, lane, listed, published, superseded_by IS NOT NULL AS superseded";

impl Scrape {
    fn from_row(row: &Row) -> Self {
        Self {
            key: row.get("key"),
            scrape_id: ScrapeId(row.get("scrape_id")),
            advertiser_id: AdvertiserId(row.get("advertiser_id")),
            day: row.get("day"),
            lane: Lane::of_word(row.get("lane")),
            listed: row.get("listed"),
            published: row.get("published"),
            superseded: row.get("superseded"),
        }
    }

    /// The job of one of its images.
    pub fn job(
        &self,
        topology: &Topology,
        traces: Option<&JobTraces>,
        (seq, image, url): (i32, ImageId, &str),
        trust: Trust,
    ) -> Outgoing {
        let job = Job::TagImageV1(TagImage {
            day: self.day,
            scrape: self.key,
            seq,
            scrape_id: self.scrape_id.clone(),
            image,
            url: url.to_owned(),
        });
        let body = serde_json::to_vec(&job).expect("a job is text and numbers");
        let traced = traces.and_then(|traces| traces.header(seq));
        Outgoing::job(topology, self.lane, body).trusting(trust).traced(traced)
    }

    /// The job of one of its images that are listed.
    pub fn open_job(&self, topology: &Topology, traces: Option<&JobTraces>, open: &OpenImage) -> Outgoing {
        self.job(topology, traces, (open.seq, open.image, &open.url), open.trust)
    }
}

/// The change of this word.
fn change(word: &str) -> Change {
    // A word of a later version: the one that is never wrong, whatever it costs.
    Change::ALL.into_iter().find(|change| change.as_str() == word).unwrap_or(Change::Replaced)
}
