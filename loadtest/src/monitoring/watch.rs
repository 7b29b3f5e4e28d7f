//! What fires, and when it may: an alert that fires without its fault is as bad as one that does not fire.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::prometheus::{Active, Prometheus};
use super::rules::Rules;
use super::{now, say};

/// The longest that an alert may take to fire, and to be silent again. Much longer than it does: this machine may
/// be busy.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// How often Prometheus is asked.
const LOOK: Duration = Duration::from_millis(200);

/// Looks in a row that have to see silence: rules are evaluated every second, and a condition that comes and
/// goes is not over.
const LOOKS: u32 = 12;

/// An alert, by its name and those of its labels that matter.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    alert: &'static str,
    label: Option<(&'static str, &'static str)>,
}

/// The alert of this name, whatever its labels.
pub const fn any(alert: &'static str) -> Expected {
    Expected { alert, label: None }
}

/// The alert of this name with this label.
pub const fn of(alert: &'static str, label: &'static str, value: &'static str) -> Expected {
    Expected { alert, label: Some((label, value)) }
}

impl Expected {
    fn is(&self, active: &Active) -> bool {
        let labelled = |(label, value): (&str, &str)| active.labels.get(label).is_some_and(|is| is == value);
        active.alert == self.alert && self.label.is_none_or(labelled)
    }

    fn shown(&self) -> String {
        let label = self.label.map(|(label, value)| format!("{{{label}={value:?}}}"));
        format!("{}{}", self.alert, label.unwrap_or_default())
    }
}

/// A time in which an alert may fire.
struct Allowed {
    alert: &'static str,
    fault: &'static str,
    from: f64,
    until: f64,
}

/// Looks at the alerts of a Prometheus.
pub struct Watch {
    prometheus: Prometheus,
    allowed: Mutex<Vec<Allowed>>,
    fired: Mutex<Vec<&'static str>>,
    problems: Mutex<Vec<String>>,
}

impl Watch {
    /// Looks at those of this one.
    pub fn new(prometheus: Prometheus) -> Self {
        let (allowed, fired, problems) = Default::default();
        Self { prometheus, allowed, fired, problems }
    }

    /// Whom it asks.
    pub fn prometheus(&self) -> &Prometheus {
        &self.prometheus
    }

    /// From now on these may fire: the fault of this name is about to begin, or they follow from it.
    pub async fn begins(&self, fault: &'static str, alerts: &[Expected]) {
        let from = now();
        let allowed =
            |expected: &Expected| Allowed { alert: expected.alert, fault, from, until: f64::INFINITY };
        self.allowed.lock().await.extend(alerts.iter().map(allowed));
    }

    /// Waits until all of these fire. One that does not is told in the end: what comes after it is worth
    /// knowing, too.
    pub async fn fire(&self, fault: &'static str, alerts: &[Expected]) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut waiting = alerts.to_vec();
        while !waiting.is_empty() && begun.elapsed() < PATIENCE {
            let active = self.prometheus.active().await?;
            waiting.retain(|expected| !active.iter().any(|one| one.fires && expected.is(one)));
            tokio::time::sleep(LOOK).await;
        }
        self.fired.lock().await.extend(alerts.iter().map(|expected| expected.alert));
        self.told(fault, "fires", alerts, &waiting, begun).await;
        Ok(())
    }

    /// The fault of this name is mended: waits until all that it allowed is silent, and allows it no longer.
    pub async fn ends(&self, fault: &'static str) -> anyhow::Result<()> {
        let begun = Instant::now();
        let names: Vec<&'static str> = {
            let allowed = self.allowed.lock().await;
            allowed.iter().filter(|one| one.fault == fault).map(|one| one.alert).collect()
        };
        let (mut loud, mut silent) = (Vec::new(), 0);
        while silent < LOOKS && begun.elapsed() < PATIENCE {
            let active = self.prometheus.active().await?;
            loud =
                names.iter().filter(|name| active.iter().any(|one| one.alert == **name)).copied().collect();
            silent = if loud.is_empty() { silent + 1 } else { 0 };
            tokio::time::sleep(LOOK).await;
        }
        for one in self.allowed.lock().await.iter_mut().filter(|one| one.fault == fault) {
            one.until = now();
        }
        let fired = self.fired.lock().await.clone();
        let all: Vec<_> = names.into_iter().filter(|name| fired.contains(name)).map(any).collect();
        let loud: Vec<_> = loud.into_iter().map(any).collect();
        self.told(fault, "is silent", &all, &loud, begun).await;
        Ok(())
    }

    async fn told(&self, fault: &str, does: &str, alerts: &[Expected], missing: &[Expected], begun: Instant) {
        let names = |alerts: &[Expected]| alerts.iter().map(Expected::shown).collect::<Vec<_>>().join(", ");
        let seconds = begun.elapsed().as_secs();
        if missing.is_empty() {
            say(&format!("{fault}: {does} after {seconds} s: {}", names(alerts)));
            return;
        }
        self.problem(format!("{fault}: not within {seconds} s: {does}: {}", names(missing))).await;
    }

    /// Something else that is not as it must be.
    pub async fn problem(&self, problem: String) {
        say(&problem);
        self.problems.lock().await.push(problem);
    }

    /// What was not as it must be since `well`: alerts that nobody made fire, those that did not fire or did not
    /// end, and those that fired when they may not.
    pub async fn problems(&self, rules: &Rules, well: f64) -> anyhow::Result<Vec<String>> {
        let mut problems = self.problems.lock().await.clone();
        let (allowed, fired) = (self.allowed.lock().await, self.fired.lock().await);
        for alert in rules.alerts() {
            if !fired.contains(&alert.name.as_str()) {
                problems.push(format!("{}: nothing here makes it fire", alert.name));
            }
            let firing = format!("ALERTS{{alertname=\"{}\",alertstate=\"firing\"}}", alert.name);
            for series in self.prometheus.range(&firing, well, now()).await? {
                let may = |at: f64| {
                    let mut of_it = allowed.iter().filter(|one| one.alert == alert.name);
                    of_it.any(|one| (one.from..=one.until).contains(&at))
                };
                if let Some((at, _)) = series.points.iter().find(|(at, _)| !may(*at)) {
                    let labels = &series.labels;
                    problems.push(format!(
                        "{} fired without its fault, {:.0} s after all was well: {labels:?}",
                        alert.name,
                        at - well
                    ));
                }
            }
        }
        Ok(problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active(alert: &str, labels: &[(&str, &str)]) -> Active {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Active { alert: alert.to_owned(), labels, fires: true }
    }

    #[test]
    fn an_alert_of_another_server_is_not_the_one_that_is_expected() {
        let expected = of("TagfleetServerAway", "server", "broker");
        assert!(expected.is(&active("TagfleetServerAway", &[("server", "broker")])));
        assert!(!expected.is(&active("TagfleetServerAway", &[("server", "database")])));
        assert!(!expected.is(&active("TagfleetPublishingBlocked", &[("server", "broker")])));
        assert!(any("TagfleetServerAway").is(&active("TagfleetServerAway", &[("server", "database")])));
    }
}
