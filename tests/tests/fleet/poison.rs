//! Pictures that kill, hang or bloat whoever decodes them, and jobs that kill their worker.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use prometheus::Registry;
use tagfleet_loadtest::origin::Response;
use tagfleet_shared::events::{ScrapeFinished, ScrapeTagged};
use tagfleet_tests::{
    Fleet, Options, Process, eventually, every_format, get, jpeg, listed, metric, plain_png, program,
    repository, scrape, signal,
};
use tagfleet_worker::config::{DEFAULTS, WorkerConfig};
use tagfleet_worker::decode::{Decoder, InputSize};
use tagfleet_worker::decoders::{DecodeProcess, NotDecoded, Plan, Poison};
use tagfleet_worker::metrics::Metrics;

const SIZES: [InputSize; 2] = [InputSize { height: 224, width: 224 }, InputSize { height: 96, width: 128 }];

fn config(program: &Path) -> WorkerConfig {
    let settings = [
        ("TAGFLEET__BROKER__URL", "amqp://x"),
        ("TAGFLEET__DATABASE__URL", "postgres://x"),
        ("TAGFLEET__DECODERS__PROGRAM", program.to_str().unwrap()),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    tagfleet_shared::config::load(DEFAULTS, None, settings).unwrap().config
}

fn process(config: &WorkerConfig) -> DecodeProcess {
    let metrics = Metrics::register(&Registry::new()).unwrap();
    DecodeProcess::new(Plan::new(&SIZES, &config.decode, &config.decoders), metrics)
}

/// The same pixels bit for bit, and the same words for what cannot be decoded.
#[test]
fn a_process_decodes_as_the_worker_would() {
    let config = config(&program());
    let (mut process, decoder) = (process(&config), Decoder::new(SIZES.to_vec(), config.decode.clone()));
    let mut files = every_format(&jpeg());
    files.push(("nothing".into(), Vec::new()));
    files.push(("text".into(), b"<html>no picture</html>".to_vec()));
    files.push(("cut.jpg".into(), jpeg()[..2000].to_vec()));
    files.push(("avif".into(), b"\0\0\0\x20ftypavif".to_vec()));
    let hostile = repository().join("../shared/hostile/generated");
    for file in std::fs::read_dir(hostile).into_iter().flatten().filter_map(Result::ok) {
        files.push((file.file_name().to_string_lossy().into_owned(), std::fs::read(file.path()).unwrap()));
    }
    for (name, bytes) in files {
        let here = decoder.decode(&bytes).map_err(NotDecoded::from);
        assert_eq!(process.decode(&bytes), here, "{name}");
    }
}

/// A process that died in the meantime is replaced without a word.
#[test]
fn a_process_that_was_ended_from_outside_is_no_fault_of_the_next_picture() {
    let mut process = process(&config(&program()));
    let picture = jpeg();
    let before = process.decode(&picture);
    assert!(before.is_ok());
    for _ in 0..2 {
        signal(process.id().unwrap(), "-KILL");
        assert_eq!(process.decode(&picture), before);
    }
}

/// A program that begins as one that decodes does, and dies of whatever it is given.
pub fn dies_of_every_picture() -> PathBuf {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dies_of_every_picture");
        // Not written in place: another run may be executing it.
        let new = path.with_extension(std::process::id().to_string());
        std::fs::write(&new, "#!/bin/sh\nprintf r >&0\nhead -c 8 >/dev/null\nexit 1\n").unwrap();
        std::fs::set_permissions(&new, Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(new, &path).unwrap();
        path
    });
    PROGRAM.clone()
}

#[test]
fn a_picture_whose_processes_all_die_is_poison_and_a_program_that_is_not_there_is_an_outage() {
    let dies = process(&config(&dies_of_every_picture())).decode(&jpeg());
    assert!(matches!(dies, Err(NotDecoded::Poison(Poison::Killed(_)))), "{dies:?}");
    for program in ["/nowhere/tagfleet-worker", "/bin/false", "/bin/echo"] {
        let cannot_begin = process(&config(Path::new(program))).decode(&jpeg());
        assert!(matches!(cannot_begin, Err(NotDecoded::NoDecoder(_))), "{cannot_begin:?}");
    }
}

/// One scrape: `poison`, and 200 neighbours.
pub async fn among_neighbours(fleet: &Fleet, poison: String) -> ScrapeFinished {
    let mut urls = vec![poison];
    urls.extend(fleet.pictures(200));
    let event = scrape("dealer", urls.into_iter().map(listed).collect());
    fleet.publish(&event).await;
    event
}

pub fn add_up(tagged: &ScrapeTagged) {
    assert_eq!((tagged.outcomes["inferred"], tagged.outcomes["defaulted"]), (200, 1));
    assert_eq!((tagged.images, tagged.outcomes.values().sum::<u64>()), (201, 201));
}

/// Nothing that happens to a decoder touches any other job: not even once is one delivered again.
async fn nothing_came_back(worker: &Process) {
    let metrics = get(worker.admin().await, "/metrics").await.1;
    assert_eq!(metric(&metrics, "tagfleet_worker_jobs_returned_total"), 0.0, "{metrics}");
}

/// The header promises little, and then it takes more memory than the process has.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_eats_memory_is_parked_and_its_neighbours_never_hear_of_it() {
    let settings = vec![("TAGFLEET__DECODERS__MAX_ADDRESS_SPACE", (160 << 20).to_string())];
    let fleet = Fleet::with(Options { workers: 0, settings, ..Options::default() }).await;
    fleet.origin.put("/large.png", Response::jpeg(plain_png(8000, 6000, [1, 2, 3])));
    let worker = fleet.spawn_worker();
    let event = among_neighbours(&fleet, fleet.origin.url("/large.png")).await;

    add_up(&fleet.announced(&event.scrape_id).await);
    assert_eq!(fleet.rows(&event.scrape_id).await[0].end(), ("defaulted", "decode_memory"));
    assert_eq!(fleet.dead_letter().await.0, "decode_memory");
    assert_eq!(fleet.dead_letters().await, 0, "there was one");
    nothing_came_back(&worker).await;
    assert!(worker.terminate().await);
    fleet.end().await;
}

/// Whoever decodes it stands still for ever, as in an endless loop.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_hangs_is_parked_and_its_neighbours_never_hear_of_it() {
    let settings = vec![("TAGFLEET__DECODERS__TIMEOUT", "5s".to_owned())];
    let fleet = Fleet::with(Options { workers: 0, settings, ..Options::default() }).await;
    let worker = fleet.spawn_worker();
    fleet.tag(&scrape("before", vec![listed(fleet.picture("/before.jpg"))])).await;
    let [decoder] = worker.children()[..] else { panic!("one process decodes") };
    signal(decoder, "-STOP");
    let event = among_neighbours(&fleet, fleet.picture("/any.jpg")).await;

    add_up(&fleet.announced(&event.scrape_id).await);
    let rows = fleet.rows(&event.scrape_id).await;
    let ends: Vec<_> = rows.iter().filter(|row| row.end().0 == "defaulted").map(|row| row.end()).collect();
    assert_eq!(ends, [("defaulted", "decode_timeout")]);
    assert_eq!(fleet.dead_letter().await.0, "decode_timeout");
    assert_eq!(fleet.dead_letters().await, 0, "there was one");
    nothing_came_back(&worker).await;
    assert!(worker.terminate().await);
    fleet.end().await;
}

/// A process that decodes does not outlive its worker, whatever it is doing.
#[tokio::test(flavor = "multi_thread")]
async fn the_processes_of_a_worker_that_is_killed_end_with_it() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    let worker = fleet.spawn_worker();
    fleet.tag(&scrape("before", vec![listed(fleet.picture("/before.jpg"))])).await;
    let [decoder] = worker.children()[..] else { panic!("one process decodes") };
    signal(decoder, "-STOP");
    worker.kill();
    eventually("its process is gone", || async {
        let stat = std::fs::read_to_string(format!("/proc/{decoder}/stat")).unwrap_or_default();
        // Whoever adopts it may be slow to bury it.
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    })
    .await;
    fleet.abandon().await;
}
