//! How often one may try.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::config::LimitsConfig;
use crate::web::{Kind, Problem};

/// Counts of this process: with several consoles one may try as often at each.
pub struct Limits {
    logins: DefaultKeyedRateLimiter<String>,
    writes: DefaultKeyedRateLimiter<String>,
    refusals: DefaultKeyedRateLimiter<String>,
    /// Refusals that stand in no line of the audit yet.
    unnoted: AtomicU64,
}

impl Limits {
    /// As often as `config` says.
    pub fn new(config: &LimitsConfig) -> Self {
        let limiter = |a_minute: NonZeroU32| RateLimiter::dashmap(Quota::per_minute(a_minute));
        Self {
            logins: limiter(config.logins_per_minute),
            writes: limiter(config.writes_per_minute),
            refusals: limiter(config.refusals_per_minute),
            unnoted: AtomicU64::default(),
        }
    }

    /// Counts a login from `address`.
    ///
    /// # Errors
    ///
    /// If there were too many of late.
    pub fn login(&self, address: &str) -> Result<(), Problem> {
        count(&self.logins, address, "logins from this address")
    }

    /// Counts a write of `who`.
    ///
    /// # Errors
    ///
    /// If there were too many of late.
    pub fn write(&self, who: &str) -> Result<(), Problem> {
        count(&self.writes, who, "writes of this person or token")
    }

    /// Counts a refusal of a stranger from `address`, who has neither login nor token.
    ///
    /// # Errors
    ///
    /// If there were too many of late: this one is only counted, and stands in no line of its own.
    pub fn refusal(&self, address: &str) -> Result<(), Problem> {
        count(&self.refusals, address, "requests without a login from this address").inspect_err(|_| {
            self.unnoted.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// How many refusals were only counted since somebody asked.
    pub fn unnoted(&self) -> u64 {
        self.unnoted.swap(0, Ordering::Relaxed)
    }

    /// Forgets who has not come for long.
    pub fn forget(&self) {
        for limiter in [&self.logins, &self.writes, &self.refusals] {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

fn count(limiter: &DefaultKeyedRateLimiter<String>, key: &str, what: &str) -> Result<(), Problem> {
    limiter.check_key(&key.to_owned()).map_err(|until| {
        let wait = until.wait_time_from(DefaultClock::default().now());
        Problem::new(Kind::TooMany, format!("too many {what}")).after(wait.as_secs() + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_alone() {
        let two = NonZeroU32::new(2).unwrap();
        let limits = Limits::new(&LimitsConfig {
            logins_per_minute: two,
            writes_per_minute: two,
            refusals_per_minute: two,
        });
        assert!(limits.write("ann").is_ok() && limits.write("ann").is_ok());
        assert_eq!(limits.write("ann").unwrap_err().kind(), Kind::TooMany);
        assert!(limits.write("bob").is_ok() && limits.login("ann").is_ok());
    }
}
