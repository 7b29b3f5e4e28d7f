//! A worker that starts is a worker that works; one that cannot takes no job.

use tagfleet_tests::{
    Fleet, ModelFolder, Options, Process, eventually, has_gpu, listed, scrape, single_picture_model, skip,
    without_selftest,
};

/// Starts a worker that shall refuse to; what it logs. The jobs are all left.
async fn refusal(settings: Vec<(&'static str, String)>) -> String {
    let fleet = Fleet::with(Options { workers: 0, settings, ..Options::default() }).await;
    let event = scrape("dealer", fleet.pictures(3).into_iter().map(listed).collect());
    fleet.publish(&event).await;
    let jobs = || async {
        let mut ready = 0;
        for queue in fleet.broker.topology().queues() {
            ready += fleet.broker.depth(&queue).await.ok()?.0;
        }
        Some(ready)
    };
    eventually("the jobs are there", || async { jobs().await.filter(|&ready| ready == 3) }).await;

    let worker = fleet.spawn_worker();
    let log = worker.log.clone();
    assert_eq!(worker.exit_code().await, Some(1));

    assert_eq!(jobs().await, Some(3), "no job was taken");
    assert_eq!(fleet.origin.total_requests(), 0);
    fleet.abandon().await;
    std::fs::read_to_string(log).unwrap()
}

/// ONNX Runtime by itself would take the CPU without a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_refuses_to_start_without_the_gpu_that_it_was_told_to_use() {
    if has_gpu() {
        skip("this machine has a GPU");
        return;
    }
    let log = refusal(vec![("TAGFLEET__RUNTIME__DEVICE", "cuda:0".into())]).await;
    // What Kubernetes shows of the pod: one line with every cause.
    let last = log.lines().last().unwrap_or_default();
    assert!(last.starts_with("Error: cannot start the worker: cuda:0 cannot be had: "), "{log}");
}

/// The set's own pictures are asked about one by one: only the warm-up runs a full
/// batch before the worker is ready.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_refuses_to_start_with_a_set_that_its_warm_up_breaks() {
    let folder = ModelFolder::new("warm-up");
    single_picture_model(&folder);
    let log = refusal(vec![folder.setting()]).await;
    assert!(log.contains("cannot start the worker") && log.contains(r#"stage alone: "#), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_without_a_test_is_told_of() {
    let folder = ModelFolder::new("untested");
    without_selftest(&folder);
    let mut fleet =
        Fleet::with(Options { workers: 0, settings: vec![folder.setting()], ..Options::default() }).await;
    let worker = fleet.spawn_worker();
    eventually("it is told", || async {
        worker.logged().contains("has no [[selftest]] pictures").then_some(())
    })
    .await;
    assert!(worker.terminate().await);
    fleet.start_worker().await;
    fleet.end().await;
}

/// What a program says that has no setting but this one, and its exit code.
fn said(binary: &str, command: &str, setting: (&str, &str)) -> (Option<i32>, String) {
    let mut program = Process::command(binary);
    for name in ["TAGFLEET__BROKER__URL", "TAGFLEET__DATABASE__URL"] {
        program.env_remove(name);
    }
    let output = program.arg(command).env(setting.0, setting.1).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Helm prints it of the hook that failed, and Kubernetes of its pod.
#[test]
fn a_migration_without_a_database_says_so_in_one_line() {
    let nowhere = ("TAGFLEET__DATABASE__URL", "postgres://tagfleet:hush@127.0.0.1:9/tagfleet");
    let (code, log) = said("tagfleet-scheduler", "migrate", nowhere);
    assert_eq!((code, log.lines().count()), (Some(1), 1), "{log}");
    let began =
        "Error: database.url postgres://tagfleet:hidden@127.0.0.1:9/tagfleet: no database connection: ";
    assert!(log.starts_with(began) && log.contains("refused"), "{log}");
    assert!(!log.contains("hush"), "{log}");
}

#[test]
fn a_setting_that_is_missing_is_one_line_in_every_program() {
    let database = ("TAGFLEET__DATABASE__URL", "postgres://tagfleet@127.0.0.1:9/tagfleet");
    for program in ["tagfleet-scheduler", "tagfleet-worker", "tagfleet-console"] {
        let missing =
            "Error: the configuration has a problem: broker.url is required (TAGFLEET__BROKER__URL)\n";
        assert_eq!(said(program, "run", database), (Some(1), missing.to_owned()), "{program}");
    }
}

/// Whoever goes back by an upgrade, as tools do that go by a repository, migrates with the older program.
#[tokio::test(flavor = "multi_thread")]
async fn a_schema_of_a_later_release_is_left_as_it_is() {
    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, ..Options::default() }).await;
    let later = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) VALUES (1000, 'later', '', '1')";
    fleet.execute(later).await;
    let migrated = || {
        let mut command = Process::command("tagfleet-scheduler");
        command.arg("migrate").envs(fleet.settings_of_scheduler());
        command.output().unwrap()
    };

    let output = migrated();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let log = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("the schema is that of a later release (V1000), nothing to do"), "{log}");

    // One that lacks what this release knows is no later one, whatever else it has.
    fleet.execute("DELETE FROM refinery_schema_history WHERE version = 2").await;
    assert!(!migrated().status.success());
    fleet.end().await;
}
