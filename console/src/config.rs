//! The console's settings. Their manual, with all defaults, is `config.toml`.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use tagfleet_download::DownloadConfig;
use tagfleet_shared::admin::AdminConfig;
use tagfleet_shared::broker::BrokerConfig;
use tagfleet_shared::config::{self, Check, ConfigError, Loaded, LogConfig};
use tagfleet_shared::db::DatabaseConfig;
use url::Url;

use crate::thumbnails::ThumbnailsConfig;

use crate::auth::Role;

/// The defaults, and the manual.
pub const DEFAULTS: &str = include_str!("../config.toml");

/// Every setting of the console.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsoleConfig {
    /// Logs.
    pub log: LogConfig,
    /// The port for operators.
    pub admin: AdminConfig,
    /// The port for people and programs.
    pub http: HttpConfig,
    /// RabbitMQ.
    pub broker: BrokerConfig,
    /// Postgres.
    pub database: DatabaseConfig,
    /// How people log in.
    pub login: LoginConfig,
    /// How often one may try.
    pub limits: LimitsConfig,
    /// Pictures that somebody wants looked at at once.
    pub classify: ClassifyConfig,
    /// What is said of scrapes.
    pub scrapes: ScrapesConfig,
    /// `tag.fixed`.
    pub announce: AnnounceConfig,
    /// How pictures are fetched.
    pub download: DownloadConfig,
    /// Small pictures for the pages.
    pub thumbnails: ThumbnailsConfig,
    /// How to stop.
    pub shutdown: ShutdownConfig,
}

/// `tag.fixed`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnnounceConfig {
    /// How often to look.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
}

/// The port for people and programs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// Scheme, host and port that people use; empty where nobody logs in.
    pub public_url: String,
    /// The header with the address of who comes.
    pub client_header: String,
    /// Longest request.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Largest body.
    pub max_body_bytes: usize,
}

impl HttpConfig {
    /// What people have in their address bar, where it is set.
    pub fn public(&self) -> Option<Url> {
        self.public_url.parse().ok()
    }

    fn check(&self, problems: &mut Vec<String>) {
        if !self.public_url.is_empty() {
            let fine = self.public().is_some_and(|url| {
                matches!(url.scheme(), "http" | "https") && url.path() == "/" && url.query().is_none()
            });
            if !fine {
                problems
                    .push("http.public_url must be http://host:port or https://host, without a path".into());
            }
        }
        if self.timeout.is_zero() {
            problems.push("http.timeout must be longer than nothing".into());
        }
        if self.max_body_bytes < 1024 {
            problems.push("http.max_body_bytes must be at least 1024".into());
        }
    }
}

/// How people log in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginConfig {
    /// The OpenID Connect provider; empty where nobody logs in.
    pub issuer: String,
    /// What it knows us by.
    pub client_id: String,
    /// What proves that to it.
    pub client_secret: SecretString,
    /// What it is asked for.
    pub scopes: Vec<String>,
    /// The claim that says what somebody is; dots lead into objects.
    pub role_claim: String,
    /// Words of the claim that make a viewer,
    pub viewers: Vec<String>,
    /// an editor,
    pub editors: Vec<String>,
    /// an operator.
    pub operators: Vec<String>,
    /// How long a login lasts.
    #[serde(with = "humantime_serde")]
    pub lasts: Duration,
}

impl LoginConfig {
    /// The words of the claim that make somebody a `role`.
    pub fn words(&self, role: Role) -> &[String] {
        match role {
            Role::Viewer => &self.viewers,
            Role::Editor => &self.editors,
            Role::Operator => &self.operators,
        }
    }

    fn check(&self, public_url: &str, problems: &mut Vec<String>) {
        if self.issuer.is_empty() {
            return;
        }
        if public_url.is_empty() {
            problems.push("http.public_url must be set with login.issuer: a login comes back to it".into());
        }
        if self.issuer.parse::<Url>().is_err() {
            problems.push("login.issuer must be a URL".into());
        }
        if self.client_id.is_empty() {
            problems.push("login.client_id must be set with login.issuer".into());
        }
        if self.lasts.is_zero() {
            problems.push("login.lasts must be longer than nothing".into());
        }
    }
}

/// How often one may try.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Logins from one address.
    pub logins_per_minute: NonZeroU32,
    /// Writes of one person or token.
    pub writes_per_minute: NonZeroU32,
    /// Refusals of strangers from one address that stand in the audit one by one.
    pub refusals_per_minute: NonZeroU32,
}

/// Pictures that somebody wants looked at at once.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifyConfig {
    /// How long to wait for a worker's answer.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Pictures that are asked about at once.
    pub at_once: usize,
}

/// What is said of scrapes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScrapesConfig {
    /// How long a scrape may stand still before it is called stuck.
    #[serde(with = "humantime_serde")]
    pub stuck_after: Duration,
}

/// How to stop.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShutdownConfig {
    /// How long requests may go on.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
}

impl ConsoleConfig {
    /// Loads defaults, `file` and environment.
    ///
    /// # Errors
    ///
    /// Lists every problem.
    pub fn load(file: Option<PathBuf>) -> Result<Loaded<Self>, ConfigError> {
        config::load(DEFAULTS, config::file(file).as_deref(), config::environment())
    }
}

impl Check for ConsoleConfig {
    fn check(&self, problems: &mut Vec<String>) {
        self.log.check(problems);
        self.http.check(problems);
        self.broker.check(problems);
        self.database.check(problems);
        if self.database.pool_size == 1 {
            problems
                .push("database.pool_size must be at least 2: who looks at dead letters holds one".into());
        }
        problems.extend(self.download.problems());
        self.thumbnails.check(problems);
        self.login.check(&self.http.public_url, problems);
        if self.classify.timeout >= self.http.timeout || self.classify.timeout > Duration::from_secs(60) {
            problems.push("classify.timeout must be less than http.timeout, and at most 1m".into());
        }
        if self.classify.at_once == 0 {
            problems.push("classify.at_once must be at least 1".into());
        }
        let longer_than_nothing = [
            ("scrapes.stuck_after", self.scrapes.stuck_after),
            ("announce.every", self.announce.every),
            ("classify.timeout", self.classify.timeout),
        ];
        for (key, _) in longer_than_nothing.iter().filter(|(_, duration)| duration.is_zero()) {
            problems.push(format!("{key} must be longer than nothing"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(variables: &[(&str, &str)]) -> Vec<String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        config::load::<ConsoleConfig>(DEFAULTS, None, variables).map_or_else(|error| error.0, |_| Vec::new())
    }

    #[test]
    fn the_defaults_lack_only_the_servers() {
        assert_eq!(problems(&[]), Vec::<String>::new());
    }

    #[test]
    fn one_connection_is_too_few() {
        let with = |size| problems(&[("TAGFLEET__DATABASE__POOL_SIZE", size)]);
        assert_eq!(with("1"), ["database.pool_size must be at least 2: who looks at dead letters holds one"]);
        assert_eq!(with("2"), Vec::<String>::new());
    }

    #[test]
    fn a_public_url_has_no_path() {
        let with = |url| problems(&[("TAGFLEET__HTTP__PUBLIC_URL", url)]);
        assert_eq!(with("https://tagfleet.example.com"), Vec::<String>::new());
        for url in ["tagfleet.example.com", "ftp://host", "https://host/console"] {
            assert_eq!(
                with(url),
                ["http.public_url must be http://host:port or https://host, without a path"]
            );
        }
    }
}
