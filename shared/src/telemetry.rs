//! Logs: text on a terminal, one JSON object a line elsewhere; and traces, where they are on.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{Directive, ParseError};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, registry};

use crate::config::{LogConfig, LogFormat};
use crate::traces::{self, Traces};

/// Starts logging to stderr, and tracing. Call it once, in `main`.
///
/// Where there are no traces the filter of the log is that of the whole process, so that spans which are made
/// for traces are not even looked at: each is off at its place in the code, for good.
///
/// # Errors
///
/// If `log.filter` does not parse.
pub fn init(config: &LogConfig, traces: &Traces) -> Result<(), ParseError> {
    let no_traces = format!("{}={}", traces::TARGET, LevelFilter::OFF).parse::<Directive>()?;
    let filter = EnvFilter::try_new(&config.filter)?.add_directive(no_traces);
    // A second start (two apps in one test process) keeps the first.
    let _ = match traces.layer() {
        None => registry().with(filter).with(log(config)).try_init(),
        Some(traces) => registry().with(log(config).with_filter(filter)).with(traces).try_init(),
    };
    Ok(())
}

/// The log, in the form that is asked for.
fn log<S>(config: &LogConfig) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let terminal = std::io::stderr().is_terminal();
    let json = match config.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !terminal,
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    if json {
        layer.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    } else {
        layer.compact().with_ansi(terminal).boxed()
    }
}
