//! What can be done to the fleet: a file for each kind, a line for each in [`catalogue`].

mod ack_timeout;
mod alarm;
mod broker;
mod clock;
mod closed;
mod connections;
mod deadlock;
mod kill;
mod network;
mod origin;
mod pause;
mod postgres;
mod queue;
mod read_only;
mod slow_statement;
mod stop;

use std::time::Duration;

use futures::future::BoxFuture;
use tagfleet_shared::failpoint::Point;
use tagfleet_shared::wall_clock;

use super::arena::Arena;
use super::fleet::Member;
use super::proxy::Mode;
use crate::draw::Rng;

/// Something bad that begins and ends. How long it lasts is the schedule's to say.
pub trait Fault: Send {
    /// What it is, and whom it meets.
    fn name(&self) -> String;

    /// Whom it meets: two faults at the same time never meet the same.
    fn sites(&self) -> Vec<Site>;

    /// Makes it happen.
    fn begin<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>>;

    /// Makes an end of it. From then on the fleet has to be itself again, soon.
    fn end<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>>;

    /// The least that it has to last to be what it is called.
    fn least(&self) -> Duration {
        Duration::ZERO
    }

    /// Members that must say, while it lasts, that they are not ready.
    fn unready<'a>(&self, _: &'a Arena) -> Vec<&'a Member> {
        Vec::new()
    }

    /// The reasons for which good pictures may end because of it: those of the downloader and of the decoder. `timeout` is
    /// one wherever an attempt fails and leaves others, of which the last may meet a busy machine.
    fn spoils(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether it keeps outcomes that are clear from being written.
    fn holds(&self) -> bool {
        self.sites().contains(&Site::Database)
    }

    /// What the fleet did in it that it must never do, in words, once it has begun.
    fn violation(&self) -> Option<String> {
        None
    }

    /// That it did nothing, in words that go on from its name, once it has ended: then nothing was survived.
    fn nothing(&self) -> Option<&'static str> {
        None
    }
}

/// What a fault happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// RabbitMQ and the ways to it.
    Broker,
    /// Postgres and the ways to it.
    Database,
    /// The host of the pictures and the way to it.
    Origin,
    /// A process of the fleet, by its place among the members.
    Process(usize),
}

impl Site {
    /// Whether it is the process of this name.
    pub fn is_process(self, name: &str) -> bool {
        matches!(self, Self::Process(member) if kill::member_name(member) == name)
    }
}

/// A fault that is to be drawn: with a target of its own each time.
pub type Card = Box<dyn Fn(&mut Rng) -> Box<dyn Fault> + Send>;

/// A kind of fault in the deck.
fn card<F: Fault + 'static>(draw: impl Fn(&mut Rng) -> F + Send + 'static) -> Card {
    Box::new(move |rng| Box::new(draw(rng)))
}

/// The points that this load comes to: no picture changes in it. `tests/fleet/changes` kills at those.
fn points() -> impl Iterator<Item = Point> {
    Point::ALL.iter().copied().filter(|point| !point.name().starts_with("scheduler.changes_"))
}

/// Everything that can be done. Those that stop the broker take ten seconds and more, and are left out of
/// what is `brief`.
pub fn catalogue(brief: bool) -> Vec<Card> {
    let mut cards: Vec<Card> =
        points().map(|point| card(move |rng| kill::At::draw(point, brief, rng))).collect();
    cards.extend([
        card(kill::Anywhere::draw),
        card(pause::Pause::draw),
        card(stop::Stop::draw),
        card(|rng| clock::Jump::draw(wall_clock::AHEAD, rng)),
        card(|rng| clock::Jump::draw(wall_clock::BEHIND, rng)),
        card(|_| alarm::Alarm::default()),
        card(queue::Deleted::draw),
        card(closed::Closed::channel),
        card(closed::Closed::connection),
        card(|_| connections::Exhausted),
        card(|_| read_only::ReadOnly),
        card(|_| slow_statement::SlowStatement::default()),
        card(|_| deadlock::Deadlocks::default()),
    ]);
    for mode in [Mode::Cut, Mode::BlackHole, Mode::Trickle, Mode::HalfOpen] {
        cards.push(card(move |rng| network::Network::to_broker(mode, rng)));
        cards.push(card(move |rng| network::Network::to_database(mode, rng)));
        cards.push(card(move |_| network::Network::to_origin(mode)));
    }
    for manner in origin::Manner::ALL {
        cards.push(card(move |_| origin::Unwell::new(manner)));
    }
    if !brief {
        cards.extend([
            card(|_| broker::Away::stopped()),
            card(|_| broker::Away::killed()),
            card(|_| postgres::Away::stopped()),
            card(|_| postgres::Away::killed()),
            card(|_| ack_timeout::AckTimeout),
        ]);
    }
    cards
}
