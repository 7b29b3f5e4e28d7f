use super::*;

/// How long a job was put off counts from the first time.
#[test]
fn a_job_that_is_put_off_keeps_the_first_time() {
    let topology = Topology::new("test", 5, &[]);
    let mut received = Received::of_nobody();
    let header = |again: &Outgoing| again.headers.inner().get(PUT_OFF).cloned();

    let attempted = Outgoing::retry(&topology, &received, Duration::ZERO, 1);
    assert_eq!(header(&attempted), None);
    let put_off = Outgoing::retry(&topology, &received, Duration::ZERO, 0);
    assert!(matches!(header(&put_off), Some(AMQPValue::LongLongInt(_))));
    received.put_off_at = Some(7);
    for attempt in [0, 1] {
        let again = Outgoing::retry(&topology, &received, Duration::ZERO, attempt);
        assert_eq!(header(&again), Some(AMQPValue::LongLongInt(7)));
    }
}

/// Wherever it goes: else it would come to the tags of the picture before.
#[test]
fn a_job_takes_its_trust_along() {
    let topology = Topology::new("test", 5, &[]);
    let mut received = Received::of_nobody();
    received.trust = Trust::Nothing;
    for copy in [
        Outgoing::retry(&topology, &received, Duration::ZERO, 1),
        Outgoing::suspect(&topology, &received),
        Outgoing::given_back(&topology, &received),
        Outgoing::dead_letter(&topology, &received, "reason", "error"),
    ] {
        assert_eq!(copy.headers.inner()[TRUST], AMQPValue::LongString("nothing".into()));
    }
    received.trust = Trust::Memory;
    assert!(!Outgoing::suspect(&topology, &received).headers.inner().contains_key(TRUST));
}

/// It may have lain there since before its picture was replaced.
#[test]
fn a_job_that_is_sent_back_by_a_person_trusts_no_memory() {
    let topology = Topology::new("test", 5, &[]);
    for (before, after) in [(None, "database"), (Some("database"), "database"), (Some("nothing"), "nothing")]
    {
        let mut letter = DeadLetter::of_nobody(Kind::Job(Lane::Express));
        letter.headers.extend(before.map(|word| (TRUST.to_owned(), word.to_owned())));
        let again = Outgoing::redriven(&topology, &letter).unwrap();
        assert_eq!(again.headers.inner()[TRUST], AMQPValue::LongString(after.into()), "{before:?}");
    }
}

/// A job that comes back too early goes on with the same time.
#[test]
fn a_job_that_is_early_keeps_the_time_before_which_it_is_not_to_be_worked_on() {
    let topology = Topology::new("test", 5, &[]);
    let mut received = Received::of_nobody();
    let header = |again: &Outgoing| again.headers.inner().get(NOT_BEFORE).cloned();
    received.not_before = Some(7);
    received.early = Some(Duration::from_secs(1));

    let early = Outgoing::retry(&topology, &received, Duration::ZERO, 0);
    assert_eq!(header(&early), Some(AMQPValue::LongLongInt(7)));

    received.early = None;
    let in_time = Outgoing::retry(&topology, &received, Duration::ZERO, 1);
    assert_eq!(header(&in_time), None);
    let next = in_time.not_before(Duration::from_secs(60));
    assert!(matches!(header(&next), Some(AMQPValue::LongLongInt(at)) if at > 60_000));
}

/// A stop is not a crash, and does not undo one.
#[test]
fn a_job_that_is_given_back_keeps_what_is_known_of_it() {
    let topology = Topology::new("test", 5, &[]);
    let mut received = Received::of_nobody();
    (received.returns, received.attempt, received.published) = (2, 3, Some(7));
    for (queue, exchange) in [("test.jobs.bulk", "test.jobs"), ("test.suspects", "test.suspects")] {
        received.queue = queue.into();
        let back = Outgoing::given_back(&topology, &received);
        assert_eq!(back.exchange, exchange);
        let header = |name: &str| back.headers.inner().get(name).cloned();
        assert_eq!(header(RETURNS), Some(AMQPValue::LongUInt(2)));
        assert_eq!(header(ATTEMPT), Some(AMQPValue::LongUInt(3)));
        assert_eq!(header(PUBLISHED), Some(AMQPValue::LongLongInt(7)));
    }
    let suspect = Outgoing::suspect(&topology, &received);
    assert_eq!(suspect.headers.inner().get(RETURNS), None);
}

/// Whatever becomes of a job, it stays in the trace of its scrape.
#[test]
fn a_job_stays_in_its_trace_wherever_it_goes() {
    let topology = Topology::new("test", 5, &[]);
    let mut received = Received::of_nobody();
    let everywhere = |received: &Received| {
        [
            Outgoing::retry(&topology, received, Duration::ZERO, 1),
            Outgoing::suspect(&topology, received),
            Outgoing::given_back(&topology, received),
            Outgoing::dead_letter(&topology, received, "panicked", "in a test"),
        ]
        .map(|copy| copy.headers.inner().get(TRACEPARENT).cloned())
    };
    assert_eq!(everywhere(&received), [None, None, None, None]);
    received.headers.insert(TRACEPARENT.into(), "00-1-2-01".into());
    let kept = Some(AMQPValue::LongString("00-1-2-01".into()));
    assert_eq!(everywhere(&received), [(); 4].map(|()| kept.clone()));
}

#[test]
fn a_long_error_is_cut_between_characters() {
    let long = "ä".repeat(2000);
    assert_eq!(cut(&long).len(), 2000);
    assert_eq!(cut(&format!("x{long}")).len(), 1999);
    assert_eq!(cut("short"), "short");
}
