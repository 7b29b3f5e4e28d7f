//! The way to Postgres: pool, TLS, migrations.

mod migrations;

use std::time::Duration;

use deadpool_postgres::{Hook, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio_postgres::NoTls;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

pub use migrations::{ensure_migrated, migrate};

/// What Postgres takes for a number of milliseconds ends after 24 days.
const LONGEST_STATEMENT: Duration = Duration::from_secs(24 * 3600);

/// What the parser says may hold the password.
const UNREADABLE: &str = "database.url is not postgres://user:password@host:port/database?options, or what is special in it is not percent-encoded";

/// How to reach the database.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:port/database?sslmode=require`.
    pub url: SecretString,
    /// Connections of this process.
    pub pool_size: usize,
    /// How long to wait for a free connection, and for a new one.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Postgres ends a statement of ours after this.
    #[serde(with = "humantime_serde")]
    pub statement_timeout: Duration,
}

impl DatabaseConfig {
    /// See [`crate::config::Check`].
    pub fn check(&self, problems: &mut Vec<String>) {
        let url = self.url.expose_secret();
        if !url.is_empty() {
            if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
                problems.push("database.url must begin with postgres://".into());
            } else if url.parse::<tokio_postgres::Config>().is_err() {
                problems.push(UNREADABLE.into());
            }
        }
        if self.pool_size == 0 {
            problems.push("database.pool_size must be at least 1".into());
        }
        if self.timeout.is_zero() {
            problems.push("database.timeout must be longer than nothing".into());
        }
        if self.statement_timeout > LONGEST_STATEMENT {
            problems.push("database.statement_timeout must not be longer than a day".into());
        }
    }
}

/// The database did not do what was asked; nothing was written.
///
/// An outage is not a failure: whoever meets one holds its work and tries again.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// No connection was to be had.
    #[error("no database connection: {0}")]
    Pool(#[from] deadpool_postgres::PoolError),
    /// The statement failed.
    #[error("{}", describe(.0))]
    Sql(#[from] tokio_postgres::Error),
    /// The step that would have asked it panicked: a mistake of ours. The log has said so.
    #[error("not asked: a step of ours panicked, see above")]
    Panicked,
}

impl DbError {
    /// What keeps the work from being done: a metric label, so never rename one.
    pub fn server(&self) -> &'static str {
        match self {
            Self::Pool(_) | Self::Sql(_) => "database",
            Self::Panicked => "none",
        }
    }

    /// Whether the data of this very statement are to blame, so that trying
    /// the same again is of no use: SQLSTATE classes 22 (data), 23 (constraint)
    /// and 54 (a limit of the server).
    pub fn is_about_data(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        error.code().is_some_and(|code| matches!(&code.code()[..2], "22" | "23" | "54"))
    }

    /// Whether the statement was ended because it took longer than it may.
    pub fn is_too_long(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        error.code() == Some(&SqlState::QUERY_CANCELED)
    }

    /// Whether another transaction got in the way, so that trying again at
    /// once is right.
    pub fn is_conflict(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        matches!(error.code(), Some(&SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE))
    }
}

/// The server's own words; `tokio_postgres` alone says only "db error".
fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("database: {} ({})", db.message(), db.code().code()),
        None => std::error::Error::source(error)
            .map_or_else(|| format!("database: {error}"), |source| format!("database: {error}: {source}")),
    }
}

/// Opens a pool. Connects lazily: a database that is away now is an outage later.
///
/// # Errors
///
/// If the URL cannot be read or the system's certificates cannot be loaded.
pub fn pool(config: &DatabaseConfig) -> anyhow::Result<Pool> {
    // A planner that has seen an empty table must not keep its plan for a full one.
    open(config, "SET plan_cache_mode = force_custom_plan")
}

/// Opens a pool for statements that do nothing but read and write rows by their
/// keys, a batch at a time. Connects lazily, as [`pool`] does.
///
/// A planner whose statistics are from when a table was small would rather read
/// all of it for each batch: seconds, when it has grown. So that way is closed,
/// keys are cheap (they are in memory), and a plan is made once, not for each
/// batch. Any other statement may become slow without bounds here.
///
/// # Errors
///
/// As [`pool`].
pub fn pool_by_keys(config: &DatabaseConfig) -> anyhow::Result<Pool> {
    open(
        config,
        "SET plan_cache_mode = force_generic_plan; SET jit = off;
         SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
         SET enable_material = off; SET random_page_cost = 0.1; SET seq_page_cost = 0.1",
    )
}

fn open(config: &DatabaseConfig, planner: &'static str) -> anyhow::Result<Pool> {
    let mut postgres: tokio_postgres::Config =
        config.url.expose_secret().parse().map_err(|_| anyhow::anyhow!(UNREADABLE))?;
    postgres.connect_timeout(config.timeout);
    // A server that vanished is noticed after half a minute.
    postgres.keepalives_idle(Duration::from_secs(10));
    postgres.keepalives_interval(Duration::from_secs(5));
    postgres.keepalives_retries(3);
    postgres.tcp_user_timeout(Duration::from_secs(20));
    if postgres.get_application_name().is_none() {
        postgres.application_name("tagfleet");
    }
    let statement_timeout = config.statement_timeout.as_millis();
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    crate::tls::install();
    let tls = match postgres.get_ssl_mode() {
        SslMode::Disable => None,
        mode => match MakeRustlsConnect::with_native_certs() {
            Ok((tls, _unreadable)) => Some(tls),
            // `prefer` may do without; `require` may not.
            Err(_) if mode == SslMode::Prefer => None,
            Err(errors) => {
                anyhow::bail!("database.url asks for TLS, and no CA certificates were found: {errors:?}")
            }
        },
    };
    let manager = match tls {
        Some(tls) => Manager::from_config(postgres, tls, recycling),
        None => Manager::from_config(postgres, NoTls, recycling),
    };
    let pool = Pool::builder(manager)
        .max_size(config.pool_size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(config.timeout))
        .create_timeout(Some(config.timeout))
        .post_create(Hook::async_fn(move |client, _| {
            Box::pin(async move {
                // The keepalives are the server's: the locks of a machine that
                // vanished are free within half a minute, not two hours.
                let sql = format!(
                    "SET statement_timeout = {statement_timeout}; {planner};
                     SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"
                );
                client.batch_execute(&sql).await.map_err(deadpool_postgres::HookError::Backend)
            })
        }))
        .build()?;
    Ok(pool)
}
