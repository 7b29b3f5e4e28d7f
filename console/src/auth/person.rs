//! Whoever asks.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::right::{Right, Rights, Role};
use crate::store::sessions::Session;
use crate::web::{Kind, Problem};

/// Somebody who may do something: a person or a program. Every handler behind a right can
/// take one as an argument.
#[derive(Clone, Debug)]
pub struct Person {
    /// What stands in history and audit.
    pub name: String,
    /// Whose writes are counted together: what the login provider calls them, never another person's.
    pub counted_as: String,
    /// What they are, for people: the role, or "token".
    pub title: String,
    /// What they may do.
    pub rights: Rights,
    /// How they came in.
    pub via: Via,
}

/// How somebody came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// By a login: their browser sends a cookie with every request, also with those that
    /// strangers' pages make. So writes need this secret, which only our pages know.
    Session {
        /// The secret.
        csrf: String,
    },
    /// By an API token, which nothing sends by itself.
    Token,
    /// By nothing at all (`--dev-insecure`).
    Insecure {
        /// As for a session: strangers' pages are no less dangerous.
        csrf: String,
    },
}

impl Person {
    /// Anybody, where no login is asked for.
    pub(super) fn anybody(csrf: &str) -> Self {
        Self {
            name: "anybody".into(),
            counted_as: "anybody".into(),
            title: Role::Operator.to_string(),
            rights: Role::Operator.rights(),
            via: Via::Insecure { csrf: csrf.into() },
        }
    }

    /// Whoever has the API token `name`.
    pub(super) fn token(name: &str, rights: Rights) -> Self {
        let name = format!("token {name}");
        Self { counted_as: name.clone(), name, title: "token".into(), rights, via: Via::Token }
    }

    /// Somebody who is logged in.
    pub(super) fn session(session: Session, role: Role) -> Self {
        let Session { subject, name, csrf, .. } = session;
        let counted_as = format!("subject {subject}");
        Self { name, counted_as, title: role.to_string(), rights: role.rights(), via: Via::Session { csrf } }
    }

    /// How they came in, in a word.
    pub fn came_by(&self) -> &'static str {
        match self.via {
            Via::Session { .. } => "session",
            Via::Token => "token",
            Via::Insecure { .. } => "insecure",
        }
    }

    /// Whether they may do this.
    pub fn may(&self, right: Right) -> bool {
        self.rights.has(right)
    }

    /// What their pages have to send as `X-CSRF-Token` with every write.
    pub fn csrf(&self) -> Option<&str> {
        match &self.via {
            Via::Session { csrf } | Via::Insecure { csrf } => Some(csrf),
            Via::Token => None,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Person {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let person = parts.extensions.get::<Self>().cloned();
        person.ok_or_else(|| Problem::new(Kind::Unauthorized, "nobody has said who asks"))
    }
}
