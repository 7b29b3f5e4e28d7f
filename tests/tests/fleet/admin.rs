//! What operators look at.

use tagfleet_tests::{Fleet, Process, eventually, get, listed, metric, scrape};

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_fleet_says_so_and_counts_its_work() {
    let fleet = Fleet::start().await;
    let mut images: Vec<_> = fleet.pictures(4).into_iter().map(listed).collect();
    images.push(listed(fleet.origin.url("/gone.jpg")));
    fleet.tag(&scrape("dealer", images)).await;

    let (worker, scheduler) = (fleet.workers[0].admin, fleet.schedulers[0].admin);
    for admin in [worker, scheduler] {
        assert_eq!(get(admin, "/healthz").await, (200, "ok\n".to_owned()));
        let body = eventually("it is ready", || async {
            let (status, body) = get(admin, "/readyz").await;
            (status == 200).then_some(body)
        })
        .await;
        for check in ["database: ok", "broker: ok", "consumers: ok"] {
            assert!(body.contains(check), "{body}");
        }
    }
    let text = eventually("the last job is let go", || async {
        let text = get(worker, "/metrics").await.1;
        (metric(&text, "tagfleet_worker_jobs_in_flight") == 0.0).then_some(text)
    })
    .await;
    assert_eq!(metric(&text, r#"tagfleet_worker_jobs_total{outcome="inferred",reason=""}"#), 4.0);
    assert_eq!(metric(&text, r#"tagfleet_worker_jobs_total{outcome="skipped",reason="gone"}"#), 1.0);
    assert_eq!(metric(&text, r#"tagfleet_worker_cache_lookups_total{tier="nowhere"}"#), 5.0);
    assert_eq!(metric(&text, r#"tagfleet_worker_job_wait_seconds_count{lane="express"}"#), 5.0);
    for stage in ["lookup", "download", "match", "decode", "infer", "record"] {
        assert!(
            metric(&text, &format!(r#"tagfleet_worker_stage_seconds_count{{stage="{stage}"}}"#)) > 0.0,
            "{stage}"
        );
    }
    assert!(text.contains(r#"provider="cpu""#), "the provider in use is told");
    let text = get(scheduler, "/metrics").await.1;
    assert_eq!(metric(&text, "tagfleet_scheduler_jobs_published_total"), 5.0);
    fleet.end().await;
}

/// As after a fail-over to the wrong server: it answers, and nothing can be written.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_ready_while_the_database_is_read_only() {
    let fleet = Fleet::start().await;
    let console = fleet.start_console().await;
    let admins = [fleet.workers[0].admin, fleet.schedulers[0].admin, console.admin];

    for (setting, line) in [("on", "database: away: it is read-only"), ("off", "database: ok")] {
        // New sessions begin with it, so there is no other.
        let sql = format!(
            "BEGIN READ WRITE;
             DO $$ BEGIN
                 EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {setting}', current_database());
             END $$;
             COMMIT;
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        );
        fleet.database.pool.get().await.unwrap().batch_execute(&sql).await.unwrap();
        for admin in admins {
            let told = || async { get(admin, "/readyz").await.1.contains(line).then_some(()) };
            eventually(line, told).await;
        }
    }
    console.stop().await;
    fleet.end().await;
}

#[tokio::test]
async fn the_config_command_hides_passwords_and_a_typo_is_told_by_its_key() {
    for binary in ["tagfleet-worker", "tagfleet-scheduler"] {
        let urls = [
            ("TAGFLEET__BROKER__URL", "amqp://fleet:hunter2@broker/%2f"),
            ("TAGFLEET__DATABASE__URL", "postgres://fleet:hunter2@db/tagfleet"),
        ];
        let shown = Process::command(binary).arg("config").envs(urls).output().unwrap();
        let text = String::from_utf8(shown.stdout).unwrap();
        assert!(
            shown.status.success() && text.contains("[broker]") && text.contains("prefix = \"tagfleet\""),
            "{text}"
        );
        assert!(!text.contains("hunter2"), "{text}");

        let wrong = [("TAGFLEET__BROKER__PREFFIX", "x"), ("TAGFLEET__DATABASE__POOL_SIZE", "many")];
        let refused = Process::command(binary).arg("config").envs(urls).envs(wrong).output().unwrap();
        let text = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success());
        assert!(
            text.contains("did you mean broker.prefix?") && text.contains("database.pool_size"),
            "{text}"
        );
    }
}
