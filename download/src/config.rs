//! The settings of the downloader.

use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use url::Host;

use super::health::LONGEST_NAMED;

/// How images are downloaded. The defaults, and what to think of when changing
/// them, are in the worker's `config.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DownloadConfig {
    /// Longest wait for a connection: name look-up, TCP and TLS together.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,

    /// Longest wait for all headers of a response, connecting included. Counts
    /// anew for each redirect.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,

    /// Longest pause between two pieces of the body.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,

    /// Longest time for the whole download, redirects included.
    #[serde(with = "humantime_serde")]
    pub total_timeout: Duration,

    /// A body that comes more slowly than this, five seconds after it began, is given up; 0: none is.
    pub min_bytes_per_second: u64,

    /// Largest body that is kept. A body of exactly this size is.
    pub max_bytes: usize,

    /// Memory of all bodies together, until they are decoded.
    pub max_memory_bytes: usize,

    /// Redirects that are followed before the image is given up.
    pub max_redirects: usize,

    /// Downloads from one host at the same time.
    pub per_host: usize,

    /// Questions to one host per second; 0: no such limit.
    pub per_host_rate: f64,

    /// Longest time for which all pictures of a host wait because the answer for
    /// one of them named a later time (`Retry-After`).
    #[serde(with = "humantime_serde")]
    pub longest_pause: Duration,

    /// The `User-Agent` header; `{version}` stands for the worker's version.
    pub user_agent: String,

    /// Networks that may be connected to although they are not public, such as
    /// an image store inside the cluster.
    pub allow_networks: Vec<IpNet>,

    /// Hosts that are trusted with whatever address their name leads to.
    pub allow_hosts: Vec<String>,
}

impl DownloadConfig {
    /// Everything that is wrong with the values, in words; empty when all is well.
    pub fn problems(&self) -> Vec<String> {
        let durations = [
            ("connect_timeout", self.connect_timeout),
            ("header_timeout", self.header_timeout),
            ("idle_timeout", self.idle_timeout),
            ("total_timeout", self.total_timeout),
            ("longest_pause", self.longest_pause),
        ];
        let mut problems: Vec<String> = durations
            .iter()
            .filter(|(_, duration)| duration.is_zero())
            .map(|(name, _)| format!("download.{name} must be longer than zero"))
            .collect();
        if self.max_bytes == 0 {
            problems.push("download.max_bytes must be greater than zero".into());
        }
        if self.per_host == 0 {
            problems.push("download.per_host must be greater than zero".into());
        }
        let no_host = |host: &&String| Host::parse(host).is_err();
        let no_hosts = self.allow_hosts.iter().filter(no_host);
        problems
            .extend(no_hosts.map(|host| format!("download.allow_hosts: {host:?} is not the name of a host")));
        if self.per_host_rate != 0.0 && !(0.01..=1e6).contains(&self.per_host_rate) {
            problems.push("download.per_host_rate must be 0, or between 0.01 and 1000000".into());
        }
        if self.longest_pause > LONGEST_NAMED {
            problems.push("download.longest_pause must not be longer than a day".into());
        }
        problems
    }

    /// The `User-Agent` header with the version filled in.
    pub(super) fn user_agent(&self) -> String {
        self.user_agent.replace("{version}", env!("CARGO_PKG_VERSION"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"
        connect_timeout = "5s"
        header_timeout = "10s"
        idle_timeout = "500ms"
        total_timeout = "1m"
        min_bytes_per_second = 1024
        max_bytes = 1000
        max_memory_bytes = 134217728
        max_redirects = 5
        per_host = 32
        per_host_rate = 0.5
        longest_pause = "1h"
        user_agent = "tagfleet/{version}"
        allow_networks = ["10.0.0.0/8", "fd00::/8"]
        allow_hosts = ["images.internal"]
    "#;

    #[test]
    fn durations_and_networks_are_written_as_people_write_them() {
        let config: DownloadConfig = toml::from_str(FULL).unwrap();

        assert_eq!(config.idle_timeout, Duration::from_millis(500));
        assert_eq!(config.total_timeout, Duration::from_secs(60));
        assert_eq!(config.allow_networks.len(), 2);
        assert_eq!(config.problems(), Vec::<String>::new());
        assert_eq!(config.user_agent(), concat!("tagfleet/", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn a_misspelt_key_is_an_error() {
        let text = FULL.replace("max_redirects", "max_redirect");
        assert!(toml::from_str::<DownloadConfig>(&text).is_err());
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let text = FULL
            .replace("5s", "0s")
            .replace("= 1000", "= 0")
            .replace("= 32", "= 0")
            .replace("images.internal", "http://images")
            .replace("= 0.5", "= -1.0")
            .replace("1h", "25h");
        let config: DownloadConfig = toml::from_str(&text).unwrap();

        assert_eq!(
            config.problems(),
            [
                "download.connect_timeout must be longer than zero",
                "download.max_bytes must be greater than zero",
                "download.per_host must be greater than zero",
                "download.allow_hosts: \"http://images\" is not the name of a host",
                "download.per_host_rate must be 0, or between 0.01 and 1000000",
                "download.longest_pause must not be longer than a day",
            ]
        );
    }
}
