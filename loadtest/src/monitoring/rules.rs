//! The chart's rules, in a variant that fits into minutes: every time in them is short.

use std::path::Path;

use anyhow::Context;
use serde_json::Value;

/// One alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Its name.
    pub name: String,
    /// What it asks.
    pub expr: String,
}

/// Rules as Prometheus reads them: JSON is YAML.
pub struct Rules(Value);

impl Rules {
    /// Reads rendered rules.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Ok(Self(serde_json::from_str(&text)?))
    }

    /// The same with every window, `for` and limit of time short; nothing else is changed.
    pub fn short(&self) -> Self {
        let mut rules = self.0.clone();
        for rule in all(&mut rules) {
            if let Some(expr) = rule["expr"].as_str().map(short_expr) {
                rule["expr"] = expr.into();
            }
            if let Some(lasting) = rule["for"].as_str().map(short_lasting) {
                rule["for"] = lasting.into();
            }
        }
        Self(rules)
    }

    /// For a rule file.
    pub fn text(&self) -> String {
        self.0.to_string()
    }

    /// Every alert.
    pub fn alerts(&self) -> Vec<Alert> {
        let mut rules = self.0.clone();
        let alert = |rule: &mut Value| {
            let (name, expr) = (rule["alert"].as_str()?.to_owned(), rule["expr"].as_str()?.to_owned());
            Some(Alert { name, expr })
        };
        all(&mut rules).filter_map(alert).collect()
    }

    /// Every recording rule's name.
    pub fn records(&self) -> Vec<String> {
        let mut rules = self.0.clone();
        all(&mut rules).filter_map(|rule| Some(rule["record"].as_str()?.to_owned())).collect()
    }
}

fn all(rules: &mut Value) -> impl Iterator<Item = &mut Value> {
    let groups = rules["groups"].as_array_mut().into_iter().flatten();
    groups.flat_map(|group| group["rules"].as_array_mut().into_iter().flatten())
}

/// What a `for` becomes. Those of five minutes and more are longer than gauges are old (schedulers count every
/// five seconds), and so they stay: a fleet that has just changed is not what the gauges say of it.
fn short_lasting(lasting: &str) -> &'static str {
    match lasting {
        "0s" | "1m" | "2m" => "2s",
        _ => "10s",
    }
}

/// What a window becomes: longer ones stay longer, or what compares them would be always true.
const WINDOWS: [(&str, &str); 10] = [
    ("1m", "3s"),
    ("5m", "5s"),
    ("10m", "5s"),
    ("15m", "20s"),
    ("30m", "8s"),
    ("1h", "15s"),
    ("6h", "20s"),
    // As long as all of it takes: a fault that lasts must not become what is usual.
    ("24h", "300s"),
    ("1d", "300s"),
    // No longer than the workers are away: what was in time before would outweigh all that is late then.
    ("3d", "60s"),
];

/// Limits of time and of counts, in seconds, and what they become.
const LIMITS: [(&str, &str); 4] =
    [("> 600", "> 35"), ("> 7200", "> 45"), ("> 86400", "> 60"), ("> 100", "> 5")];

/// An expression whose windows are short. Names of recording rules stay: they are names.
pub fn short_expr(expr: &str) -> String {
    let mut short = expr.to_owned();
    for (long, window) in WINDOWS {
        short = short.replace(&format!("[{long}]"), &format!("[{window}]"));
        short = short.replace(&format!("offset {long}"), &format!("offset {window}"));
    }
    let mut lines: Vec<String> = short.lines().map(str::to_owned).collect();
    for line in &mut lines {
        for (long, limit) in LIMITS {
            if let Some(rest) = line.strip_suffix(long) {
                *line = format!("{rest}{limit}");
            }
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_to_last_for_minutes_lasts_longer_than_gauges_are_old() {
        let lasting = ["0s", "2m", "5m", "10m", "1h"].map(short_lasting);
        assert_eq!(lasting, ["2s", "2s", "10s", "10s", "10s"]);
    }

    #[test]
    fn windows_and_limits_of_time_become_short_and_nothing_else() {
        let expr = "increase(a[5m]) > 0 and b offset 1d > 600\nor tagfleet:x:ratio15m > 0.05";
        let short = "increase(a[5s]) > 0 and b offset 300s > 35\nor tagfleet:x:ratio15m > 0.05";
        assert_eq!(short_expr(expr), short);
    }
}
