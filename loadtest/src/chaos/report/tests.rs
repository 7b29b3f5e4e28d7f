//! When a run is clean, and what its report says.

use super::*;

fn report(step: Measured) -> Report {
    let back = Some(Duration::from_secs(1));
    Report {
        brief: true,
        measured: vec![Measured { consumers: back, ready: back, ..step }],
        verdict: Verdict::default(),
        violations: Vec::new(),
        open: (Open::default(), Open::default()),
        left_open: Open::default(),
        took: Duration::from_secs(1),
    }
}

#[test]
fn a_stop_that_fails_is_no_clean_run() {
    let violations = vec!["graceful stop of worker-1: did not end".to_owned()];
    let failed = report(Measured { violations, ..Measured::default() });

    assert!(report(Measured::default()).is_clean());
    assert!(!failed.is_clean());
    assert!(failed.text().contains("  graceful stop of worker-1: did not end\n"), "{}", failed.text());
}

fn alarm(failed: bool) -> Measured {
    let (faults, no_answer) =
        (vec!["memory alarm of the broker".to_owned()], "memory alarm of the broker: no answer");
    Measured {
        faults,
        failed: failed.then(|| no_answer.to_owned()).into_iter().collect(),
        ..Measured::default()
    }
}

#[test]
fn a_fault_that_did_not_begin_is_told() {
    let text = report(alarm(true)).text();

    assert!(
        text.contains("1 faults, of which 1 did not begin, 0 did nothing, and 0 killed at another point"),
        "{text}"
    );
    assert!(text.contains("  did not begin: memory alarm of the broker: no answer\n"), "{text}");
}

#[test]
fn a_brief_run_is_clean_only_if_every_fault_has_happened() {
    let kill = |faults: &[&str]| Measured {
        faults: faults.iter().map(|&fault| fault.to_owned()).collect(),
        ..Measured::default()
    };
    let missed = format!("kill -9 at worker.decoded of worker-1{NOT_MET}");

    assert!(report(alarm(false)).is_clean());
    assert!(!report(alarm(true)).is_clean());
    assert!(report(kill(&["kill -9 at worker.decoded of worker-1"])).is_clean());
    assert!(!report(kill(&[&missed])).is_clean());
    assert!(report(kill(&[&missed, "read-only database"])).is_clean(), "the other kept it from its point");
}

#[test]
fn a_long_run_is_clean_if_nearly_every_fault_has_happened() {
    let long = |failed: usize| {
        let mut report = report(alarm(false));
        let step = report.measured.remove(0);
        let of_step = |n| Measured { failed: alarm(n < failed).failed, ..step.clone() };
        Report { brief: false, measured: (0..100).map(of_step).collect(), ..report }
    };

    assert!(long(5).is_clean());
    assert!(!long(6).is_clean());
    assert!(long(6).text().contains("  not shown: 6 of 100 faults did not begin, and 0 did nothing\n"));
}

fn deadlocks(met: bool) -> Measured {
    let nothing = (!met).then(|| "deadlocks, which nobody met".to_owned());
    let (faults, nothing) = (vec!["deadlocks".to_owned()], nothing.into_iter().collect());
    Measured { faults, nothing, ..Measured::default() }
}

#[test]
fn a_fault_that_did_nothing_was_not_survived() {
    let in_vain = report(deadlocks(false));

    assert!(report(deadlocks(true)).is_clean());
    assert!(!in_vain.is_clean());
    assert!(in_vain.text().contains("  not shown: deadlocks, which nobody met\n"), "{}", in_vain.text());
}

#[test]
fn what_did_nothing_in_a_long_run_counts_with_what_did_not_begin() {
    let long = |failed: usize, nothing: usize| {
        let back = Some(Duration::from_secs(1));
        let of_step = |n| {
            let step = if n < failed { alarm(true) } else { deadlocks(n >= failed + nothing) };
            Measured { consumers: back, ready: back, ..step }
        };
        Report { brief: false, measured: (0..100).map(of_step).collect(), ..report(Measured::default()) }
    };

    assert!(long(2, 3).is_clean());
    assert!(!long(2, 4).is_clean());
    assert!(long(2, 4).text().contains("  not shown: 2 of 100 faults did not begin, and 4 did nothing\n"));
}

#[test]
fn a_fault_that_does_nothing_every_time_fails_a_run_however_long() {
    let long = |met: &[bool]| {
        let back = Some(Duration::from_secs(1));
        let met = met.iter().map(|&met| deadlocks(met)).chain((0..200).map(|_| alarm(false)));
        let measured = met.map(|step| Measured { consumers: back, ready: back, ..step }).collect();
        Report { brief: false, measured, ..report(Measured::default()) }
    };

    assert!(long(&[false, false]).is_clean());
    assert!(long(&[false, false, false, true]).is_clean());
    let broken = long(&[false, false, false]);
    assert!(!broken.is_clean());
    assert!(broken.text().contains("  not shown: each of 3 times: deadlocks, which nobody met\n"));
}

/// A run of so many steps after which the consumers were back so late, and of ten more after which they were not.
fn late(brief: bool, late: usize, seconds: u64) -> Report {
    let of = |seconds| Some(Duration::from_secs(seconds));
    let step = |consumers| Measured { consumers, ready: of(1), ..alarm(false) };
    let late = std::iter::repeat_with(|| step(of(seconds))).take(late);
    let measured = late.chain(std::iter::repeat_with(|| step(of(1))).take(10)).collect();
    Report { brief, measured, ..report(Measured::default()) }
}

#[test]
fn a_long_run_is_clean_only_if_most_were_back_in_time() {
    let slow = late(false, 15, 6);

    assert!(!slow.is_clean());
    let told = "  too slow: consumers back after the end: median 6.00 s of 25, mark 5 s\n";
    assert!(slow.text().contains(told), "{}", slow.text());
    assert!(late(false, 15, 5).is_clean(), "just in time");
    assert!(late(false, 9, 50).is_clean(), "no more than some were late: the machine was busy");
}

#[test]
fn few_measurements_and_those_of_a_brief_run_are_only_told() {
    let (few, brief) = (late(false, 9, 6), late(true, 15, 6));
    let few = Report { measured: few.measured[..9].to_vec(), ..few };

    assert!(few.is_clean());
    assert!(brief.is_clean());
    assert!(brief.text().contains("median 6.00 s") && brief.text().contains("  late: "), "{}", brief.text());
}

#[test]
fn readiness_has_a_mark_of_its_own_each_way() {
    let step = |unready, ready| {
        let of = |seconds| Some(Duration::from_secs(seconds));
        Measured { consumers: of(1), unready: Some(of(unready)), ready: of(ready), ..alarm(false) }
    };
    let long = |step: Measured| {
        Report { brief: false, measured: vec![step; 20], ..report(Measured::default()) }.is_clean()
    };

    assert!(long(step(2, 2)));
    assert!(!long(step(3, 2)));
    assert!(!long(step(2, 3)));
}
