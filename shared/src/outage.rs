//! The fleet itself is unwell: hold the work, and try again.

use crate::broker::BrokerError;
use crate::db::DbError;

/// A server of ours did not do what was asked; nothing is lost.
#[derive(Debug, thiserror::Error)]
pub enum Outage {
    /// Postgres.
    #[error(transparent)]
    Database(#[from] DbError),
    /// RabbitMQ.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A step of ours, which is a mistake to mend; the loop goes on.
    #[error("a step panicked")]
    Panic,
}

impl From<tokio_postgres::Error> for Outage {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<deadpool_postgres::PoolError> for Outage {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        Self::Database(error.into())
    }
}

impl Outage {
    /// Which server: a metric label, so never rename one.
    pub fn server(&self) -> &'static str {
        match self {
            Self::Database(error) => error.server(),
            Self::Broker(_) => "broker",
            Self::Panic => "none",
        }
    }

    /// What is wrong with it: a metric label, so never rename one.
    pub fn why(&self) -> &'static str {
        match self {
            Self::Broker(BrokerError::Silent) => "silent",
            Self::Broker(BrokerError::Blocked) => "blocked",
            Self::Broker(BrokerError::Refused(_) | BrokerError::Taken) => "refused",
            Self::Broker(BrokerError::Unroutable(_)) => "unroutable",
            Self::Broker(BrokerError::Away(_)) | Self::Database(_) => "away",
            Self::Panic => "panic",
        }
    }
}
