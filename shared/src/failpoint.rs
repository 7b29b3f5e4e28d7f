//! Places in the fleet where a chaos run kills the process, and a clock that it can set.
//!
//! They are compiled in only with the cargo feature `failpoints`, which no other
//! crate of the workspace enables: `make test` and `make chaos` ask for it on
//! the command line, a release build never does. Without it [`here`] is empty
//! and [`actions`] gives nothing.

use std::fmt;

use crate::admin::Action;

macro_rules! points {
    ($($(#[$doc:meta])* $point:ident = $name:literal,)*) => {
        /// A step after which, or before which, a process may die.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Point {
            $($(#[$doc])* $point,)*
        }

        impl Point {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$point,)*];

            /// As the admin port and the ledger of a chaos run call it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)*
                }
            }
        }

        #[cfg(feature = "failpoints")]
        const PATHS: &[&str] = &[$(concat!("/failpoints/", $name),)*];
    };
}

points! {
    /// Worker: a job has arrived, nothing is done.
    JobReceived = "worker.job_received",
    /// Worker: both tiers of the cache were asked.
    LookedUp = "worker.looked_up",
    /// Worker: it is the picture's turn at its host.
    TurnTaken = "worker.turn_taken",
    /// Worker: the bytes are there.
    Downloaded = "worker.downloaded",
    /// Worker: the bytes are not known under another key.
    Unmatched = "worker.unmatched",
    /// Worker: the pixels are there.
    Decoded = "worker.decoded",
    /// Worker: the models have answered.
    Inferred = "worker.inferred",
    /// Worker: the outcome is known, and nowhere else.
    Ended = "worker.ended",
    /// Worker: a batch of outcomes is about to be written.
    Recording = "worker.recording",
    /// Worker: the batch is committed, and nobody was told.
    Recorded = "worker.recorded",
    /// Worker: a copy of the job is confirmed in a retry or dead-letter queue, the job is not acknowledged.
    MovedAway = "worker.moved_away",
    /// Worker: the outcome is in the database, the job is not acknowledged.
    Acknowledging = "worker.acknowledging",
    /// Scheduler: an event has arrived, nothing is done.
    EventReceived = "scheduler.event_received",
    /// Scheduler: the lock of the scrape is taken.
    Locked = "scheduler.locked",
    /// Scheduler: the scrape is in its table.
    Accepted = "scheduler.accepted",
    /// Scheduler: a page of images is in its table, no job of it is published.
    PageListed = "scheduler.page_listed",
    /// Scheduler: the jobs of a page are about to go to the broker.
    PagePublishing = "scheduler.page_publishing",
    /// Scheduler: the jobs of a page are confirmed, and that is noted nowhere.
    PagePublished = "scheduler.page_published",
    /// Scheduler: all jobs are confirmed, the scrape is still being fanned out.
    AllPublished = "scheduler.all_published",
    /// Scheduler: the scrape is fanned out, its event is not acknowledged.
    FannedOut = "scheduler.fanned_out",
    /// Scheduler: scrapes are marked as tagged, and not announced.
    MarkedTagged = "scheduler.marked_tagged",
    /// Scheduler: announcements are confirmed, and that is noted nowhere.
    Announced = "scheduler.announced",
    /// Scheduler: changes of pictures have arrived, and are noted nowhere.
    ChangesReceived = "scheduler.changes_received",
    /// Scheduler: changes are noted, their events are not acknowledged.
    ChangesNoted = "scheduler.changes_noted",
    /// Scheduler: a micro-scrape is in its table, no job of it is published.
    ChangesListed = "scheduler.changes_listed",
    /// Scheduler: the jobs of a micro-scrape are confirmed, and that is noted nowhere.
    ChangesPublished = "scheduler.changes_published",
    /// Scheduler: pictures that changed are announced, and that is noted nowhere.
    ChangesAnnounced = "scheduler.changes_announced",
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(not(feature = "failpoints"))]
mod compiled {
    use super::{Action, Point};

    /// Nothing: this build has no failpoints.
    #[inline(always)]
    pub const fn here(_: Point) {}

    /// None: this build has no failpoints.
    pub const fn actions() -> Vec<Action> {
        Vec::new()
    }
}

#[cfg(feature = "failpoints")]
mod compiled {
    use std::sync::atomic::{AtomicU32, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    use super::{Action, PATHS, Point};
    use crate::wall_clock;

    /// A bit for each point.
    static ARMED: AtomicU32 = AtomicU32::new(0);

    /// Ends the process, as `kill -9` does, if this point is armed.
    #[inline]
    pub fn here(point: Point) {
        if ARMED.load(Ordering::Relaxed) & (1 << point as u32) != 0 {
            let _ = kill_process(getpid(), Signal::Kill);
        }
    }

    /// A POST to `/failpoints/NAME` of the admin port arms the point of this name;
    /// others [set the clock](wall_clock).
    pub fn actions() -> Vec<Action> {
        let points = Point::ALL.iter().zip(PATHS);
        let action = |(&point, &path): (&Point, &&'static str)| {
            Action::new(path, move || {
                ARMED.fetch_or(1 << point as u32, Ordering::Relaxed);
                std::future::ready(Ok("armed".to_owned()))
            })
        };
        points.map(action).chain(wall_clock::actions()).collect()
    }
}

pub use compiled::{actions, here};
