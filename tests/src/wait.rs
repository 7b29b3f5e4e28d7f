//! Waiting for something to be true, instead of for time to pass.

use std::time::Duration;

use tagfleet_shared::config::foreign_variable;
use tokio::time::Instant;

/// The longest that anything in a test may take on a busy machine. No test
/// passes or fails by how fast it is.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until `what` gives a value.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut probe: impl FnMut() -> F) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(Instant::now() < end, "waited {PATIENCE:?} in vain: {what}");
        // The one place that sleeps: between two looks.
        #[allow(clippy::disallowed_methods)]
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Says that a test was skipped, and why.
pub fn skip(reason: &str) {
    tell(&format!("skipped: {reason}"));
}

/// Says that a test was skipped for want of a tool, and who installs it. On a CI machine, where everything is installed,
/// that is a failure.
///
/// # Panics
///
/// Where `CI` is set.
pub fn skip_for_want_of(tool: &str) {
    assert!(foreign_variable("CI").is_none(), "not to be skipped where CI is set: {tool}");
    skip(tool);
}

/// Says what a test found out, where it is seen: not through `println!`, whose
/// output the test runner keeps to itself when a test passes.
#[allow(clippy::explicit_write, reason = "eprintln! is captured like println!")]
pub fn tell(found: &str) {
    use std::io::Write;
    writeln!(std::io::stderr(), "{found}").unwrap();
}
