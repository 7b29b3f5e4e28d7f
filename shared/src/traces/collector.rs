//! The way to a collector: OTLP over HTTP, with the client that everything else uses.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use tokio::runtime::Handle;
use tracing::{info, warn};
use url::Url;

use crate::tls;

/// The longest that one request may take; others wait behind it, and then are lost.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no way to a collector.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// No client can be made.
    #[error("no client for the collector of traces: {0}")]
    Client(#[source] reqwest::Error),
    /// The URL is none for it.
    #[error("traces.endpoint cannot be used")]
    Endpoint,
}

/// Sends spans to `url`.
pub(super) fn exporter(url: Url) -> Result<SpanExporter, TracesError> {
    tls::install();
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(TracesError::Client)?;
    let endpoint = url.to_string();
    let collector = Collector { client, url, runtime: Handle::current(), away: AtomicBool::new(false) };
    SpanExporter::builder()
        .with_http()
        .with_http_client(collector)
        .with_endpoint(endpoint)
        .with_timeout(TIMEOUT)
        .build()
        // Its text repeats the URL, which may have a password in it.
        .map_err(|_| TracesError::Endpoint)
}

#[derive(Debug)]
struct Collector {
    client: reqwest::Client,
    url: Url,
    /// The thread that sends has no runtime of its own.
    runtime: Handle,
    away: AtomicBool,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let request = self.client.post(self.url.clone()).headers(parts.headers).body(body);
        let answered = async move {
            let response = request.send().await?;
            let status = response.status();
            Ok::<_, reqwest::Error>((status, response.bytes().await?))
        };
        let answered = match self.runtime.spawn(answered).await {
            Ok(answered) => answered.map_err(reqwest::Error::without_url).map_err(HttpError::from),
            Err(stopping) => Err(stopping.into()),
        };
        match &answered {
            Ok((status, _)) if status.is_success() => self.tell(None),
            Ok((status, _)) => self.tell(Some(&format!("it answers {status}"))),
            Err(error) => self.tell(Some(&format!("{error:?}"))),
        }
        let (status, body) = answered?;
        Ok(Response::builder().status(status).body(body)?)
    }
}

impl Collector {
    /// Says that the collector is away, or well again: each once.
    fn tell(&self, problem: Option<&str>) {
        let was_away = self.away.swap(problem.is_some(), Ordering::Relaxed);
        match problem {
            Some(error) if !was_away => {
                warn!(error, "traces cannot be sent, spans are lost until their collector is well");
            }
            None if was_away => info!("traces are sent again"),
            _ => {}
        }
    }
}
