//! What a fleet holds at rest, and how much more that is than it was.

use std::fmt;

use anyhow::Context;

use super::sample::{Sample, pooled};
use crate::chaos::arena::Arena;
use crate::chaos::ending::{self, Open};

/// Images of a round without which it shows nothing.
pub const LEAST_IMAGES: i64 = 500;

/// More descriptors that a process may have: a connection to its admin port that is about to be closed, and one of
/// those that it opens to ask how a server is.
const DESCRIPTORS: f64 = 2.0;
/// More threads: one each for a blocking call and for the look-up of a name, which it happens to make just now.
const THREADS: f64 = 2.0;

/// A process at rest.
#[derive(Clone, Debug, PartialEq)]
struct Held {
    name: String,
    descriptors: f64,
    threads: f64,
    /// Connections to the database among the descriptors.
    pooled: f64,
}

/// The fleet at rest.
#[derive(Clone, Debug)]
pub struct Rest {
    /// Images that have come to their outcome since the fleet was started.
    pub images: i64,
    processes: Vec<Held>,
    servers: Open,
}

impl Rest {
    /// One look, after which `images` have come to their outcome.
    pub async fn look(arena: &Arena, images: i64) -> anyhow::Result<Self> {
        let mut processes = Vec::new();
        for member in &arena.fleet.members {
            let metrics = member.metrics().await.with_context(|| member.name.clone())?;
            let Sample { descriptors, threads, .. } = Sample::read(0.0, &metrics)?;
            let (name, pooled) = (member.name.clone(), pooled(&metrics)?);
            processes.push(Held { name, descriptors, threads, pooled });
        }
        Ok(Self { images, processes, servers: ending::open(arena).await? })
    }

    /// The least of two looks.
    pub fn least(self, other: Self) -> Self {
        let of_process = |(one, two): (Held, Held)| Held {
            name: one.name,
            descriptors: one.descriptors.min(two.descriptors),
            threads: one.threads.min(two.threads),
            pooled: one.pooled.min(two.pooled),
        };
        let (one, two) = (self.servers, other.servers);
        Self {
            images: self.images.max(other.images),
            processes: self.processes.into_iter().zip(other.processes).map(of_process).collect(),
            servers: Open {
                connections: one.connections.min(two.connections),
                channels: one.channels.min(two.channels),
                sessions: one.sessions.min(two.sessions),
                idle_in_transaction: one.idle_in_transaction.min(two.idle_in_transaction),
            },
        }
    }

    /// What is more than `before`, and rounds that show nothing, in words.
    pub fn grown_since(&self, before: &Self) -> Vec<String> {
        let mut grown = Vec::new();
        for (round, images) in [("first", before.images), ("second", self.images - before.images)] {
            if images < LEAST_IMAGES {
                grown.push(format!("no load: {images} images in the {round} round, least {LEAST_IMAGES}"));
            }
        }
        for (first, second) in before.processes.iter().zip(&self.processes) {
            let (name, pool) = (&second.name, (second.pooled - first.pooled).max(0.0));
            for (what, first, second, more) in [
                ("descriptors", first.descriptors, second.descriptors, DESCRIPTORS + pool),
                ("threads", first.threads, second.threads, THREADS),
            ] {
                if second > first + more {
                    grown.push(format!("{name}: {what}: {first}, then {second}, mark {more} more"));
                }
            }
        }
        let leaks = ending::beyond(self.servers, ending::most(before.servers));
        grown.extend(leaks.into_iter().map(|leak| format!("servers: {leak}")));
        grown
    }
}

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "at rest after {} images: {:?}", self.images, self.servers)?;
        self.processes.iter().try_for_each(|Held { name, descriptors, threads, pooled }| {
            writeln!(
                f,
                "  {name}: {descriptors} descriptors, {pooled} of them in the pool, {threads} threads"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(images: i64, change: impl Fn(&mut Held, &mut Open)) -> Rest {
        let mut servers = Open { connections: 10, channels: 22, sessions: 26, idle_in_transaction: 0 };
        let held = |name: &str| Held { name: name.to_owned(), descriptors: 40.0, threads: 8.0, pooled: 5.0 };
        let mut processes = vec![held("scheduler-1"), held("worker-1")];
        change(&mut processes[1], &mut servers);
        Rest { images, processes, servers }
    }

    fn grown(change: impl Fn(&mut Held, &mut Open)) -> Vec<String> {
        after(9000, change).grown_since(&after(4000, |_, _| {}))
    }

    #[test]
    fn a_fleet_that_holds_what_it_held_has_not_grown() {
        assert_eq!(grown(|_, _| {}), Vec::<String>::new());
        let pool = |process: &mut Held, servers: &mut Open| {
            (process.pooled, process.descriptors) = (10.0, 45.0);
            servers.sessions += 5;
        };
        assert_eq!(grown(pool), Vec::<String>::new(), "a pool that has grown is no leak");
    }

    #[test]
    fn what_a_fleet_holds_beyond_that_is_named() {
        for (what, grown) in [
            ("worker-1: descriptors: 40, then 43", grown(|process, _| process.descriptors += 3.0)),
            ("worker-1: threads: 8, then 11", grown(|process, _| process.threads += 3.0)),
            ("servers: 11 connections to the broker", grown(|_, servers| servers.connections += 1)),
            ("servers: 1 idle transactions", grown(|_, servers| servers.idle_in_transaction += 1)),
        ] {
            assert!(grown.len() == 1 && grown[0].starts_with(what), "{what}: {grown:?}");
        }
    }

    #[test]
    fn a_round_without_load_shows_nothing() {
        let idle = after(4100, |_, _| {}).grown_since(&after(4000, |_, _| {}));
        assert_eq!(idle, ["no load: 100 images in the second round, least 500"]);
    }
}
