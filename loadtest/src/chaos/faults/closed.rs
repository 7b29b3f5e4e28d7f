//! Channels and connections that somebody else closes.

use std::time::{Duration, Instant};

use anyhow::Context;
use futures::FutureExt;
use futures::future::BoxFuture;
use rand::RngExt;
use reqwest::Method;
use serde_json::Value;

use super::{Arena, Fault, Rng, Site};

/// How the connections of the fleet's processes call themselves: those of whoever watches it are none of them.
const FLEET: [&str; 2] = ["tagfleet-scheduler ", "tagfleet-worker "];

/// The broker's HTTP API tells of a connection some five seconds after it was opened: at times the fleet has no other.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// One channel or connection of the fleet is closed by the broker.
pub struct Closed {
    what: &'static str,
    /// Which one, of those that there are then.
    which: usize,
    /// There was none to close.
    none: bool,
}

impl Closed {
    /// Any channel of the fleet.
    pub fn channel(rng: &mut Rng) -> Self {
        Self { what: "channel", which: rng.random_range(0..1000), none: false }
    }

    /// Any connection of the fleet.
    pub fn connection(rng: &mut Rng) -> Self {
        Self { what: "connection", which: rng.random_range(0..1000), none: false }
    }

    /// As the broker does where a client has made a mistake. No tool of the broker's closes a channel.
    async fn close_channel(&mut self, arena: &Arena) -> anyhow::Result<()> {
        self.none = arena.erlang(&closing_channel(self.which)).await?.contains("none");
        Ok(())
    }

    async fn close_connection(&self, arena: &Arena) -> anyhow::Result<()> {
        let end = Instant::now() + TOLD_WITHIN;
        let open = loop {
            let open = arena.manage(Method::GET, &["connections"]).await?;
            if !of_the_fleet(&open).is_empty() || Instant::now() >= end {
                break open;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let names = of_the_fleet(&open);
        let name = names.get(self.which % names.len().max(1)).context("the fleet has no connection")?;
        // It may be gone by itself meanwhile.
        let _ = arena.manage(Method::DELETE, &["connections", name]).await;
        Ok(())
    }
}

/// What the broker calls the fleet's connections, of all that are open.
fn of_the_fleet(open: &Value) -> Vec<&str> {
    let is_of_it = |one: &&Value| {
        let name = one["client_properties"]["connection_name"].as_str();
        name.is_some_and(|name| FLEET.iter().any(|process| name.starts_with(process)))
    };
    open.as_array().into_iter().flatten().filter(is_of_it).filter_map(|one| one["name"].as_str()).collect()
}

/// In the broker's own language, as its HTTP API hears of a channel seconds later: of those on the fleet's connections,
/// the one at this place has made a mistake. One that goes meanwhile is none of them.
fn closing_channel(which: usize) -> String {
    let fleet = FLEET.map(|process| format!("<<\"{process}\">>")).join(", ");
    format!(
        "IsOfTheFleet = fun(Channel) ->
             try
                 [{{connection, Reader}}] = rabbit_channel:info(Channel, [connection]),
                 [{{client_properties, Properties}}] = rabbit_reader:info(Reader, [client_properties]),
                 {{_, _, Name}} = lists:keyfind(<<\"connection_name\">>, 1, Properties),
                 lists:any(fun(Process) -> string:prefix(Name, Process) =/= nomatch end, [{fleet}])
             catch _:_ -> false end
         end,
         case lists:filter(IsOfTheFleet, rabbit_channel:list()) of [] -> none; L ->
             exit(lists:nth(1 + {which} rem length(L), L),
                  {{amqp_error, precondition_failed, \"closed from outside\", none}}) end."
    )
}

impl Fault for Closed {
    fn name(&self) -> String {
        format!("{} closed from outside", self.what)
    }

    fn sites(&self) -> Vec<Site> {
        vec![Site::Broker]
    }

    fn begin<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async {
            match self.what {
                "channel" => self.close_channel(arena).await,
                _ => self.close_connection(arena).await,
            }
        }
        .boxed()
    }

    fn end<'a>(&'a mut self, _: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async { Ok(()) }.boxed()
    }

    fn nothing(&self) -> Option<&'static str> {
        self.none.then_some("of which the fleet had none")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What watches the fleet sees it through a connection of its own, which is no part of what is tried.
    #[test]
    fn no_connection_but_the_fleets_is_closed() {
        let open = json!([
            { "name": "127.0.0.1:1 -> 127.0.0.1:9", "client_properties": { "connection_name": "tagfleet-chaos consumes" } },
            { "name": "127.0.0.1:2 -> 127.0.0.1:9", "client_properties": { "connection_name": "tagfleet-worker consumes" } },
            { "name": "127.0.0.1:3 -> 127.0.0.1:9", "client_properties": { "product": "another" } },
            { "name": "127.0.0.1:4 -> 127.0.0.1:9" },
            { "name": "127.0.0.1:5 -> 127.0.0.1:9", "client_properties": { "connection_name": "tagfleet-scheduler publishes" } },
        ]);

        assert_eq!(of_the_fleet(&open), ["127.0.0.1:2 -> 127.0.0.1:9", "127.0.0.1:5 -> 127.0.0.1:9"]);
        assert_eq!(of_the_fleet(&json!([])), Vec::<&str>::new());
    }

    #[test]
    fn a_channel_is_chosen_by_the_same_names() {
        let erlang = closing_channel(7);

        assert!(erlang.contains("[<<\"tagfleet-scheduler \">>, <<\"tagfleet-worker \">>]"), "{erlang}");
        assert!(erlang.contains("lists:nth(1 + 7 rem length(L), L)"), "{erlang}");
    }
}
