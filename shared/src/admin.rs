//! The port for operators: `/healthz`, `/readyz`, `/metrics`, and what a process can be told to do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use deadpool_postgres::Pool;
use futures::future::{BoxFuture, join_all};
use prometheus::{Encoder, Registry, TextEncoder};
use serde::Deserialize;
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::broker::Broker;

/// The admin port: health, metrics, and what an operator may tell the process to do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// Address and port. Nothing on it is meant for the public.
    pub listen: SocketAddr,
}

/// One thing that must be there for the process to be ready.
pub struct Check {
    name: &'static str,
    probe: Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>,
}

impl Check {
    /// A check called `name`; its error says what is away.
    pub fn new<F>(name: &'static str, probe: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self { name, probe: Box::new(move || Box::pin(probe())) }
    }

    /// Postgres answers, and takes writes: not a replica, as after a fail-over to
    /// the wrong one, nor a server that was made read-only because its disk is full.
    pub fn database(pool: Pool) -> Self {
        // On for a replica, whatever its settings are.
        const SQL: &str = "SELECT current_setting('transaction_read_only')::bool";
        Self::new("database", move || {
            let pool = pool.clone();
            async move {
                let client = pool.get().await.map_err(|error| error.to_string())?;
                let row = client.query_one(SQL, &[]).await.map_err(|error| error.to_string())?;
                if row.get(0) { Err("it is read-only".into()) } else { Ok(()) }
            }
        })
    }

    /// RabbitMQ answers on both connections: that for consuming and that for publishing.
    pub fn broker(broker: Broker) -> Self {
        Self::new("broker", move || {
            let broker = broker.clone();
            async move { broker.ping().await.map_err(|error| error.to_string()) }
        })
    }
}

/// Something that an operator may tell the process to do, by a POST.
pub struct Action {
    path: &'static str,
    act: Arc<dyn Fn() -> BoxFuture<'static, Result<String, String>> + Send + Sync>,
}

impl Action {
    /// Done on a POST to `path`. What it gives is the answer; an error is answered with 422.
    pub fn new<F>(path: &'static str, act: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<String, String>> + Send + 'static,
    {
        Self { path, act: Arc::new(move || Box::pin(act())) }
    }
}

/// The longest that one check may take: readiness must tell the truth soon.
const PATIENCE: Duration = Duration::from_millis(1500);

struct Admin {
    registry: Registry,
    checks: Vec<Check>,
}

/// Serves the admin port until the process ends. Returns its address.
///
/// # Errors
///
/// If the address cannot be listened on.
pub async fn serve(
    config: &AdminConfig,
    registry: Registry,
    checks: Vec<Check>,
    actions: Vec<Action>,
) -> anyhow::Result<SocketAddr> {
    let listener =
        TcpListener::bind(config.listen).await.with_context(|| format!("admin.listen {}", config.listen))?;
    let address = listener.local_addr()?;
    let router = actions
        .into_iter()
        .fold(Router::new(), |router, Action { path, act }| router.route(path, post(move || answer(act()))));
    let router = router
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(Admin { registry, checks }));
    info!(%address, "admin port open on {address}");
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            warn!(%error, "admin port closed");
        }
    });
    Ok(address)
}

/// 200 where everything is there; else 503 and a line for each that is away.
async fn ready(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let results = join_all(admin.checks.iter().map(|check| async {
        let result = tokio::time::timeout(PATIENCE, (check.probe)()).await;
        (check.name, result.unwrap_or_else(|_| Err("no answer".into())))
    }))
    .await;
    let all = results.iter().all(|(_, result)| result.is_ok());
    let lines = results.into_iter().map(|(name, result)| match result {
        Ok(()) => format!("{name}: ok\n"),
        Err(error) => format!("{name}: away: {error}\n"),
    });
    let status = if all { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, lines.collect::<String>())
}

/// A caller who does not wait for the end does not stop it.
async fn answer(acting: BoxFuture<'static, Result<String, String>>) -> (StatusCode, String) {
    match tokio::spawn(acting).await {
        Ok(Ok(text)) => (StatusCode::OK, format!("{text}\n")),
        Ok(Err(text)) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{text}\n")),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let mut text = Vec::new();
    match TextEncoder::new().encode(&admin.registry.gather(), &mut text) {
        Ok(()) => (StatusCode::OK, [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(header::CONTENT_TYPE, "text/plain")],
            error.to_string().into(),
        ),
    }
}
