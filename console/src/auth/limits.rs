//! How often one may try.

use std::net::{IpAddr, Ipv6Addr};
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
        count(&self.logins, &network(address), "logins from this address")
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
        self.note(count(&self.refusals, &network(address), "requests without a login from this address"))
    }

    /// Counts a refusal of `who`, who is known here.
    ///
    /// # Errors
    ///
    /// As [`Self::refusal`].
    pub fn refusal_of(&self, who: &str) -> Result<(), Problem> {
        self.note(count(&self.refusals, who, "refused requests of this person or token"))
    }

    fn note(&self, counted: Result<(), Problem>) -> Result<(), Problem> {
        counted.inspect_err(|_| {
            self.unnoted.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// How many refusals are only counted yet.
    pub fn unnoted(&self) -> u64 {
        self.unnoted.load(Ordering::Relaxed)
    }

    /// So many of them stand in the audit now.
    pub fn noted(&self, refusals: u64) {
        self.unnoted.fetch_sub(refusals, Ordering::Relaxed);
    }

    /// Forgets who has not come for long.
    pub fn forget(&self) {
        for limiter in [&self.logins, &self.writes, &self.refusals] {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

/// What is counted as one address: whoever has one of IPv6 has the other 2^64 of its /64 as well.
fn network(address: &str) -> String {
    match address.parse().map(|address: IpAddr| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).to_string() + "/64",
        Ok(address) => address.to_string(),
        Err(_) => address.to_owned(),
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

    #[test]
    fn an_ipv6_address_is_counted_with_its_neighbours() {
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("2001:db8:1:2:ffff::1"), "2001:db8:1:2::/64");
        assert_ne!(network("2001:db8:1:3::1"), "2001:db8:1:2::/64");
        assert_eq!((&*network("192.0.2.7"), &*network("::ffff:192.0.2.7")), ("192.0.2.7", "192.0.2.7"));
        assert_eq!(network("unknown"), "unknown");
    }
}
