//! Configuration: embedded defaults, then a file, then the environment.
//!
//! Each binary embeds its `config.toml`, which is the manual of its settings
//! and holds every default. A key that is not in it is a mistake, and all
//! mistakes are told at once.

use std::path::{Path, PathBuf};

use config::{Config, File, FileFormat, Map, Source, Value, ValueKind};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::secrets;
pub use crate::secrets::without_password;

/// Prefix of environment variables: `broker.url` is `TAGFLEET__BROKER__URL`.
pub const ENV_PREFIX: &str = "TAGFLEET__";

/// Everything that is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
#[error("{}", told(.0))]
pub struct ConfigError(pub Vec<String>);

/// One problem in one line, several in a line each.
fn told(problems: &[String]) -> String {
    match problems {
        [problem] => format!("the configuration has a problem: {problem}"),
        _ => format!("the configuration has {} problems:\n  {}", problems.len(), problems.join("\n  ")),
    }
}

/// Settings that can check what no type expresses.
pub trait Check {
    /// Adds a line to `problems` for each value that cannot work, naming its key.
    fn check(&self, problems: &mut Vec<String>);
}

/// The configuration of one binary as it was put together.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The settings.
    pub config: T,
    /// The same as TOML for people, passwords hidden.
    pub shown: String,
}

/// One value that a file or the environment sets, and where it came from.
struct Override {
    key: String,
    value: Value,
    origin: String,
}

/// Loads the settings from `defaults` (TOML), `file`, and variables like
/// `TAGFLEET__SECTION__KEY`. What is called `key_file` names a file that holds the
/// value of `key`, as secrets are mounted.
///
/// # Errors
///
/// Lists every unknown key and every invalid value together.
pub fn load<T: DeserializeOwned + Check>(
    defaults: &str,
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded<T>, ConfigError> {
    let defaults = leaves(&parse(defaults, "the embedded defaults")?);
    let mut overrides = Vec::new();
    if let Some(path) = file {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError(vec![format!("{origin}: cannot be read: {error}")]))?;
        for (key, value) in leaves(&parse(&text, &origin)?) {
            overrides.push(Override { key, value, origin: origin.clone() });
        }
    }
    for (name, text) in variables {
        if let Some(path) = name.strip_prefix(ENV_PREFIX) {
            let key = path.to_lowercase().replace("__", ".");
            let value = from_text(&text, defaults.get(&key));
            overrides.push(Override { key, value, origin: name });
        }
    }

    let mut problems = Vec::new();
    let mut merged = defaults.clone();
    for Override { mut key, mut value, origin } in overrides {
        if let Some(of) = key.strip_suffix(secrets::FILE_SUFFIX).filter(|of| defaults.contains_key(*of)) {
            match secrets::read(&value.to_string()) {
                Ok(content) => (key, value) = (of.to_owned(), from_text(&content, defaults.get(of))),
                Err(problem) => {
                    problems.push(format!("{key} ({origin}): {problem}"));
                    continue;
                }
            }
        }
        if !defaults.contains_key(&key) {
            problems.push(unknown_key(&key, &origin, defaults.keys()));
            continue;
        }
        // Each value is tried alone on top of the defaults, so that one bad
        // value does not hide the next.
        let mut alone = defaults.clone();
        alone.insert(key.clone(), value.clone());
        match build::<T>(&alone) {
            Ok(_) => {
                merged.insert(key, value);
            }
            Err(error) => problems.push(format!("{key} ({origin}): {error}")),
        }
    }
    let config: T = build(&merged).map_err(|error| ConfigError(vec![error]))?;
    config.check(&mut problems);
    if problems.is_empty() { Ok(Loaded { config, shown: show(&merged) }) } else { Err(ConfigError(problems)) }
}

/// The process's own variables.
#[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// One variable that belongs to the operating system or to another program.
#[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn foreign_variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The file named by `--config`, else by `TAGFLEET_CONFIG`.
pub fn file(flag: Option<PathBuf>) -> Option<PathBuf> {
    flag.or_else(|| foreign_variable("TAGFLEET_CONFIG").map(PathBuf::from))
}

fn parse(text: &str, origin: &str) -> Result<Map<String, Value>, ConfigError> {
    // Asked first: its own message shows the line, and what stands in it.
    if let Err(error) = text.parse::<toml::Table>() {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = 1 + before.matches('\n').count();
        return Err(ConfigError(vec![format!("{origin}: line {line}: {}", error.message())]));
    }
    let parsed = File::from_str(text, FileFormat::Toml).collect();
    parsed.map_err(|_| ConfigError(vec![format!("{origin}: cannot be read as TOML")]))
}

/// Flattens sections: `{"broker": {"url": …}}` becomes `{"broker.url": …}`.
fn leaves(map: &Map<String, Value>) -> Map<String, Value> {
    let mut flat = Map::new();
    for (key, value) in map {
        if let ValueKind::Table(table) = &value.kind {
            flat.extend(leaves(table).into_iter().map(|(rest, value)| (format!("{key}.{rest}"), value)));
        } else {
            flat.insert(key.clone(), value.clone());
        }
    }
    flat
}

/// A variable's text, shaped like the default: a list is separated by commas.
fn from_text(text: &str, default: Option<&Value>) -> Value {
    match default.map(|value| &value.kind) {
        Some(ValueKind::Array(_)) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Value::new(None, parts.map(str::to_owned).collect::<Vec<_>>())
        }
        _ => Value::new(None, text.to_owned()),
    }
}

fn build<T: DeserializeOwned>(flat: &Map<String, Value>) -> Result<T, String> {
    let mut builder = Config::builder();
    for (key, value) in flat {
        builder = builder.set_override(key, value.clone()).map_err(|error| error.to_string())?;
    }
    let config = builder.build().map_err(|error| error.to_string())?;
    config.try_deserialize().map_err(|error| error.to_string())
}

fn unknown_key<'a>(key: &str, origin: &str, known: impl Iterator<Item = &'a String>) -> String {
    let near = known.min_by_key(|other| distance(key, other)).filter(|other| distance(key, other) <= 3);
    let hint = near.map(|other| format!(", did you mean {other}?")).unwrap_or_default();
    format!("{key} ({origin}): no such setting{hint}")
}

/// Edit distance (Levenshtein 1966), enough to guess at a slip of the finger.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let next = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row.last().copied().unwrap_or_default()
}

fn show(flat: &Map<String, Value>) -> String {
    let mut keys: Vec<_> = flat.keys().collect();
    keys.sort_by_key(|key| (key.contains('.'), key.as_str()));
    let mut text = String::new();
    let mut section = "";
    for key in keys {
        let (this, name) = key.rsplit_once('.').unwrap_or(("", key));
        if this != section {
            text.push_str(&format!("\n[{this}]\n"));
            section = this;
        }
        text.push_str(&format!("{name} = {}\n", shown(key, &flat[key])));
    }
    text
}

/// A secret is hidden as a whole, and of a collector all but where it is; that there is none may be seen.
fn shown(key: &str, value: &Value) -> String {
    let is_empty = matches!(&value.kind, ValueKind::String(text) if text.is_empty());
    match &value.kind {
        _ if is_empty => shown_value(value),
        _ if secrets::is_secret(key) => format!("{:?}", secrets::HIDDEN),
        // Vendors put tokens into the path too.
        ValueKind::String(url) if key == "traces.endpoint" => format!("{:?}", secrets::origin(url)),
        _ => shown_value(value),
    }
}

fn shown_value(value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) => format!("{:?}", without_password(text)),
        ValueKind::Array(items) => {
            format!("[{}]", items.iter().map(shown_value).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Refuses to start without settings that have no default.
///
/// # Errors
///
/// Lists all that are empty.
pub fn require(settings: &[(&str, &SecretString)]) -> Result<(), ConfigError> {
    let missing = settings.iter().filter(|(_, value)| value.expose_secret().is_empty());
    let variable = |key: &str| format!("{ENV_PREFIX}{}", key.to_uppercase().replace('.', "__"));
    let problems: Vec<_> = missing.map(|(key, _)| format!("{key} is required ({})", variable(key))).collect();
    if problems.is_empty() { Ok(()) } else { Err(ConfigError(problems)) }
}

/// How much the binary says, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// A `tracing` filter: `info`, `warn,tagfleet_worker=debug`.
    pub filter: String,
    /// `auto` is text on a terminal and JSON elsewhere.
    pub format: LogFormat,
}

impl LogConfig {
    /// See [`Check`].
    pub fn check(&self, problems: &mut Vec<String>) {
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&self.filter) {
            problems.push(format!("log.filter: {error}"));
        }
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

#[cfg(test)]
mod tests;
