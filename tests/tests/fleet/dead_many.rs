//! More dead letters than a quorum queue gives one consumer.

use tagfleet_shared::broker::{Broker, BrokerError, DeadLetter};
use tagfleet_shared::dead::{self, Filter, Redriven};
use tagfleet_shared::jobs::Job;
use tagfleet_shared::lane::Lane;
use tagfleet_tests::{Fleet, Options, eventually};

use crate::dead::{dead, parked_for};

/// Places in the scrape, in the order of the queue.
fn seqs(letters: &[DeadLetter]) -> Vec<i32> {
    let seq = |letter: &DeadLetter| {
        let Job::TagImageV1(image) = serde_json::from_slice(&letter.body).unwrap();
        image.seq
    };
    letters.iter().map(seq).collect()
}

fn of(reason: &str) -> Filter {
    Filter { reasons: vec![reason.to_owned()], ..Filter::default() }
}

async fn counted(broker: &Broker) -> Vec<(String, u64)> {
    let groups = dead::groups(broker).await.unwrap();
    assert_eq!(groups.unseen, 0);
    groups.groups.into_iter().map(|((reason, _), group)| (reason, group.messages)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn more_letters_than_a_consumer_is_given_are_counted_and_keep_their_order() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    parked_for(&fleet, 2500, &["killed_worker"]).await;

    let (well, list) = dead(&fleet, &["list"]).await;
    let shown = dead(&fleet, &["show", "--limit", "1"]).await;
    let first = dead::look(&fleet.broker, Filter::default()).await.unwrap();
    let second = dead::look(&fleet.broker, Filter::default()).await.unwrap();

    let line = list.lines().find(|line| line.starts_with("killed_worker")).unwrap_or_default();
    assert!(well && line.split_whitespace().any(|word| word == "2500"), "{list}");
    assert_eq!(seqs(&first), (0..2500).collect::<Vec<_>>());
    assert_eq!(seqs(&second), seqs(&first));
    assert!(shown.0 && shown.1.contains("\"seq\":0,"), "{}", shown.1);
    let (well, said) = dead(&fleet, &["drop", "--limit", "2400", "--yes"]).await;
    assert!(well && said.contains("dropped 2400"), "{said}");
    let left = dead::look(&fleet.broker, Filter::default()).await.unwrap();
    assert_eq!(seqs(&left), (2400..2500).collect::<Vec<_>>());

    // Of more than are looked at the others are counted.
    let mut begun = fleet.broker.dead_letters().await.unwrap().at_most(1);
    let mut seen = 0;
    while begun.next().await.unwrap().is_some() {
        seen += 1;
    }
    let unseen = begun.unseen();
    begun.close().await.unwrap();
    assert!(seen > 0 && unseen > 0 && seen + unseen == 100, "{seen} and {unseen}");
    fleet.abandon().await;
}

/// While somebody looks the queue is theirs: whoever comes second says that there are more.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_look_the_second_sees_none_and_says_so() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    parked_for(&fleet, 100, &["killed_worker"]).await;
    let mut begun = fleet.broker.dead_letters().await.unwrap();
    begun.next().await.unwrap().unwrap();

    let (well, list) = dead(&fleet, &["list"]).await;

    assert!(well && list.contains("more were not looked at") && !list.contains("killed_worker"), "{list}");
    begun.close().await.unwrap();
    assert_eq!(counted(&fleet.broker).await, [("killed_worker".to_owned(), 100)]);
    fleet.abandon().await;
}

/// The broker counts what somebody holds for nobody: a queue that looks empty is not, and a letter that is not seen is
/// not gone.
#[tokio::test(flavor = "multi_thread")]
async fn letters_that_somebody_else_holds_are_not_said_to_be_gone() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    parked_for(&fleet, 3, &["killed_worker"]).await;
    let one = Filter { limit: Some(1), ..Filter::default() };
    let first = dead::piece(&fleet.broker, one.clone(), None).await.unwrap().unwrap();
    let after = first.letters.into_iter().next().map(|(position, _)| position);
    let mut begun = fleet.broker.dead_letters().await.unwrap();
    begun.next().await.unwrap().unwrap();
    eventually("all three are in somebody's hands", || async {
        (fleet.dead_letters().await == 0).then_some(())
    })
    .await;

    let (well, list) = dead(&fleet, &["list"]).await;
    let looked = dead::look(&fleet.broker, Filter::default()).await;
    let went_on = dead::piece(&fleet.broker, one.clone(), after.clone()).await;

    assert!(well && list.contains("somebody else is looking") && !list.contains("no dead letters"), "{list}");
    assert!(matches!(looked, Err(BrokerError::Taken)), "{looked:?}");
    assert!(matches!(went_on, Err(BrokerError::Taken)), "{went_on:?}");
    begun.close().await.unwrap();
    let went_on = dead::piece(&fleet.broker, one, after).await.unwrap().unwrap();
    assert_eq!(went_on.letters.len(), 1);
    fleet.abandon().await;
}

/// Each is acknowledged by itself, many more than the broker has on the way at a time.
#[tokio::test(flavor = "multi_thread")]
async fn every_second_of_thousands_is_sent_back_once_and_the_others_stay() {
    let fleet = Fleet::with(Options { workers: 0, ..Options::default() }).await;
    parked_for(&fleet, 4000, &["killed_worker", "panicked"]).await;

    let redriven = dead::redrive(&fleet.broker, &fleet.database.pool, of("killed_worker")).await.unwrap();

    assert_eq!(redriven, Redriven { messages: 2000, reopened: redriven.reopened, ..Redriven::default() });
    assert_eq!(fleet.dead_letters().await, 2000);
    assert_eq!(counted(&fleet.broker).await, [("panicked".to_owned(), 2000)]);
    let stayed = dead::look(&fleet.broker, Filter::default()).await.unwrap();
    assert_eq!(seqs(&stayed), (0..2000).map(|n| 2 * n + 1).collect::<Vec<_>>());
    let lane = fleet.broker.topology().lane_queue(Lane::Express);
    let mut jobs = fleet.broker.consume(lane.clone(), 2000);
    let mut sent = Vec::new();
    for _ in 0..2000 {
        let job = jobs.next().await;
        let Job::TagImageV1(image) = serde_json::from_slice(&job.body).unwrap();
        sent.push(image.seq);
        job.ack();
    }
    jobs.close().finished().await;
    sent.sort_unstable();
    assert_eq!(sent, (0..2000).map(|n| 2 * n).collect::<Vec<_>>());
    assert_eq!(fleet.broker.depth(&lane).await.unwrap().0, 0);

    let dropped = dead::discard(&fleet.broker, of("panicked")).await.unwrap();
    assert_eq!((dropped.messages, dropped.unseen, fleet.dead_letters().await), (2000, 0, 0));
    fleet.abandon().await;
}
