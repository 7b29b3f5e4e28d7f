//! How often one may try.

use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::config::LimitsConfig;
use crate::web::{Kind, Problem};

/// Counts of this process: with several consoles one may try as often at each.
pub struct Limits {
    logins: DefaultKeyedRateLimiter<String>,
    writes: DefaultKeyedRateLimiter<String>,
}

impl Limits {
    /// As often as `config` says.
    pub fn new(config: &LimitsConfig) -> Self {
        let limiter = |a_minute: NonZeroU32| RateLimiter::dashmap(Quota::per_minute(a_minute));
        Self { logins: limiter(config.logins_per_minute), writes: limiter(config.writes_per_minute) }
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

    /// Forgets who has not come for long.
    pub fn forget(&self) {
        for limiter in [&self.logins, &self.writes] {
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
        let limits = Limits::new(&LimitsConfig { logins_per_minute: two, writes_per_minute: two });
        assert!(limits.write("ann").is_ok() && limits.write("ann").is_ok());
        assert_eq!(limits.write("ann").unwrap_err().kind(), Kind::TooMany);
        assert!(limits.write("bob").is_ok() && limits.login("ann").is_ok());
    }
}
