//! `/v1/dead-letters`: messages that a person has to look at.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tagfleet_shared::broker::{BrokerError, DeadLetter};
use tagfleet_shared::dead::{self, DeadError, Filter, Position};
use utoipa::{IntoParams, ToSchema};

use crate::auth::guard::Did;
use crate::state::Console;
use crate::web::problem::ProblemBody;
use crate::web::{Body, Cursor, Kind, Listing, Params, Path, Problem};

/// Letters of one request at most.
pub const MOST: u64 = 1000;
/// Ids that the audit has place for.
const MOST_TOLD: usize = 100;

/// Dead letters by reason.
#[derive(Debug, Serialize, ToSchema)]
pub struct Groups {
    /// One for each reason, kind and lane.
    items: Vec<Group>,
    /// How many more there are that were not looked at: they are too many, or somebody else is looking.
    unseen: u64,
}

/// Dead letters that have the same reason, kind and lane.
#[derive(Debug, Serialize, ToSchema)]
pub struct Group {
    /// A stable word for why.
    reason: String,
    /// `event`, `change` (`image.changed`), `job` or `unknown`.
    kind: String,
    /// The lane of jobs.
    lane: Option<String>,
    /// How many.
    messages: u64,
    /// Of these, sent back before.
    redriven: u64,
    /// When the first of them died.
    first: Option<Timestamp>,
    /// When the last of them did.
    last: Option<Timestamp>,
}

/// Dead letters by reason
///
/// While somebody looks at the queue, nobody else sees what is in it. A hundred thousand are looked at, fewer where they
/// are large.
#[utoipa::path(get, path = "/v1/dead-letters", tag = "dead letters",
    responses((status = 200, description = "the groups", body = Groups)))]
pub async fn groups(State(console): State<Console>) -> Result<Json<Groups>, Problem> {
    let _turn = console.turn().await?;
    let dead::Groups { groups, unseen } = dead::groups(&console.broker).await?;
    let items = groups.into_iter().map(|((reason, kind), group)| Group {
        reason,
        kind: kind.to_string(),
        lane: kind.lane().map(|lane| lane.to_string()),
        messages: group.messages,
        redriven: group.redriven,
        first: group.first,
        last: group.last,
    });
    Ok(Json(Groups { items: items.collect(), unseen }))
}

/// Which letters to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// With this reason.
    reason: Option<String>,
    /// What an earlier piece gave as `next`.
    cursor: Option<String>,
    /// How many letters.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
}

/// One dead letter.
#[derive(Debug, Serialize, ToSchema)]
pub struct Letter {
    /// Of its body and the queue that it came from: copies have the same.
    id: String,
    /// A stable word for why.
    reason: String,
    /// What is wrong, in words.
    error: Option<String>,
    /// `event`, `change` (`image.changed`), `job` or `unknown`.
    kind: String,
    /// The lane of a job.
    lane: Option<String>,
    /// When it died, where that is known.
    dead_at: Option<Timestamp>,
    /// How often it was sent back from here.
    redriven: u32,
    /// Its text headers.
    headers: BTreeMap<String, String>,
    /// The message, as text.
    body: String,
}

impl From<DeadLetter> for Letter {
    fn from(letter: DeadLetter) -> Self {
        Self {
            error: letter.error().map(str::to_owned),
            kind: letter.kind.to_string(),
            lane: letter.lane().map(|lane| lane.to_string()),
            id: letter.id,
            reason: letter.reason,
            dead_at: letter.dead_at,
            redriven: letter.redriven,
            headers: letter.headers,
            body: String::from_utf8_lossy(&letter.body).into_owned(),
        }
    }
}

/// Dead letters, the oldest first
///
/// Of large ones there are fewer than `limit`.
#[utoipa::path(get, path = "/v1/dead-letters/messages", params(Wanted), tag = "dead letters",
    responses((status = 200, description = "a piece of the letters", body = Listing<Letter>),
              (status = 409, description = "the letter after which it goes on is not there any more", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn list(
    State(console): State<Console>,
    Params(Wanted { reason, cursor, limit }): Params<Wanted>,
) -> Result<Json<Listing<Letter>>, Problem> {
    let cursor = Cursor { cursor, limit };
    let (after, limit) = (cursor.place::<Position>()?, cursor.limit()?);
    let one_more = Some(u64::from(limit) + 1);
    let filter = Filter { reasons: reason.into_iter().collect(), ids: Vec::new(), limit: one_more };
    let _turn = console.turn().await?;
    let piece = dead::piece(&console.broker, filter, after).await?;
    let gone =
        || Problem::new(Kind::Conflict, "the letter after which this goes on was sent back or dropped");
    let piece = piece.ok_or_else(|| gone().advise("Begin anew, without a cursor."))?;
    // The last one is there to show that there are more.
    let limit = if piece.is_heavy { limit.min(piece.letters.len() as u32 - 1) } else { limit };
    let piece = Listing::cut(piece.letters, limit, |(position, _)| position.clone());
    Ok(Json(piece.map(|(_, letter)| letter.into())))
}

/// Which letter is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct Named {
    /// Its id.
    id: String,
}

/// One dead letter, with headers and body
#[utoipa::path(get, path = "/v1/dead-letters/messages/{id}", params(Named), tag = "dead letters",
    responses((status = 200, description = "the letter", body = Letter),
              (status = 404, description = "there is no such letter", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn show(
    State(console): State<Console>,
    Path(Named { id }): Path<Named>,
) -> Result<Json<Letter>, Problem> {
    let filter = Filter { reasons: Vec::new(), ids: vec![id.clone()], limit: Some(1) };
    let _turn = console.turn().await?;
    let letter = dead::look(&console.broker, filter).await?.pop().filter(|letter| letter.id == id);
    letter
        .map(|letter| Json(letter.into()))
        .ok_or_else(|| Problem::not_found(format_args!("dead letter {id}")))
}

/// Which letters are meant: those that every part is true of, and one part at least.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    /// With one of these reasons.
    #[serde(default)]
    reasons: Vec<String>,
    /// With one of these ids.
    #[serde(default)]
    ids: Vec<String>,
    /// At most so many, the oldest first.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
}

impl Chosen {
    fn filter(self) -> Result<Filter, Problem> {
        let Self { reasons, ids, limit: most } = self;
        // A body that says nothing is a mistake more often than a wish for all.
        if reasons.is_empty() && ids.is_empty() {
            return Err(Problem::new(Kind::BadRequest, "say which: give reasons or ids"));
        }
        if ids.iter().any(|id| id.len() != 16) {
            return Err(Problem::new(Kind::BadRequest, "an id has 16 characters"));
        }
        Ok(Filter { reasons, ids, limit: limit(most)? })
    }

    /// It in words.
    fn told(&self) -> String {
        let Self { reasons, ids, limit } = self;
        let limit = limit.map(|limit| format!("at most {limit}"));
        let of = |what: &str, words: &[String]| {
            let (some, others) = words.split_at(words.len().min(MOST_TOLD));
            let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
            (!some.is_empty()).then(|| format!("with {what} {}{more}", some.join(", ")))
        };
        let parts = [limit, of("reason", reasons), of("id", ids)];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

fn limit(limit: Option<u64>) -> Result<Option<u64>, Problem> {
    match limit {
        None | Some(1..=MOST) => Ok(limit),
        Some(other) => {
            Err(Problem::new(Kind::BadRequest, format!("limit is {other}, and must be 1 to {MOST}")))
        }
    }
}

/// What was sent back.
#[derive(Debug, Serialize, ToSchema)]
pub struct Redriven {
    /// Messages.
    messages: u64,
    /// Images that have no outcome again.
    reopened: u64,
    /// Messages that were meant, but belong to nobody here: they stay.
    foreign: u64,
}

/// Sends dead letters back to where they came from, as new
#[utoipa::path(post, path = "/v1/dead-letters/redrive", tag = "dead letters", request_body = Chosen,
    responses((status = 200, description = "they are back; fewer than were meant is an answer too", body = Redriven)))]
pub async fn redrive(
    State(console): State<Console>,
    Body(chosen): Body<Chosen>,
) -> Result<(Did, Json<Redriven>), Problem> {
    let told = chosen.told();
    let filter = chosen.filter()?;
    let _turn = console.turn().await?;
    let redriven = dead::redrive(&console.broker, &console.pool, filter).await.map_err(|error| {
        half_way(
            error,
            "Some may be back already, and of some there may be two, which is harmless: look again, and send back \
             what is left.",
        )
    })?;
    let dead::Redriven { messages, reopened, foreign, .. } = redriven;
    let did = Did(format!("sent back: {messages}, of those {told}; images opened again: {reopened}"));
    Ok((did, Json(Redriven { messages, reopened, foreign })))
}

/// With `advice` for what may have been done by then. While somebody else looks, nothing was begun.
fn half_way(error: DeadError, advice: &str) -> Problem {
    match error {
        DeadError::Broker(error @ BrokerError::Taken) => error.into(),
        DeadError::Broker(error) => Problem::from(error).advise(advice),
        DeadError::Database(error) => Problem::from(error).advise(advice),
    }
}

/// What was dropped.
#[derive(Debug, Serialize, ToSchema)]
pub struct Dropped {
    /// Messages.
    messages: u64,
}

/// Drops dead letters, for good: images keep the defaults that they got
#[utoipa::path(post, path = "/v1/dead-letters/drop", tag = "dead letters", request_body = Chosen,
    responses((status = 200, description = "they are gone; fewer than were meant is an answer too", body = Dropped)))]
pub async fn discard(
    State(console): State<Console>,
    Body(chosen): Body<Chosen>,
) -> Result<(Did, Json<Dropped>), Problem> {
    let told = chosen.told();
    let filter = chosen.filter()?;
    let _turn = console.turn().await?;
    let dropped = dead::discard(&console.broker, filter).await.map_err(|error| {
        half_way(error.into(), "Some may be gone already: look again, and drop what is left.")
    })?;
    let messages = dropped.messages;
    Ok((Did(format!("dropped: {messages}, of those {told}")), Json(Dropped { messages })))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Behind the letters stands what became of them, which is not to be cut off.
    #[test]
    fn of_many_letters_the_audit_has_the_first_and_how_many_more_there_are() {
        let chosen = |count: usize| Chosen {
            reasons: vec!["panicked".into()],
            ids: (0..count).map(|n| format!("{n:016x}")).collect(),
            limit: Some(MOST),
        };
        assert_eq!(
            chosen(2).told(),
            "at most 1000, with reason panicked, with id 0000000000000000, 0000000000000001"
        );
        let told = chosen(1000).told();
        assert!(told.ends_with("0000000000000063 and 900 more") && told.len() < 1900, "{told}");
    }
}
