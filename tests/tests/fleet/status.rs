//! `tagfleet-scheduler status`: the fleet in a terminal.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;
use tagfleet_loadtest::origin::Response;
use tagfleet_shared::events::ScrapeFinished;
use tagfleet_shared::lane::Lane;
use tagfleet_tests::{Fleet, Options, Process, eventually, listed, scrape, signal};

/// Its exit code and what it printed.
async fn status(fleet: &Fleet, arguments: &[&str]) -> (Option<i32>, String) {
    status_with(fleet, arguments, &[]).await
}

async fn status_with(fleet: &Fleet, arguments: &[&str], settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Process::command("tagfleet-scheduler");
    command.arg("status").args(arguments).envs(fleet.settings_of_scheduler());
    command.envs(settings.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

async fn json(fleet: &Fleet) -> (Option<i32>, Value) {
    let (code, text) = status(fleet, &["--json"]).await;
    (code, serde_json::from_str(&text).unwrap())
}

fn lane<'a>(status: &'a Value, lane: &str) -> &'a Value {
    status["lanes"].as_array().unwrap().iter().find(|one| one["lane"] == lane).unwrap()
}

fn alerts(status: &Value) -> Vec<&str> {
    status["alerts"].as_array().unwrap().iter().map(|alert| alert["alert"].as_str().unwrap()).collect()
}

/// Workers report often enough for a test, and are not silent where a report is late.
fn reporting() -> Options {
    Options { settings: vec![("TAGFLEET__REPORT__EVERY", "2s".into())], ..Options::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_is_well_says_so_and_names_its_workers() {
    let fleet = Fleet::with(reporting()).await;
    let mut images: Vec<_> = fleet.pictures(3).into_iter().map(listed).collect();
    images.push(listed(fleet.origin.url("/gone.jpg")));
    let event = scrape("dealer", images);
    fleet.tag(&event).await;

    let (code, told) = eventually("the worker reports what was skipped", || async {
        let (code, told) = json(&fleet).await;
        (!told["failures"].as_array()?.is_empty()).then_some((code, told))
    })
    .await;

    assert_eq!((code, alerts(&told)), (Some(0), vec![]), "{told:#}");
    let worker = &told["workers"][0];
    assert_eq!((worker["pool"].as_str(), worker["provider"].as_str()), (Some("default"), Some("cpu")));
    assert!(worker["model_set"].as_str().unwrap().starts_with("vehicles-"), "{worker}");
    assert_eq!(worker["silent"], false);
    for server in told["servers"].as_array().unwrap() {
        assert!(server["error"].is_null() && server["took_ms"].is_u64(), "{server}");
    }
    let express = lane(&told, "express");
    assert_eq!(
        (&express["ready"], &express["untagged"], &express["consumers"]),
        (&0.into(), &0.into(), &1.into())
    );
    let failure = &told["failures"][0];
    assert_eq!((failure["outcome"].as_str(), failure["reason"].as_str()), (Some("skipped"), Some("gone")));
    assert_eq!(failure["scrape_id"].as_str(), Some(event.scrape_id.0.as_str()));
    assert_eq!(failure["host"], "127.0.0.1");

    let (code, page) = status(&fleet, &[]).await;
    assert_eq!(code, Some(0), "{page}");
    for words in ["no alert would fire", "express", "127.0.0.1", "gone", "database  ok", "not known here"] {
        assert!(page.contains(words), "no {words:?} in\n{page}");
    }
    fleet.end().await;
}

/// Nobody works: what waits is told by lane, and the exit code says that somebody should look.
#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_without_workers_tells_what_waits_and_which_alert_would_fire() {
    let fleet = Fleet::with(Options { workers: 0, ..reporting() }).await;
    let urls = fleet.pictures(5);
    let event = ScrapeFinished {
        lane: Some(Lane::Standard),
        ..scrape("dealer", urls.into_iter().map(listed).collect())
    };
    fleet.publish(&event).await;

    let (code, told) = eventually("all five jobs wait", || async {
        let (code, told) = json(&fleet).await;
        (lane(&told, "standard")["ready"] == 5).then_some((code, told))
    })
    .await;

    let standard = lane(&told, "standard");
    assert_eq!((code, &standard["untagged"]), (Some(1), &5.into()), "{told:#}");
    assert!(standard["drain_seconds"].is_null(), "nothing comes to its end: {standard}");
    assert_eq!(alerts(&told), ["TagfleetLaneWithoutWorker"]);
    assert_eq!((&told["scrapes"]["tagging"], &told["scrapes"]["stuck"]), (&1.into(), &0.into()));

    // The same with less patience, and after a minute of it.
    fleet.execute("UPDATE scrapes SET received_at = now() - interval '3 minutes'").await;
    let impatient = [("TAGFLEET__ALERTS__OLDEST_STANDARD", "2m")];
    let (code, page) = status_with(&fleet, &[], &impatient).await;
    assert_eq!(code, Some(1));
    for words in ["TagfleetNothingTagged", "TagfleetImagesWait", "never", "3m "] {
        assert!(page.contains(words), "no {words:?} in\n{page}");
    }
    fleet.abandon().await;
}

/// What was put off waits in no lane: nobody can be quicker than its host allows.
#[tokio::test(flavor = "multi_thread")]
async fn images_that_their_host_puts_off_are_no_alert() {
    let fleet = Fleet::with(reporting()).await;
    fleet.origin.put(
        "/1.jpg",
        Response::StatusThenBytes {
            status: 429,
            times: u64::MAX,
            headers: vec![("Retry-After", "1800".to_owned())],
            body: Vec::new().into(),
        },
    );
    fleet.publish(&scrape("dealer", vec![listed(fleet.origin.url("/1.jpg"))])).await;
    eventually("it is put off", || async {
        let (_, told) = json(&fleet).await;
        let put_off = told["queues"].as_array()?.iter().any(|queue| {
            queue["queue"].as_str().is_some_and(|name| name.starts_with("retry.")) && queue["ready"] == 1
        });
        (put_off && lane(&told, "express")["at_work"] == 0).then_some(())
    })
    .await;
    fleet.execute("UPDATE scrapes SET received_at = now() - interval '5 minutes'").await;

    let (code, told) = json(&fleet).await;

    assert_eq!((code, alerts(&told)), (Some(0), vec![]), "{told:#}");
    assert_eq!(lane(&told, "express")["untagged"], 1);
    fleet.abandon().await;
}

/// A pool that is paid for its GPUs and computes on the CPU is told, also where all its workers do.
#[tokio::test(flavor = "multi_thread")]
async fn a_gpu_pool_on_the_cpu_and_shares_that_are_never_right_are_told() {
    let fleet = Fleet::with(reporting()).await;
    fleet
        .execute(
            "INSERT INTO worker_reports (worker, pool, version, model_set, digest, provider, started_at, every_seconds, lanes,
                                         failures, endings)
             VALUES ('gpu/1', 'gpu', '1', 'set', 'd', 'cpu', now(), 3600, '{}', '[]',
                     '{\"ended\":1000,\"skipped\":510,\"defaulted\":300,\"inferred\":170,\"failed\":20}')",
        )
        .await;
    assert_eq!(
        alerts(&json(&fleet).await.1),
        ["TagfleetDefaultsHigh", "TagfleetSkipsHigh", "TagfleetModelsFail"],
        "whose GPUs these are is a setting"
    );

    let settings = [("TAGFLEET__ALERTS__GPU_POOLS", "gpu")];
    let (code, page) = status_with(&fleet, &[], &settings).await;

    assert_eq!(code, Some(1));
    for words in ["TagfleetWrongProvider (after 10m): 1 workers of pool gpu run on the CPU", "51.0 % skipped"]
    {
        assert!(page.contains(words), "no {words:?} in\n{page}");
    }
    fleet.end().await;
}

/// All its images have their outcome, and the listing site has not heard of it: it is not done.
#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_that_is_tagged_and_not_announced_is_told_and_none_of_its_images_wait() {
    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, ..reporting() }).await;
    fleet
        .execute(
            "INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, received_at, listed, published_at, outcomes, tagged_at)
             VALUES ('untold', 'dealer', 'express', 'tagged', now()::date, now(), now() - interval '2 hours', 7,
                     now() - interval '2 hours', '{}', now() - interval '1 hour')",
        )
        .await;

    let (code, told) = json(&fleet).await;

    let scrapes = &told["scrapes"];
    assert_eq!(
        (&scrapes["announcing"], &scrapes["tagging"], &scrapes["stuck"]),
        (&1.into(), &0.into(), &1.into())
    );
    let express = lane(&told, "express");
    assert_eq!((&express["untagged"], &express["oldest_seconds"]), (&0.into(), &Value::Null));
    assert_eq!((code, alerts(&told).contains(&"TagfleetScrapeStuck")), (Some(1), true), "{told:#}");
    fleet.abandon().await;
}

/// A script tells a fleet that is unwell from a question that could not be asked.
#[test]
fn settings_that_make_no_sense_are_another_exit_code() {
    let mut command = Process::command("tagfleet-scheduler");
    command.arg("status").env("TAGFLEET__ALERTS__OBJECTIVE", "much");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("alerts.objective"));
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_a_stuck_scrape_and_workers_that_differ_are_told() {
    let fleet = Fleet::with(reporting()).await;
    fleet.publish_bytes(b"{}".to_vec()).await;
    fleet
        .execute(
            "INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, received_at, listed)
             VALUES ('lost', 'dealer', 'bulk', 'tagging', now()::date, now(), now() - interval '2 hours', 7);
             INSERT INTO worker_reports (worker, pool, version, model_set, digest, provider, started_at, every_seconds, lanes, failures)
             VALUES ('other/1', 'default', '1', 'old', 'd', 'cuda', now(), 3600, '{\"express\":{\"per_second\":1,\"new_in_2027\":true}}', '[]'),
                    ('dead/1', 'default', '1', 'older', 'e', 'cuda', now(), 0, '{}', '[]')",
        )
        .await;

    let told = eventually("the malformed event is a dead letter", || async {
        let (code, told) = json(&fleet).await;
        assert_eq!(code, Some(1));
        alerts(&told).contains(&"TagfleetDeadLetters").then_some(told)
    })
    .await;

    for alert in ["TagfleetScrapeStuck", "TagfleetModelSetsDiffer", "TagfleetWrongProvider"] {
        assert!(alerts(&told).contains(&alert), "no {alert} in {told:#}");
    }
    let of = |name: &str| {
        let workers = told["workers"].as_array().unwrap();
        workers.iter().find(|worker| worker["worker"] == name).unwrap()["silent"].clone()
    };
    assert_eq!((of("other/1"), of("dead/1")), (false.into(), true.into()));
    fleet.abandon().await;
}

/// What is away is told, and what the other server knows as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_told_and_the_other_is_asked_all_the_same() {
    let fleet = Fleet::with(reporting()).await;
    let nowhere = ("TAGFLEET__DATABASE__URL", "postgres://nobody@127.0.0.1:1/nothing");
    let (code, page) = status_with(&fleet, &[], &[nowhere]).await;
    assert_eq!(code, Some(1));
    assert!(page.contains("TagfleetServerAway (after 2m): database"), "{page}");
    assert!(page.contains("broker    ok") && page.contains("AWAY"), "{page}");
    fleet.end().await;
}

/// Workers that believe that they receive, jobs that were lost and images that came late are told.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_last_hour_and_the_workers_tell_is_an_alert_too() {
    let fleet = Fleet::with(reporting()).await;
    for name in ["late", "in-time"] {
        fleet.tag(&scrape(name, fleet.pictures(2).into_iter().map(listed).collect())).await;
    }
    let well = eventually("the worker receives, and says so", || async {
        let (code, told) = json(&fleet).await;
        let receives = lane(&told, "express")["receiving"] == 1 && told["recent"]["images"] == 4;
        (code == Some(0) && receives).then_some(told)
    })
    .await;
    assert_eq!(well["recent"]["late_share"], 0.0, "{well:#}");

    fleet
        .execute(
            "UPDATE scrapes SET received_at = received_at - interval '1 hour', swept_at = now() WHERE advertiser_id = 'late';
             INSERT INTO worker_reports (worker, pool, version, model_set, digest, provider, started_at, every_seconds, lanes, failures)
             SELECT 'forgotten/1', pool, version, model_set, digest, provider, now(), 3600, '{\"bulk\":{\"receiving\":true}}', '[]' FROM worker_reports",
        )
        .await;

    let of_few = [("TAGFLEET__ALERTS__LEAST_RATE", "0")];
    let (code, told) = status_with(&fleet, &["--json"], &of_few).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(code, Some(1));
    assert_eq!(alerts(&told), ["TagfleetConsumersGone", "TagfleetJobsGetLost", "TagfleetServiceLevelFast"]);
    let (_, usual) = json(&fleet).await;
    assert!(!alerts(&usual).contains(&"TagfleetServiceLevelFast"), "two of four images wake nobody");
    assert_eq!((&told["recent"]["late_share"], &told["recent"]["swept"]), (&0.5.into(), &1.into()));
    let (_, page) = status(&fleet, &[]).await;
    assert!(
        page.contains("last hour: 50.0 % of 4 images of express and standard in time; 1 scrapes swept"),
        "{page}"
    );
    fleet.end().await;
}

/// For a script that follows: a line each time, and the exit code of the last look when it is stopped.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_watches_as_json_gets_a_line_each_time_until_they_stop_it() {
    let fleet = Fleet::with(reporting()).await;
    let mut command = Process::command("tagfleet-scheduler");
    command.args(["status", "--watch", "--json", "--every", "1"]).envs(fleet.settings_of_scheduler());
    let mut watching = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap());

    let (lines, mut rest) = tokio::task::spawn_blocking(move || {
        let mut lines = lines.lines().map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        (lines.by_ref().take(2).collect::<Vec<_>>(), lines)
    })
    .await
    .unwrap();
    assert!(lines[0]["at"].as_str() < lines[1]["at"].as_str(), "{lines:#?}");
    assert_eq!(alerts(&lines[1]), Vec::<&str>::new());

    signal(watching.id(), "-INT");
    let code = tokio::task::spawn_blocking(move || {
        rest.by_ref().for_each(drop);
        watching.wait().unwrap().code()
    });
    assert_eq!(code.await.unwrap(), Some(0));
    fleet.end().await;
}

/// A worker that was stopped is not shown as one that died.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_stopped_takes_its_report_away() {
    let mut fleet = Fleet::with(reporting()).await;
    eventually("the worker reports", || async {
        (fleet.count("SELECT count(*) FROM worker_reports").await == 1).then_some(())
    })
    .await;

    fleet.workers.remove(0).stop().await;

    assert_eq!(fleet.count("SELECT count(*) FROM worker_reports").await, 0);
    fleet.end().await;
}
