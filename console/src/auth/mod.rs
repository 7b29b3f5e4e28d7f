//! Who somebody is, and what they may do.
//!
//! `right.rs`: the rights, and the roles that have them. `person.rs`: whoever asks. `guard.rs`: stands
//! before every handler that takes a right, and writes the audit. `token.rs`, `session.rs`, `login.rs`: how one
//! comes in. `limits.rs`: how often.

pub mod guard;
pub mod limits;
pub mod login;
pub mod person;
pub mod right;
pub mod session;
pub mod token;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use deadpool_postgres::Pool;

pub use person::{Person, Via};
pub use right::{Right, Rights, Role};

use self::limits::Limits;
use self::login::Provider;
use self::session::Cookies;
use crate::config::ConsoleConfig;
use crate::store::{sessions, tokens};
use crate::web::{Kind, Problem};

/// How people are told apart.
pub struct Auth {
    pool: Pool,
    /// How their browsers keep what they show.
    pub cookies: Cookies,
    /// Where they log in; none where nobody does.
    pub provider: Option<Provider>,
    /// How often they may try.
    pub limits: Limits,
    /// The secret of all who come without a login; none where one is needed.
    insecure: Option<String>,
}

impl Auth {
    /// Asks for a login or a token, unless `insecure`.
    ///
    /// # Errors
    ///
    /// If no HTTP client can be made for the provider.
    pub fn new(config: &ConsoleConfig, pool: Pool, insecure: bool) -> anyhow::Result<Self> {
        let back = config.http.public().and_then(|url| url.join("/login/callback").ok());
        let provider = match back {
            Some(back) if !config.login.issuer.is_empty() => Some(Provider::new(config.login.clone(), back)?),
            _ => None,
        };
        Ok(Self {
            pool,
            cookies: Cookies::of(&config.http),
            provider,
            limits: Limits::new(&config.limits),
            insecure: insecure.then(secret),
        })
    }

    /// Whether everybody may do everything.
    pub fn is_insecure(&self) -> bool {
        self.insecure.is_some()
    }

    /// Who sends a request with these headers; none where nobody says so.
    ///
    /// # Errors
    ///
    /// If the database is away, or whoever they claim to be is unknown.
    pub async fn identify(&self, headers: &HeaderMap) -> Result<Option<Person>, Problem> {
        if let Some(text) = headers.get(header::AUTHORIZATION) {
            let text = text.to_str().unwrap_or_default();
            let token = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            let known = match token {
                Some((_, token)) => tokens::find(&self.pool, &token::hash(token.trim())).await?,
                None => None,
            };
            let (name, words) = known.ok_or_else(|| {
                Problem::new(Kind::Unauthorized, "this token is unknown, revoked or too old")
            })?;
            let rights = words.iter().filter_map(|word| word.parse().ok()).collect();
            return Ok(Some(Person::token(&name, rights)));
        }
        if let Some(cookie) = session::read(headers, self.cookies.session())
            && let Some(session) = sessions::find(&self.pool, &token::hash(&cookie)).await?
            && let Ok(role) = session.role.parse()
        {
            return Ok(Some(Person::session(session, role)));
        }
        match &self.insecure {
            // A stranger's page may have a name that leads to this machine: its requests
            // come with that name.
            Some(csrf) if is_loopback(headers) => Ok(Some(Person::anybody(csrf))),
            _ => Ok(None),
        }
    }
}

fn is_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

/// 32 random bytes, as text.
pub fn secret() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_login_only_names_of_this_machine_are_served() {
        let from = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            is_loopback(&headers)
        };
        for host in ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "[::1]"] {
            assert!(from(host), "{host}");
        }
        for host in ["evil.test", "evil.test:8080", "127.0.0.1.evil.test", ""] {
            assert!(!from(host), "{host}");
        }
    }
}
