//! How the work on one image can end, and why it may not end yet.

use std::borrow::Cow;
use std::sync::Arc;

use tagfleet_download::{Attempt, DownloadError, Transient};
use tagfleet_shared::db::DbError;
use tagfleet_shared::ids::BytesHash;
use tagfleet_shared::outcome::{OutcomeKind, SUPERSEDED};

use crate::decode::Undecodable;
use crate::decoders::{NotDecoded, Poison};
use crate::freshness::LastLook;
use crate::model::Answer;

/// A stable word: a value in the database and a metric's label.
pub type Reason = Cow<'static, str>;

/// What a model set said of an image, and of which bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Tags and scores, as the models gave them.
    pub answer: Answer,
    /// The bytes that were looked at.
    pub bytes: BytesHash,
    /// Of the picture as it was sent, in pixels.
    pub width: u32,
    /// Of the picture as it was sent, in pixels.
    pub height: u32,
    /// The last look at its URL; none where nobody will look again.
    pub last_look: Option<LastLook>,
}

impl Known {
    /// Whether it is time to look at the picture again.
    pub fn is_due(&self) -> bool {
        self.last_look.as_ref().is_some_and(LastLook::is_due)
    }

    /// The same of a picture at which this was the last look.
    pub fn with(&self, last_look: Option<LastLook>) -> Arc<Self> {
        Arc::new(Self { last_look, ..self.clone() })
    }
}

/// The one end of an image.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The models ran on it.
    Inferred(Arc<Known>),
    /// Its tags were known from before.
    Cached(Arc<Known>),
    /// Its tags were known from before, and were found to hold still: `cached`
    /// in the row, and renewed for the next scrapes.
    Renewed(Arc<Known>),
    /// The same bytes were known under another key.
    Matched(Arc<Known>),
    /// It cannot be had.
    Skipped(Failure),
    /// Nobody can say what it shows: the defaults stand in.
    Defaulted(Failure),
}

/// Why an image was skipped or defaulted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why, in one word.
    pub reason: Reason,
    /// Whether the next scrape within a while may take this for granted. Not
    /// where the fleet itself may be to blame, nor where it was told from memory.
    pub remember: bool,
}

impl Failure {
    fn lasting(reason: &'static str) -> Self {
        Self { reason: reason.into(), remember: true }
    }

    fn passing(reason: impl Into<Reason>) -> Self {
        Self { reason: reason.into(), remember: false }
    }
}

impl Outcome {
    /// What it is in the row: [`Self::Renewed`] is `cached` there.
    pub fn kind(&self) -> OutcomeKind {
        match self {
            Self::Inferred(_) => OutcomeKind::Inferred,
            Self::Cached(_) | Self::Renewed(_) => OutcomeKind::Cached,
            Self::Matched(_) => OutcomeKind::Matched,
            Self::Skipped(_) => OutcomeKind::Skipped,
            Self::Defaulted(_) => OutcomeKind::Defaulted,
        }
    }

    /// Why it was skipped or defaulted.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Skipped(failure) | Self::Defaulted(failure) => Some(failure),
            _ => None,
        }
    }

    /// What the models said, where they did.
    pub fn known(&self) -> Option<&Arc<Known>> {
        match self {
            Self::Inferred(known) | Self::Cached(known) | Self::Renewed(known) | Self::Matched(known) => {
                Some(known)
            }
            Self::Skipped(_) | Self::Defaulted(_) => None,
        }
    }

    /// The same, and this was the last look at the picture.
    pub fn with_last_look(self, last_look: Option<LastLook>) -> Self {
        match self {
            Self::Inferred(known) if last_look.is_some() => Self::Inferred(known.with(last_look)),
            Self::Matched(known) if last_look.is_some() => Self::Matched(known.with(last_look)),
            other => other,
        }
    }

    /// An outcome that another scrape came to, a short while ago.
    pub fn remembered(kind: OutcomeKind, reason: String) -> Self {
        let failure = Failure::passing(reason);
        if kind == OutcomeKind::Defaulted { Self::Defaulted(failure) } else { Self::Skipped(failure) }
    }

    /// A newer scrape overtook this one.
    pub fn superseded() -> Self {
        Self::Skipped(Failure::passing(SUPERSEDED))
    }

    /// The fleet cannot work on this image: a person looks at its job.
    pub fn parked(reason: &'static str) -> Self {
        Self::Defaulted(Failure::passing(reason))
    }

    /// A transient failure that did not pass, and is taken for lasting where
    /// the server itself has answered. Where none did, our own way to it may
    /// be to blame, and where it was not even asked, others' pictures: the next
    /// scrape asks again.
    pub fn given_up(transient: &Transient) -> Self {
        let reason = transient.reason();
        let of_the_server = transient.cause.is_answer() && transient.attempt == Attempt::Asked;
        Self::Skipped(if of_the_server { Failure::lasting(reason) } else { Failure::passing(reason) })
    }
}

/// What keeps a stage of the pipeline from its answer. Cloned to everybody
/// who waits for the same image.
#[derive(Clone, Debug)]
pub enum Stop {
    /// The image's end is clear without the models.
    End(Outcome),
    /// It has none yet.
    Not(Unfinished),
    /// The fleet itself is unwell: the job is held until it is well again.
    Outage(Outage),
}

/// Why an image has no outcome yet.
#[derive(Clone, Debug)]
pub enum Unfinished {
    /// It may go better later.
    Later(Transient),
    /// It did to a decoder what no picture should be able to do: a person looks at its job.
    Poison(Poison),
    /// Nothing is known of it, and a suspected job may not find out among others.
    Suspected,
}

/// What of the fleet is unwell. Nothing is recorded meanwhile.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Outage {
    /// Postgres.
    #[error(transparent)]
    Database(#[from] Arc<DbError>),
    /// The models answer no picture at all.
    #[error("the models are sick: {0}")]
    Models(String),
    /// This machine: it starts no process that decodes.
    #[error("no process that decodes can be started: {0}")]
    Decoders(String),
}

impl Outage {
    /// Whose: a metric label, so never rename one.
    pub fn server(&self) -> &'static str {
        match self {
            Self::Database(error) => error.server(),
            Self::Models(_) => "models",
            Self::Decoders(_) => "decoders",
        }
    }
}

impl From<DownloadError> for Stop {
    fn from(error: DownloadError) -> Self {
        match error {
            DownloadError::Transient(transient) => Self::Not(Unfinished::Later(transient)),
            DownloadError::Final(error) => Self::End(Outcome::Skipped(Failure::lasting(error.reason()))),
        }
    }
}

impl From<Undecodable> for Stop {
    fn from(error: Undecodable) -> Self {
        Self::End(Outcome::Defaulted(Failure::lasting(error.reason())))
    }
}

impl From<NotDecoded> for Stop {
    fn from(error: NotDecoded) -> Self {
        match error {
            NotDecoded::Undecodable(error) => error.into(),
            NotDecoded::Poison(poison) => Self::Not(Unfinished::Poison(poison)),
            NotDecoded::NoDecoder(error) => Self::Outage(Outage::Decoders(error)),
        }
    }
}

/// The model set gave no answer for a picture that it was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Because of this picture: others have their answers.
    #[error("the models gave no answer: {0}")]
    Picture(String),
    /// Because of the models, or of what they run on.
    #[error("the models are sick: {0}")]
    Sick(String),
}

impl From<Unanswered> for Stop {
    fn from(error: Unanswered) -> Self {
        match error {
            Unanswered::Picture(_) => Self::End(Outcome::Defaulted(Failure::passing("inference"))),
            Unanswered::Sick(error) => Self::Outage(Outage::Models(error)),
        }
    }
}

impl From<Arc<DbError>> for Stop {
    fn from(outage: Arc<DbError>) -> Self {
        Self::Outage(outage.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tagfleet_download::{Cause, Limit};

    /// A network of ours that swallows packets for a while is not remembered against pictures.
    #[test]
    fn a_failure_is_remembered_only_where_the_server_itself_has_answered() {
        let remembered = |cause: Cause| match Outcome::given_up(&cause.into()) {
            Outcome::Skipped(failure) => failure.remember,
            other => panic!("{other:?}"),
        };
        let limits = [Limit::Connect, Limit::Headers, Limit::Turn].map(Cause::Timeout);
        let unheard =
            [Cause::Dns(String::new()), Cause::Connection(String::new()), Cause::Tls(String::new())];
        assert!(!limits.into_iter().chain(unheard).any(remembered));

        let answers = [Cause::Timeout(Limit::Idle), Cause::Throttled(429), Cause::ServerError(500)];
        assert!(answers.into_iter().all(remembered));
    }
}
