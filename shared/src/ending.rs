//! How a program ends, and what it says last.

use std::process::ExitCode;

/// The exit code of a program that has `done` what it was asked to. Where it could not, its last line
/// says why: the whole chain of causes in one line, for that line is what Kubernetes shows of a pod.
pub fn code(done: anyhow::Result<ExitCode>) -> ExitCode {
    code_or(done, ExitCode::FAILURE)
}

/// The same with another code where it could not.
#[allow(clippy::print_stderr, reason = "the log may not be open yet, or filter it")]
pub fn code_or(done: anyhow::Result<ExitCode>, failure: ExitCode) -> ExitCode {
    done.unwrap_or_else(|error| {
        eprintln!("Error: {}", in_one_line(&error));
        failure
    })
}

/// The whole chain of causes, every cause once: some errors say themselves what their source says.
pub fn in_one_line(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |line, cause| match line.as_str() {
        "" => cause,
        said if said.contains(&cause) => line,
        said => format!("{said}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::in_one_line;

    #[test]
    fn the_whole_chain_of_causes_is_one_line() {
        let error = anyhow!("connection refused").context("the database is away").context("cannot start");
        assert_eq!(in_one_line(&error), "cannot start: the database is away: connection refused");
    }

    #[test]
    fn a_cause_that_was_said_already_is_not_said_again() {
        let error = anyhow!("connection refused")
            .context("no connection: connection refused")
            .context("cannot start");
        assert_eq!(in_one_line(&error), "cannot start: no connection: connection refused");
    }
}
