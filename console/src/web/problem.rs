//! Everything that goes wrong, as RFC 9457 problem details.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tagfleet_shared::broker::BrokerError;
use tagfleet_shared::db::DbError;
use tracing::warn;
use utoipa::ToSchema;

/// What can be wrong, each with a stable word: part of `type`, so never rename one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request cannot be read, or says what makes no sense.
    BadRequest,
    /// Nobody knows who asks.
    Unauthorized,
    /// Whoever asks may not do this.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// There is such a path, but not with this method.
    MethodNotAllowed,
    /// Somebody else has changed it in the meantime, or its state forbids this.
    Conflict,
    /// The body is larger than is taken.
    TooLarge,
    /// The body is of a kind that is not taken.
    UnsupportedMedia,
    /// The request can be read, but what it asks for cannot be.
    Unprocessable,
    /// A write must say which version its writer saw.
    PreconditionRequired,
    /// Too many requests.
    TooMany,
    /// A server of ours is away, or nobody answered in time.
    Unavailable,
}

impl Kind {
    /// Status, word, title, and what to do where nothing better is known.
    fn parts(self) -> (StatusCode, &'static str, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::BadRequest => (
                S::BAD_REQUEST,
                "bad-request",
                "the request cannot be read",
                "Correct what the detail names.",
            ),
            Self::Unauthorized => (
                S::UNAUTHORIZED,
                "unauthorized",
                "who are you?",
                "Log in at /login, or send an API token: Authorization: Bearer TOKEN.",
            ),
            Self::Forbidden => (
                S::FORBIDDEN,
                "forbidden",
                "you may not do this",
                "Ask whoever gives out roles and tokens for the right that the detail names.",
            ),
            Self::NotFound => {
                (S::NOT_FOUND, "not-found", "there is no such thing", "Look it up in a list first.")
            }
            Self::MethodNotAllowed => (
                S::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "not with this method",
                "See /openapi.json for what can be asked.",
            ),
            Self::Conflict => {
                (S::CONFLICT, "conflict", "it has changed in the meantime", "Read it again, and decide anew.")
            }
            Self::TooLarge => (
                S::PAYLOAD_TOO_LARGE,
                "too-large",
                "the body is too large",
                "Send less, or have http.max_body_bytes raised.",
            ),
            Self::UnsupportedMedia => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "this kind of body is not taken",
                "Send what /openapi.json says, with its Content-Type.",
            ),
            Self::Unprocessable => (
                S::UNPROCESSABLE_ENTITY,
                "unprocessable",
                "this cannot be done",
                "Correct what the detail names.",
            ),
            Self::PreconditionRequired => (
                S::PRECONDITION_REQUIRED,
                "precondition-required",
                "say which version you saw",
                "Send If-Match with the ETag of what you saw, or If-Match: * if it does not matter.",
            ),
            Self::TooMany => (
                S::TOO_MANY_REQUESTS,
                "too-many-requests",
                "too many requests",
                "Wait as long as Retry-After says.",
            ),
            Self::Unavailable => (
                S::SERVICE_UNAVAILABLE,
                "unavailable",
                "a server of the fleet is away",
                "Try again later; nothing was changed unless the detail says so.",
            ),
        }
    }

    /// It in words.
    pub fn title(self) -> &'static str {
        self.parts().2
    }

    /// Its status.
    pub fn status(self) -> StatusCode {
        self.parts().0
    }
}

/// One answer that is not what was asked for.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: Kind,
    detail: String,
    what_to_do: Option<String>,
    retry_after: Option<u64>,
}

/// How a [`Problem`] looks: `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// A stable name of the kind of problem, as a relative reference.
    #[serde(rename = "type")]
    #[schema(example = "/problems/conflict")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What is wrong here.
    pub detail: String,
    /// What whoever asked can do about it.
    pub what_to_do: String,
}

impl Problem {
    /// A problem of this kind; `detail` says what is wrong here.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), what_to_do: None, retry_after: None }
    }

    /// Says what to do, where that is more than the kind tells.
    #[must_use]
    pub fn advise(mut self, what_to_do: impl Into<String>) -> Self {
        self.what_to_do = Some(what_to_do.into());
        self
    }

    /// Says how many seconds to wait.
    #[must_use]
    pub fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// There is no such thing.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(Kind::NotFound, format!("there is no {what}"))
    }

    /// What kind it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What is wrong here.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What to do about it.
    pub fn what_to_do(&self) -> &str {
        self.what_to_do.as_deref().unwrap_or(self.kind.parts().3)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, word, title, _) = self.kind.parts();
        let body = ProblemBody {
            kind: format!("/problems/{word}"),
            title: title.into(),
            status: status.as_u16(),
            what_to_do: self.what_to_do().into(),
            detail: self.detail.clone(),
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.kind == Kind::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        if error.is_about_data() {
            return Self::new(Kind::BadRequest, error.to_string());
        }
        warn!(%error, "the database did not answer");
        Self::new(Kind::Unavailable, "the database does not answer").after(5)
    }
}

impl From<tokio_postgres::Error> for Problem {
    fn from(error: tokio_postgres::Error) -> Self {
        DbError::from(error).into()
    }
}

impl From<deadpool_postgres::PoolError> for Problem {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        DbError::from(error).into()
    }
}

impl From<BrokerError> for Problem {
    fn from(error: BrokerError) -> Self {
        if matches!(error, BrokerError::Taken) {
            let problem = Self::new(Kind::Unavailable, "somebody else is looking at the dead letters");
            return problem.advise("Try again when they are done: nothing was changed.").after(5);
        }
        warn!(%error, "the broker did not answer");
        Self::new(Kind::Unavailable, "the broker does not answer").after(5)
    }
}
