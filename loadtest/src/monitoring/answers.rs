//! Everything that is asked of Prometheus has an answer, and one that can be true.

use super::boards::Board;
use super::now;
use super::prometheus::{Prometheus, Series};
use super::rules::Rules;

/// What became of the expressions of a dashboard.
pub struct Expressions {
    /// How many there are.
    pub asked: usize,
    /// Those that gave nothing, or nonsense.
    pub problems: Vec<String>,
    /// Of each panel.
    pub answers: Vec<Vec<(String, Series)>>,
}

/// Asks everything that a dashboard asks, about this span of time. What a panel shows where there is nothing to
/// show is left out: there has to be something.
pub async fn expressions(
    prometheus: &Prometheus,
    board: &Board,
    (from, to): (f64, f64),
) -> anyhow::Result<Expressions> {
    let mut told = Expressions { asked: 0, problems: Vec::new(), answers: Vec::new() };
    for panel in &board.panels {
        let answers = panel.ask(prometheus, from, to).await?;
        let at = format!("{}: {}", board.title, panel.title);
        for (expr, _) in &panel.queries {
            told.asked += 1;
            let expr = without_fallback(expr);
            if !gives_data(&prometheus.range(expr, from, to).await?) {
                told.problems.push(format!("{at}: no data: {expr}"));
            }
        }
        let values = answers.iter().flat_map(|(_, series)| &series.points).map(|point| point.1);
        if let Some(value) = values.filter(|value| value.is_finite()).find(|value| !panel.is_sane(*value)) {
            told.problems.push(format!("{at}: {value} {}", panel.unit));
        }
        told.answers.push(answers);
    }
    for expr in &board.annotations {
        told.asked += 1;
        if !gives_data(&prometheus.range(expr, from, to).await?) {
            told.problems.push(format!("{}: annotation without data: {expr}", board.title));
        }
    }
    for selector in &board.variables {
        told.asked += 1;
        if !prometheus.has_series(selector).await? {
            told.problems.push(format!("{}: no values for a variable: {selector}", board.title));
        }
    }
    Ok(told)
}

/// Every recording rule has given data of its range since `begun`, and every rule can be evaluated.
pub async fn rules(prometheus: &Prometheus, rules: &Rules, begun: f64) -> anyhow::Result<Vec<String>> {
    let mut problems = prometheus.sick_rules().await?;
    for record in rules.records() {
        let series = prometheus.range(&record, begun, now()).await?;
        if !gives_data(&series) {
            problems.push(format!("{record}: no data"));
        }
        let most = if is_share(&record) { 1.000_001 } else { f64::INFINITY };
        let values = series.iter().flat_map(|one| &one.points).map(|point| point.1);
        if let Some(value) =
            values.filter(|value| !value.is_nan()).find(|value| !(0.0..=most).contains(value))
        {
            problems.push(format!("{record}: {value}"));
        }
    }
    Ok(problems)
}

/// Whether this recording rule is a share, 0 to 1: its name says so.
fn is_share(record: &str) -> bool {
    record.rsplit(':').next().is_some_and(|last| last.starts_with("ratio"))
}

/// An expression without what it gives where there is nothing.
fn without_fallback(expr: &str) -> &str {
    let fallback =
        [" or vector(0)", " or label_replace(vector(0)"].iter().filter_map(|or| expr.find(or)).min();
    fallback.map_or(expr, |at| &expr[..at])
}

fn gives_data(series: &[Series]) -> bool {
    series.iter().flat_map(|one| &one.points).any(|point| point.1.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_panel_shows_where_there_is_nothing_is_no_data() {
        assert_eq!(without_fallback("sum(a) or vector(0)"), "sum(a)");
        let labelled = r#"sum by (b) (rate(a[5m])) or label_replace(vector(0), "b", "none", "", "")"#;
        assert_eq!(without_fallback(labelled), "sum by (b) (rate(a[5m]))");
        assert_eq!(without_fallback("a or b"), "a or b");
    }

    #[test]
    fn a_share_is_known_by_its_name() {
        assert!(is_share("tagfleet:late_images:ratio1h") && !is_share("tagfleet:drain_seconds:by_lane"));
    }
}
