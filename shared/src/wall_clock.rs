//! The machine's wall clock, as every part of the fleet reads it.
//!
//! With the cargo feature `failpoints`, and in no other build, a POST to the
//! admin port makes it jump for this process: what a wrong time server does, and
//! what no monotonic clock sees.

/// Back to the machine's.
pub const RIGHT: &str = "/clock/right";
/// An hour ahead of it.
pub const AHEAD: &str = "/clock/ahead";
/// An hour behind it.
pub const BEHIND: &str = "/clock/behind";

#[cfg(not(feature = "failpoints"))]
mod compiled {
    use jiff::Timestamp;

    /// The time of day.
    pub fn now() -> Timestamp {
        Timestamp::now()
    }
}

#[cfg(feature = "failpoints")]
mod compiled {
    use std::sync::atomic::{AtomicI64, Ordering};

    use jiff::{SignedDuration, Timestamp};

    use super::{AHEAD, BEHIND, RIGHT};
    use crate::admin::Action;

    /// How far the clock is ahead of the machine's, in seconds.
    static JUMPED: AtomicI64 = AtomicI64::new(0);

    /// The time of day, as far as this process is concerned.
    pub fn now() -> Timestamp {
        let jumped = SignedDuration::from_secs(JUMPED.load(Ordering::Relaxed));
        let now = Timestamp::now();
        now.checked_add(jumped).unwrap_or(now)
    }

    /// A POST to one of the paths above sets the clock.
    pub fn actions() -> Vec<Action> {
        let action = |(path, seconds)| {
            Action::new(path, move || {
                JUMPED.store(seconds, Ordering::Relaxed);
                std::future::ready(Ok("set".to_owned()))
            })
        };
        [(RIGHT, 0), (AHEAD, 3600), (BEHIND, -3600)].map(action).into()
    }
}

#[cfg(feature = "failpoints")]
pub use compiled::actions;
pub use compiled::now;
