//! Who somebody is, and what they may do.
//!
//! `right.rs`: the rights, and the roles that have them. `person.rs`: whoever asks. `guard.rs`: stands
//! before every handler that takes a right.

pub mod guard;
pub mod person;
pub mod right;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub use person::{Person, Via};
pub use right::{Right, Rights, Role};

use crate::web::Problem;

/// How people are told apart.
pub struct Auth {
    /// The secret of all who come without a login; none where one is needed.
    insecure: Option<String>,
}

impl Auth {
    /// Asks for a login or a token, unless `insecure`.
    pub fn new(insecure: bool) -> Self {
        Self { insecure: insecure.then(secret) }
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
