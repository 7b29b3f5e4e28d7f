//! The dashboards of the chart, as Grafana would read them.

use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::prometheus::{Prometheus, Series};
use super::rules::short_expr;

/// One dashboard.
pub struct Board {
    /// The name of its file.
    pub name: String,
    /// Its title.
    pub title: String,
    /// From top to bottom.
    pub panels: Vec<Panel>,
    /// Expressions of its annotations.
    pub annotations: Vec<String>,
    /// Selectors of the series that its variables take their values from.
    pub variables: Vec<String>,
}

/// One panel and its place.
pub struct Panel {
    /// `timeseries`, `stat`, `bargauge`, `table`, `text` or `row`.
    pub kind: String,
    /// What it asks or says.
    pub title: String,
    /// Grafana's word for the unit.
    pub unit: String,
    /// Colours by the least value that has them.
    pub thresholds: Vec<(f64, String)>,
    /// Whether lines lie upon each other.
    pub stacked: bool,
    /// The highest value that is shown, where it is fixed.
    pub high: Option<f64>,
    /// Of a text.
    pub content: String,
    /// Columns of a table.
    pub columns: Vec<String>,
    /// Left, top, width and height on Grafana's grid.
    pub place: [f64; 4],
    /// What it asks, and the legend of each answer.
    pub queries: Vec<(String, String)>,
}

impl Board {
    /// Reads all of a folder, in the order of their names.
    pub fn all(folder: &Path) -> anyhow::Result<Vec<Self>> {
        let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
        let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.sort();
        let boards: Vec<Self> = files.iter().map(|file| Self::read(file)).collect::<Result<_, _>>()?;
        ensure!(!boards.is_empty(), "{} has no dashboards", folder.display());
        Ok(boards)
    }

    fn read(file: &Path) -> anyhow::Result<Self> {
        let json: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
        let list = |path: &str| json.pointer(path).and_then(Value::as_array).cloned().unwrap_or_default();
        let selector = |variable: &Value| {
            let query = variable["query"]["query"].as_str()?.strip_prefix("label_values(")?;
            Some(concrete(query.rsplit_once(", ")?.0))
        };
        Ok(Self {
            name: file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            title: text(&json["title"]),
            panels: list("/panels").iter().map(Panel::of).collect(),
            annotations: list("/annotations/list").iter().map(|one| concrete(&text(&one["expr"]))).collect(),
            variables: list("/templating/list").iter().filter_map(selector).collect(),
        })
    }
}

impl Panel {
    fn of(json: &Value) -> Self {
        let defaults = &json["fieldConfig"]["defaults"];
        let targets = json["targets"].as_array().into_iter().flatten();
        let steps = defaults["thresholds"]["steps"].as_array().into_iter().flatten();
        let columns = json.pointer("/transformations/0/options/include/names").and_then(Value::as_array);
        Self {
            kind: text(&json["type"]),
            title: text(&json["title"]),
            unit: text(&defaults["unit"]),
            thresholds: steps
                .map(|step| (step["value"].as_f64().unwrap_or(f64::NEG_INFINITY), text(&step["color"])))
                .collect(),
            stacked: defaults.pointer("/custom/stacking/mode").is_some_and(|mode| mode == "normal"),
            high: defaults["max"].as_f64(),
            content: text(&json["options"]["content"]),
            columns: columns.into_iter().flatten().map(text).collect(),
            place: ["x", "y", "w", "h"].map(|side| json["gridPos"][side].as_f64().unwrap_or_default()),
            queries: targets
                .map(|target| (concrete(&text(&target["expr"])), text(&target["legendFormat"])))
                .collect(),
        }
    }

    /// What its queries give, with the names of the legend.
    pub async fn ask(
        &self,
        prometheus: &Prometheus,
        from: f64,
        to: f64,
    ) -> anyhow::Result<Vec<(String, Series)>> {
        let mut answers = Vec::new();
        for (expr, legend) in &self.queries {
            let series = prometheus.range(expr, from, to).await;
            let series = series.with_context(|| format!("{}: {expr}", self.title))?;
            answers.extend(series.into_iter().map(|one| (named(legend, &one), one)));
        }
        Ok(answers)
    }

    /// Whether a value can be one of this unit.
    pub fn is_sane(&self, value: f64) -> bool {
        let most = match self.unit.as_str() {
            "percentunit" => 1.000_001,
            "s" => 1e7,
            "bytes" | "Bps" => 1e13,
            _ => 1e9,
        };
        (0.0..=most).contains(&value)
    }
}

/// With every variable in place: all of everything, and windows that fit into minutes.
fn concrete(expr: &str) -> String {
    let mut concrete = expr.replace("$__rate_interval", "8s");
    for variable in ["namespace", "pool", "lane", "set", "attribute"] {
        concrete = concrete.replace(&format!("${variable}"), ".*");
    }
    short_expr(&concrete)
}

fn named(legend: &str, series: &Series) -> String {
    let mut name = legend.to_owned();
    for (label, value) in &series.labels {
        name = name.replace(&format!("{{{{{label}}}}}"), value);
    }
    name
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_has_no_variable_left() {
        let expr = r#"sum(rate(a{namespace=~"$namespace",pool=~"$pool"}[$__rate_interval]))"#;
        assert_eq!(concrete(expr), r#"sum(rate(a{namespace=~".*",pool=~".*"}[8s]))"#);
    }

    #[test]
    fn every_dashboard_of_the_chart_can_be_read() {
        let boards = Board::all(&crate::private::repository().join("charts/tagfleet/dashboards")).unwrap();
        assert_eq!(boards.len(), 7);
        for panel in boards.iter().flat_map(|board| &board.panels) {
            assert!(panel.place[0] + panel.place[2] <= 24.0, "{}", panel.title);
            assert!(panel.queries.iter().all(|(expr, _)| !expr.contains('$')), "{:?}", panel.queries);
        }
    }
}
