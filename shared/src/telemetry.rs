//! Logs: text on a terminal, one JSON object a line elsewhere.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogConfig, LogFormat};

/// Starts logging to stderr. Call it once, in `main`.
///
/// # Errors
///
/// If `log.filter` does not parse.
pub fn init(config: &LogConfig) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::try_new(&config.filter)?;
    let registry = tracing_subscriber::registry().with(filter);
    let json = match config.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // A second start (two apps in one test process) keeps the first.
    let _ = if json {
        registry
            .with(layer.json().flatten_event(true).with_current_span(true).with_span_list(false))
            .try_init()
    } else {
        let ansi = std::io::stderr().is_terminal();
        registry.with(layer.compact().with_ansi(ansi)).try_init()
    };
    Ok(())
}
