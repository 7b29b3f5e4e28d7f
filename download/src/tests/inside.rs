//! A network of its own for one test. Linux gives one to whoever asks: `unshare --net`.

use std::process::{Command, Stdio};

/// Set for the test that runs again inside.
const INSIDE: &str = "TAGFLEET_TEST_INSIDE";

/// Runs the test called `name`, all of which is `test`, in a network and among mounts of its own that
/// `set_up` has prepared. Where this system does not allow it, the test says so and is skipped.
pub fn run<T: Future<Output = ()>>(name: &str, set_up: &str, test: impl FnOnce() -> T) {
    if tagfleet_shared::config::foreign_variable(INSIDE).is_some() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        return runtime.block_on(test());
    }
    let program = std::env::current_exe().unwrap();
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", "--mount", "sh", "-ec", script]).arg(&program);
        command.args(["--exact", name, "--nocapture"]);
        command
    };
    let possible = unshare(set_up).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !possible.is_ok_and(|status| status.success()) {
        return crate::skip(format_args!("no network of its own for a test (unshare, ip)"));
    }
    let mut command = unshare(&format!("{set_up}; exec \"$0\" \"$@\""));
    let passed = command.env(INSIDE, "yes").status().is_ok_and(|status| status.success());
    assert!(passed, "see above");
}
