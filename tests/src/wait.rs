//! Waiting for something to be true, instead of for time to pass.

use std::time::Duration;

use tagfleet_shared::config::foreign_variable;
use tokio::time::Instant;

use crate::repository;

/// The longest that anything in a test may take on a busy machine. No test
/// passes or fails by how fast it is.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Waits until `what` gives a value.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut probe: impl FnMut() -> F) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(Instant::now() < end, "waited {PATIENCE:?} in vain: {what}");
        // The one place that sleeps: between two looks.
        #[allow(clippy::disallowed_methods, reason = "what everybody else uses in its place")]
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Says that a test was skipped, and why.
pub fn skip(reason: &str) {
    tell(&format!("skipped: {reason}"));
}

/// Skips a test for want of `tool`; fails it where a CI machine runs it, or where `scripts/setup.sh` has promised
/// the tool (`.tagfleet/promised`).
pub fn lacks(tool: &str, reason: &str) {
    let promised = std::fs::read_to_string(repository().join(".tagfleet/promised")).unwrap_or_default();
    let is_ci = foreign_variable("CI").is_some();
    assert!(may_lack(tool, is_ci, &promised), "{reason}");
    skip(reason);
}

fn may_lack(tool: &str, is_ci: bool, promised: &str) -> bool {
    !is_ci && !promised.lines().any(|line| line == tool)
}

/// Says what a test found out, where it is seen: not through `println!`, whose
/// output the test runner keeps to itself when a test passes.
#[allow(clippy::explicit_write, reason = "eprintln! is captured like println!")]
pub fn tell(found: &str) {
    use std::io::Write;
    writeln!(std::io::stderr(), "{found}").unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_not_skipped_on_a_ci_machine_nor_where_setup_has_promised_the_tool() {
        assert!(may_lack("axe", false, ""));
        assert!(may_lack("axe", false, "chromedriver\nnode\n"));
        assert!(!may_lack("axe", false, "chromedriver\naxe\n"));
        assert!(!may_lack("axe", true, ""));
    }
}
