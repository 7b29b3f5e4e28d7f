//! A Prometheus of one's own, on this machine alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::rules::Rules;
use crate::bench::process::free_port;

/// The longest that it may take to start.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// What is scraped: an address, and the labels that a cluster would give it.
pub struct Target {
    /// Address and port.
    pub address: String,
    /// Such as `pod`.
    pub labels: BTreeMap<&'static str, String>,
}

/// The points of one series: seconds since the epoch, and the value.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// In the order of time.
    pub points: Vec<(f64, f64)>,
}

/// An alert whose condition holds.
#[derive(Clone, Debug)]
pub struct Active {
    /// Its name.
    pub alert: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether the condition has held for long enough.
    pub fires: bool,
}

/// A running Prometheus. Killed when it is dropped.
pub struct Prometheus {
    _child: Child,
    url: String,
    http: reqwest::Client,
}

impl Prometheus {
    /// Starts one that scrapes these every second, and evaluates `rules` as often. Its files go into `folder`.
    pub async fn start(
        program: &Path,
        folder: &Path,
        rules: &Rules,
        targets: &[Target],
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        std::fs::write(folder.join("rules.json"), rules.text())?;
        let config = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.json"],
            "scrape_configs": [{
                "job_name": "fleet",
                "static_configs": targets.iter()
                    .map(|target| json!({"targets": [target.address], "labels": target.labels})).collect::<Vec<_>>(),
            }],
        });
        std::fs::write(folder.join("prometheus.yml"), config.to_string())?;
        let (log, port) = (folder.join("prometheus.log"), free_port()?);
        let child = Command::new(program)
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn"])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| program.display().to_string())?;
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
        let started = Self { _child: child, url: format!("http://127.0.0.1:{port}"), http };
        started.until_ready(&log).await?;
        Ok(started)
    }

    async fn until_ready(&self, log: &Path) -> anyhow::Result<()> {
        let end = Instant::now() + STARTS_WITHIN;
        loop {
            let answer = self.http.get(format!("{}/-/ready", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if Instant::now() > end {
                bail!("Prometheus does not start: see {}", log.display());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn ask(&self, path: &str, parameters: &[(&str, String)]) -> anyhow::Result<Value> {
        let mut url: url::Url = format!("{}/api/v1/{path}", self.url).parse()?;
        url.query_pairs_mut().extend_pairs(parameters.iter().map(|(key, value)| (*key, value)));
        let body = self.http.get(url).send().await?.bytes().await?;
        let mut answer: Value = serde_json::from_slice(&body)?;
        if answer["status"] != "success" {
            bail!("{}", answer["error"].as_str().unwrap_or("no reason"));
        }
        Ok(answer["data"].take())
    }

    /// What an expression gives over a span of time, a point for each second.
    pub async fn range(&self, expr: &str, from: f64, to: f64) -> anyhow::Result<Vec<Series>> {
        let step = ((to - from) / 300.0).max(1.0).floor();
        let parameters = [
            ("query", expr.to_owned()),
            ("start", from.to_string()),
            ("end", to.to_string()),
            ("step", step.to_string()),
        ];
        let data = self.ask("query_range", &parameters).await?;
        Ok(data["result"].as_array().into_iter().flatten().filter_map(series).collect())
    }

    /// Labels of the series that this selects, whether there is any.
    pub async fn has_series(&self, selector: &str) -> anyhow::Result<bool> {
        let data = self.ask("series", &[("match[]", selector.to_owned())]).await?;
        Ok(data.as_array().is_some_and(|series| !series.is_empty()))
    }

    /// What an expression gives now: the largest of its values, 0 where it gives none.
    pub async fn value(&self, expr: &str) -> anyhow::Result<f64> {
        let data = self.ask("query", &[("query", expr.to_owned())]).await?;
        let results = data["result"].as_array().into_iter().flatten();
        let values = results.filter_map(|result| result["value"][1].as_str()?.parse::<f64>().ok());
        Ok(values.filter(|value| value.is_finite()).fold(0.0, f64::max))
    }

    /// Alerts whose condition holds now.
    pub async fn active(&self) -> anyhow::Result<Vec<Active>> {
        let data = self.ask("alerts", &[]).await?;
        let active = |alert: &Value| {
            let labels = alert["labels"].as_object()?.iter();
            Some(Active {
                alert: alert["labels"]["alertname"].as_str()?.to_owned(),
                labels: labels
                    .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                    .collect(),
                fires: alert["state"] == "firing",
            })
        };
        Ok(data["alerts"].as_array().into_iter().flatten().filter_map(active).collect())
    }

    /// Rules that could not be evaluated, with the reason.
    pub async fn sick_rules(&self) -> anyhow::Result<Vec<String>> {
        let data = self.ask("rules", &[]).await?;
        let groups = data["groups"].as_array().into_iter().flatten();
        let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
        let sick = rules.filter(|rule| rule["health"] != "ok");
        Ok(sick.map(|rule| format!("{}: {} {}", rule["name"], rule["health"], rule["lastError"])).collect())
    }
}

fn series(result: &Value) -> Option<Series> {
    let labels = result["metric"].as_object()?.iter();
    let point = |point: &Value| Some((point[0].as_f64()?, point[1].as_str()?.parse().ok()?));
    Some(Series {
        labels: labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect(),
        points: result["values"].as_array()?.iter().filter_map(point).collect(),
    })
}
