//! A checker that finds nothing proves nothing: each of these ledgers has one thing wrong.

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn entry(second: i64, what: What) -> Entry {
    Entry { at: at(second), what }
}

fn written(second: i64, seq: i32, outcome: &str, reason: Option<&str>) -> Entry {
    let tags = if reason.is_some() { "{}" } else { "{\"color\": \"red\"}" };
    let (outcome, reason, tags) = (outcome.to_owned(), reason.map(str::to_owned), tags.to_owned());
    entry(second, What::Written { scrape: "s".into(), seq, outcome, reason, tags })
}

fn announced(second: i64, event_id: &str, outcomes: &[(&str, u64)]) -> Entry {
    let outcomes: BTreeMap<_, _> = outcomes.iter().map(|(word, n)| ((*word).to_owned(), *n)).collect();
    let images = outcomes.values().sum();
    entry(second, What::Announced { scrape: "s".into(), event_id: event_id.into(), images, outcomes })
}

fn fault(begun: i64, ended: i64, spoils: &[&str]) -> [Entry; 2] {
    let (fault, spoils) = ("a fault".to_owned(), spoils.iter().map(|&reason| reason.to_owned()).collect());
    [
        entry(begun, What::FaultBegun { number: 1, fault, spoils, holds: false }),
        entry(ended, What::FaultEnded { number: 1, note: String::new() }),
    ]
}

/// Two pictures and a dead link, all as it should be, and a fault while the second was open.
fn good() -> Vec<Entry> {
    let listed = |path: &str, kind| Listed { path: path.into(), kind };
    let images = vec![listed("/0", Kind::Picture), listed("/1", Kind::Picture), listed("/2", Kind::Dead)];
    let mut ledger = vec![entry(0, What::Published { scrape: "s".into(), images })];
    ledger.push(written(1, 0, "inferred", None));
    ledger.extend(fault(2, 4, &[]));
    ledger.push(written(5, 1, "cached", None));
    ledger.push(written(6, 2, "skipped", Some("gone")));
    ledger.push(announced(7, "id", &[("inferred", 1), ("cached", 1), ("skipped", 1), ("matched", 0)]));
    ledger
}

/// The place of what was written of image `seq`.
fn written_at(ledger: &[Entry], wanted: i32) -> usize {
    let is = |entry: &Entry| matches!(entry.what, What::Written { seq, .. } if seq == wanted);
    ledger.iter().position(is).unwrap()
}

#[test]
fn a_fault_that_did_not_begin_is_none() {
    let mut ledger = good();
    ledger.push(entry(3, What::FaultFailed { number: 1, error: "no connection".into() }));

    let verdict = judge(&ledger);

    assert!(verdict.is_clean(), "{verdict:#?}");
    assert_eq!((verdict.faults, verdict.recovered), (0, 0));
}

#[test]
fn a_good_ledger_is_clean() {
    let verdict = judge(&good());

    assert!(verdict.is_clean(), "{verdict:#?}");
    assert_eq!((verdict.attempted, verdict.finished, verdict.recovered, verdict.faults), (3, 3, 2, 1));
}

#[test]
fn a_lost_image_is_found() {
    let mut ledger = good();
    ledger.remove(written_at(&ledger, 1));

    let verdict = judge(&ledger);

    assert_eq!((verdict.lost, verdict.finished), (1, 2));
    assert!(verdict.told.iter().any(|line| line == "s 1 /1: lost"), "{:?}", verdict.told);
    assert_eq!(verdict.unexpected, 1, "the announcement counts what is not there");
}

#[test]
fn a_doubled_image_is_found() {
    let mut ledger = good();
    ledger.push(written(8, 0, "inferred", None));

    let verdict = judge(&ledger);

    assert_eq!((verdict.doubled, verdict.lost, verdict.unexpected), (1, 0, 0));
    assert!(!verdict.is_clean());
}

#[test]
fn a_picture_that_the_fleet_gave_up_on_is_unexpected() {
    for (outcome, reason) in
        [("defaulted", "killed_worker"), ("skipped", "timeout"), ("skipped", "superseded")]
    {
        let mut ledger = good();
        let place = written_at(&ledger, 1);
        ledger[place] = written(5, 1, outcome, Some(reason));
        let last = ledger.len() - 1;
        ledger[last] =
            announced(7, "id", &[("inferred", 1), ("skipped", 1 + u64::from(outcome == "skipped"))]);
        if outcome == "defaulted" {
            ledger[last] = announced(7, "id", &[("inferred", 1), ("skipped", 1), ("defaulted", 1)]);
        }

        assert_eq!(judge(&ledger).unexpected, 1, "{reason}");
    }
}

/// The verdict on the good ledger after a time-out of the host, with another outcome of the second picture.
fn spoiled(second: i64, outcome: &str, reason: &str) -> Verdict {
    let mut ledger = good();
    ledger.extend(fault(3, 4, &["timeout"]));
    let place = written_at(&ledger, 1);
    ledger[place] = written(second, 1, outcome, Some(reason));
    let place = ledger.iter().position(|entry| matches!(entry.what, What::Announced { .. })).unwrap();
    ledger[place] = announced(7, "id", &[("inferred", 1), ("skipped", 2)]);
    if outcome == "defaulted" {
        ledger[place] = announced(7, "id", &[("inferred", 1), ("skipped", 1), ("defaulted", 1)]);
    }
    judge(&ledger)
}

#[test]
fn a_host_that_is_unwell_excuses_a_skip_that_it_can_cause_and_nothing_else() {
    let timeout = spoiled(5, "skipped", "timeout");

    assert!(timeout.is_clean(), "{timeout:#?}");
    assert_eq!(timeout.excused, 1);
    for (outcome, reason) in
        [("defaulted", "killed_worker"), ("skipped", "gone"), ("defaulted", "undecodable"), ("skipped", "")]
    {
        let verdict = spoiled(5, outcome, reason);
        assert_eq!((verdict.unexpected, verdict.excused), (1, 0), "{reason}");
    }
    assert_eq!(spoiled(60, "skipped", "timeout").unexpected, 1, "a minute later");
}

/// Where its host was left alone, its last attempt may be the one that fails by itself, and late.
#[test]
fn a_picture_that_is_had_at_the_second_attempt_is_a_good_one() {
    for (spoils, unexpected) in [("server_error", 0), ("not_an_image", 1)] {
        let mut ledger = good();
        let images = vec![Listed { path: "/3".into(), kind: Kind::Late }];
        ledger.push(entry(1, What::Published { scrape: "t".into(), images }));
        ledger.extend(fault(3, 4, &[spoils]));
        let (outcome, reason, tags) =
            ("skipped".to_owned(), Some("server_error".to_owned()), "{}".to_owned());
        ledger.push(entry(60, What::Written { scrape: "t".into(), seq: 0, outcome, reason, tags }));
        let (outcomes, event_id) = (BTreeMap::from([("skipped".to_owned(), 1)]), "other".to_owned());
        ledger.push(entry(61, What::Announced { scrape: "t".into(), event_id, images: 1, outcomes }));

        assert_eq!(judge(&ledger).unexpected, unexpected, "{spoils}");
    }
}

#[test]
fn tags_that_differ_from_those_of_another_scrape_are_unexpected() {
    let mut ledger = good();
    let images = vec![Listed { path: "/0".into(), kind: Kind::Picture }];
    ledger.push(entry(10, What::Published { scrape: "t".into(), images }));
    let (outcome, tags) = ("cached".to_owned(), "{\"color\": \"blue\"}".to_owned());
    ledger.push(entry(11, What::Written { scrape: "t".into(), seq: 0, outcome, reason: None, tags }));
    let outcomes = BTreeMap::from([("cached".to_owned(), 1)]);
    let event_id = "other".to_owned();
    ledger.push(entry(12, What::Announced { scrape: "t".into(), event_id, images: 1, outcomes }));

    assert_eq!(judge(&ledger).unexpected, 1);
}

#[test]
fn an_image_that_nobody_published_is_unexpected() {
    let mut ledger = good();
    ledger.push(written(6, 3, "inferred", None));

    assert_eq!(judge(&ledger).unexpected, 2, "the image, and the announcement that leaves it out");
}

#[test]
fn a_scrape_that_is_never_announced_is_found() {
    let mut ledger = good();
    ledger.pop();

    assert_eq!(judge(&ledger).unannounced, 1);
}

#[test]
fn an_announcement_may_come_twice_with_the_same_id_and_counts() {
    let mut ledger = good();
    let again = ledger.last().unwrap().clone();
    ledger.push(again);
    assert_eq!((judge(&ledger).announced_again, judge(&ledger).unexpected), (1, 0));

    ledger.push(announced(9, "other id", &[("inferred", 1), ("cached", 1), ("skipped", 1)]));
    assert_eq!(judge(&ledger).unexpected, 1);
}

#[test]
fn a_ledger_reads_as_it_was_written() {
    let path = std::env::temp_dir().join(format!("tagfleet-ledger-{}.ndjson", uuid::Uuid::new_v4()));
    let ledger = crate::chaos::ledger::Ledger::begin(&path).unwrap();
    ledger.note_all(good()).unwrap();

    assert_eq!(crate::chaos::ledger::read(&path).unwrap(), good());
    std::fs::remove_file(path).unwrap();
}
