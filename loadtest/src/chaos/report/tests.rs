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

    assert!(text.contains("1 faults, of which 1 did not begin, and 0 killed at another point"), "{text}");
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
    assert!(long(6).text().contains("  not shown: 6 of 100 faults did not begin\n"));
}
