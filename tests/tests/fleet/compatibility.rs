//! The version before this one, N-1: what it wrote is read, what it asks of the schema is there, and its programs work
//! beside today's. docs/OPERATIONS.md says which commit it is, and how it moves on.
//!
//! Its programs are built by `make compatibility` (scripts/compatibility.sh), which takes minutes; without them the
//! tests that need them are skipped.

use std::path::{Path, PathBuf};

use tagfleet_shared::config::foreign_variable;
use tagfleet_shared::events::{Change, ScrapeFinished, ScrapeTagged, TagFixed};
use tagfleet_shared::jobs::Job;
use tagfleet_tests::{Fleet, Options, Process, changed, eventually, listed, repository, scrape, skip};

fn data(name: &str) -> String {
    let path = repository().join("tests/data/n-1").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Byte for byte as its programs published it; and nothing of it is a field that nobody knows any more.
#[test]
fn what_the_version_before_published_is_read() {
    let finished = data("scrape.finished.json");
    let event = ScrapeFinished::parse(finished.as_bytes()).unwrap();
    assert_eq!(event.unknown_fields, Vec::<String>::new());
    assert_eq!(serde_json::to_string(&event.value).unwrap(), finished);
    let tagged = data("scrape.tagged.json");
    let event: ScrapeTagged = serde_json::from_str(&tagged).unwrap();
    assert_eq!(serde_json::to_string(&event).unwrap(), tagged);
    let fixed = data("tag.fixed.json");
    let event: TagFixed = serde_json::from_str(&fixed).unwrap();
    assert_eq!(serde_json::to_string(&event).unwrap(), fixed);
    let job = data("job.json");
    let read: Job = serde_json::from_str(&job).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), job);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_of_the_version_before_can_be_prepared_on_todays_schema() {
    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, ..Options::default() }).await;
    let client = fleet.database.pool.get().await.unwrap();
    let text = data("statements.sql");
    let (mut prepared, mut broken) = (0, Vec::new());
    for statement in text.split("\n\n").skip(1) {
        match client.prepare(statement).await {
            Ok(_) => prepared += 1,
            Err(error) => broken.push(format!("{statement}\n{:?}", error.as_db_error())),
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
    assert!(prepared > 90, "only {prepared} were found");
    drop(client);
    fleet.end().await;
}

/// The programs of the version before.
struct Before(PathBuf);

impl Before {
    fn built() -> Option<Self> {
        let programs = foreign_variable("TAGFLEET_N_MINUS_1").map(PathBuf::from);
        if programs.is_none() {
            skip("TAGFLEET_N_MINUS_1 names no programs of the version before: make compatibility");
        }
        programs.map(Self)
    }

    fn scheduler(&self, fleet: &Fleet) -> Process {
        let mut settings = fleet.settings_of_scheduler();
        settings.retain(|(name, _)| !name.contains("__CHANGES__"));
        self.run("tagfleet-scheduler", settings)
    }

    fn worker(&self, fleet: &Fleet) -> Process {
        let mut settings = fleet.settings_of_worker();
        let decoder = self.program("tagfleet-worker").display().to_string();
        settings.retain(|(name, _)| name != "TAGFLEET__DECODERS__PROGRAM");
        settings.push(("TAGFLEET__DECODERS__PROGRAM".to_owned(), decoder));
        self.run("tagfleet-worker", settings)
    }

    fn program(&self, name: &str) -> PathBuf {
        Path::new(&self.0).join(name)
    }

    fn run(&self, name: &str, settings: Vec<(String, String)>) -> Process {
        Process::start_program(&self.program(name), &["run"], &settings)
    }
}

/// Publishes scrapes of known and unknown pictures, dead links among them: each image has one outcome, and each
/// scrape one announcement.
async fn everything_is_tagged_once(fleet: &Fleet) {
    let (mut urls, gone) = (fleet.pictures(60), fleet.origin.url("/gone.jpg"));
    urls.push(gone);
    let events: Vec<_> = (0..4)
        .map(|n| {
            let known = urls[..10 * n].iter().cloned();
            let new = fleet.pictures(20);
            scrape(&format!("dealer-{n}"), known.chain(new).chain(urls.iter().cloned()).map(listed).collect())
        })
        .collect();
    for event in &events {
        fleet.publish(event).await;
    }
    for event in &events {
        let tagged = fleet.announced(&event.scrape_id).await;
        let images = event.images.as_ref().unwrap().len() as u64;
        assert_eq!((tagged.images, tagged.outcomes.values().sum::<u64>()), (images, images));
        assert_eq!(
            (tagged.outcomes["skipped"], tagged.outcomes["defaulted"]),
            (1, 0),
            "{:?}",
            tagged.outcomes
        );
        assert!(fleet.rows(&event.scrape_id).await.iter().all(|row| row.outcome.is_some()));
        assert_eq!(fleet.announcements(&event.scrape_id).await.len(), 1);
    }
    assert_eq!(
        fleet.count("SELECT count(*) FROM scrape_progress").await,
        0,
        "none was given an outcome twice"
    );
    assert_eq!(fleet.dead_letters().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_scheduler_works_with_newer_workers_on_todays_schema() {
    let Some(before) = Before::built() else { return };
    let fleet = Fleet::with(Options { schedulers: 0, ..Options::default() }).await;
    let scheduler = before.scheduler(&fleet);
    scheduler.admin().await;

    everything_is_tagged_once(&fleet).await;

    assert!(scheduler.terminate().await);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_scheduler_works_with_older_workers_and_they_pass_over_what_they_do_not_know() {
    let Some(before) = Before::built() else { return };
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let mut told = fleet.listen_to_pictures().await;
    let worker = before.worker(&fleet);
    worker.admin().await;

    everything_is_tagged_once(&fleet).await;

    // What the header says they do not know: they tell what is known.
    let url = fleet.picture("/1.jpg");
    for (change, outcome) in
        [(Change::Added, "inferred"), (Change::Replaced, "cached"), (Change::Removed, "skipped")]
    {
        fleet.publish_changes(&[changed("dealer", change, listed(&url))]).await;
        assert_eq!(told.next().await.outcome, outcome, "{change:?}");
    }
    assert!(worker.terminate().await);
    fleet.end().await;
}

/// In the middle of a roll-out both are at work on everything.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_scheduler_leaves_micro_scrapes_to_a_newer_one() {
    let Some(before) = Before::built() else { return };
    let fleet = Fleet::start().await;
    let (mut told, mut scrapes) = (fleet.listen_to_pictures().await, fleet.listen_to_scrapes().await);
    let (older, worker) = (before.scheduler(&fleet), before.worker(&fleet));
    older.admin().await;
    worker.admin().await;
    let changes: Vec<_> = (0..30)
        .map(|n| {
            changed(&format!("dealer-{}", n % 4), Change::Added, listed(fleet.picture(&format!("/{n}.jpg"))))
        })
        .collect();
    fleet.publish_changes(&changes).await;

    everything_is_tagged_once(&fleet).await;

    assert_eq!(told.different(30).await.len(), 30);
    assert_eq!(told.heard.len() + told.left(), 30);
    for _ in 0..4 {
        let scrape = scrapes.next().await.scrape_id.0;
        assert!(scrape.starts_with("scrape-"), "{scrape} is no scrape of a pipeline");
    }
    assert_eq!(scrapes.left(), 0);
    // A scrape that arrives late, at whichever of them, is not superseded by what changed since.
    let mut late = scrape("dealer-x", vec![listed(fleet.picture("/late.jpg"))]);
    late.finished_at = changes[0].changed_at - std::time::Duration::from_secs(60);
    fleet.publish_changes(&[changed("dealer-x", Change::Added, listed(fleet.picture("/x.jpg")))]).await;
    told.different(31).await;
    for _ in 0..6 {
        let late = ScrapeFinished { scrape_id: scrape("", Vec::new()).scrape_id, ..late.clone() };
        assert_eq!(fleet.tag(&late).await.superseded_by, None);
    }
    let open = "SELECT count(*) FROM scrapes WHERE announced_at IS NULL";
    eventually("all is announced", || async { (fleet.count(open).await == 0).then_some(()) }).await;
    assert!(older.terminate().await && worker.terminate().await);
    fleet.end().await;
}
