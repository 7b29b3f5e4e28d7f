//! Every command of docs/RUNBOOK.md runs: at three in the morning is no time to find out which do not.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tagfleet_shared::config::foreign_variable;
use tagfleet_tests::{Fleet, eventually, listed, program, repository, scrape, skip};

/// The broker's own tools, which need its node: `scripts/services.sh` has them for the one that it started.
const BROKERS_TOOLS: [&str; 3] = ["rabbitmqctl", "rabbitmq-queues", "rabbitmq-diagnostics"];

/// Those of a cluster are for `scripts/monitoring-cluster.sh`.
fn commands() -> Vec<String> {
    let output = Command::new("python3")
        .args(["scripts/runbook.py", "commands"])
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// A folder of programs by the names that the runbook calls them by.
fn tools() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runbook");
    std::fs::create_dir_all(&folder).unwrap();
    for tool in BROKERS_TOOLS {
        let script =
            format!("#!/bin/sh\nexec {}/scripts/services.sh {tool} \"$@\"\n", repository().display());
        let path = folder.join(tool);
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

/// The id of the oldest dead letter, which stays where it is.
async fn first_letter(fleet: &Fleet) -> String {
    let mut letters = fleet.broker.dead_letters().await.unwrap();
    let first = letters.next().await.unwrap();
    letters.close().await.unwrap();
    first.map(|letter| letter.id).unwrap_or_default()
}

/// Runs a line of the runbook, with everything in place that it names.
fn run(fleet: &Fleet, dead_letter: &str, line: &str) -> Output {
    let topology = fleet.broker.topology();
    let line = line
        .replace("POD:9091", &fleet.schedulers[0].admin.to_string())
        .replace("POD:9090", &fleet.workers[0].admin.to_string())
        .replace("QUEUE", &topology.dead())
        .replace("REASON", "malformed_event")
        .replace("--id ID", &format!("--id {dead_letter}"))
        // Nothing but the status tells a path that there is not from one that there is.
        .replace("curl ", "curl --no-progress-meter --fail ");
    let line = if line.starts_with("SELECT ") {
        format!("psql \"$DATABASE_URL\" -c \"{}\"", line.replace('"', "\\\""))
    } else {
        line
    };
    // Until a person ends it: here after it has told everything once.
    let line = if line.ends_with("--watch") { format!("{line} | head -n 5") } else { line };
    let path = [tools(), program().parent().unwrap().to_owned()];
    let usual = foreign_variable("PATH").unwrap();
    let path = path.into_iter().chain(std::env::split_paths(&usual));
    Command::new("bash")
        .args(["-c", &line])
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("DATABASE_URL", &fleet.database.url)
        .envs(fleet.settings_of_scheduler())
        .current_dir(repository())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_runbook_runs() {
    let fleet = Fleet::start().await;
    fleet.tag(&scrape("dealer", vec![listed(fleet.picture("/good.jpg"))])).await;
    fleet.publish_bytes(b"{}".to_vec()).await;
    eventually("the malformed event is a dead letter", || async {
        (fleet.dead_letters().await == 1).then_some(())
    })
    .await;
    let brokers_own = foreign_variable("TAGFLEET_PRIVATE_AMQP_URL").is_some();
    if !brokers_own {
        skip("the broker's own tools: RabbitMQ is not ours");
    }

    // What there is to be dropped has to be there: that comes last.
    let mut lines = commands();
    lines.sort_by_key(|line| line.contains(" drop "));
    assert!(lines.len() > 30, "{lines:#?}");
    let mut failed = Vec::new();
    for line in &lines {
        if !brokers_own && BROKERS_TOOLS.iter().any(|tool| line.starts_with(tool)) {
            continue;
        }
        let letter = first_letter(&fleet).await;
        let output = tokio::task::block_in_place(|| run(&fleet, &letter, line));
        // A dead letter is there: `status` says so by its exit code, too.
        let well = output.status.success() || line.starts_with("tagfleet-scheduler status");
        // There are no dead letters of other reasons.
        let says = !output.stdout.is_empty() || line.contains(" dead show ");
        if !well || !says {
            failed.push(format!("{line}\n  {}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert_eq!(fleet.dead_letters().await, 0, "the last command has dropped it");
    fleet.end().await;
}
