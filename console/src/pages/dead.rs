//! `/dead-letters`: messages that a person has to look at.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Deserialize;
use tagfleet_shared::broker::{DeadLetter, Kind};
use tagfleet_shared::dead::{self, Filter, Group, Groups};
use tagfleet_shared::jobs::{Job, TagImage};

use super::{Html, Layout};
use crate::api::dead::MOST as MOST_AT_ONCE;
use crate::auth::Person;
use crate::state::Console;
use crate::web::{Params, Path, Problem};

/// Letters of one page.
const MOST: usize = 100;

/// The letters of one reason, or the reasons.
#[derive(Template)]
#[template(path = "dead_letters.html")]
struct DeadLettersPage {
    layout: Layout,
    reason: String,
    groups: Vec<(String, Kind, Group)>,
    /// How many more there are.
    unseen: u64,
    letters: Vec<DeadLetter>,
    /// Of all that are sent back or dropped at once: more than are listed.
    ids: BTreeSet<String>,
}

impl DeadLettersPage {
    /// What redriving or dropping all of them sends: those that were told. By their number alone it would be others, where
    /// somebody else has taken some of them since and more have died. Copies have one id, so their number counts as well.
    fn all(&self) -> String {
        let limit = self.count().min(MOST_AT_ONCE);
        serde_json::json!({ "reasons": [self.reason], "ids": self.ids, "limit": limit }).to_string()
    }

    /// What that means.
    fn all_of_them(&self) -> String {
        match self.count() {
            1 => "it".into(),
            count if count > MOST_AT_ONCE => format!("the oldest {MOST_AT_ONCE}"),
            count => format!("all {count}"),
        }
    }

    fn count(&self) -> u64 {
        self.groups.iter().filter(|group| group.0 == self.reason).map(|group| group.2.messages).sum()
    }
}

/// One letter.
#[derive(Template)]
#[template(path = "dead_letter.html")]
struct DeadLetterPage {
    layout: Layout,
    letter: DeadLetter,
}

impl DeadLetterPage {
    /// The message, set out where it is JSON.
    fn body(&self) -> String {
        let json: Result<serde_json::Value, _> = serde_json::from_slice(&self.letter.body);
        json.map_or_else(
            |_| String::from_utf8_lossy(&self.letter.body).into_owned(),
            |json| format!("{json:#}"),
        )
    }

    /// The image that it is about, where it is a job.
    fn job(&self) -> Option<TagImage> {
        let Job::TagImageV1(image) = serde_json::from_slice(&self.letter.body).ok()?;
        Some(image)
    }

    /// What redriving or dropping it sends.
    fn one(&self) -> String {
        serde_json::json!({ "ids": [self.letter.id] }).to_string()
    }
}

/// Which letters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    reason: String,
}

/// Shows the reasons, and the letters of one.
pub async fn letters(
    State(console): State<Console>,
    Params(Wanted { reason }): Params<Wanted>,
    person: Person,
) -> Result<impl IntoResponse, Problem> {
    let Seen { groups: Groups { groups, unseen }, letters, ids } = look(&console, &reason).await?;
    let layout = Layout::new("Dead letters", person);
    let groups = groups.into_iter().map(|((reason, kind), group)| (reason, kind, group)).collect();
    Ok(Html(DeadLettersPage { layout, reason, groups, unseen, letters, ids }))
}

/// What is seen at one look.
#[derive(Default)]
struct Seen {
    groups: Groups,
    letters: Vec<DeadLetter>,
    ids: BTreeSet<String>,
}

/// All groups, and the first letters with this reason: at one look, because what somebody has looked at is
/// not at once in the queue again.
async fn look(console: &Console, reason: &str) -> Result<Seen, Problem> {
    let _turn = console.turn().await?;
    let mut queue = console.broker.dead_letters().await?;
    let mut seen = Seen::default();
    let mut at_once =
        Filter { reasons: vec![reason.to_owned()], limit: Some(MOST_AT_ONCE), ..Filter::default() };
    while let Some(letter) = queue.next().await? {
        seen.groups.count(&letter);
        if !at_once.takes(&letter) {
            continue;
        }
        seen.ids.insert(letter.id.clone());
        if seen.letters.len() < MOST {
            // The list has no place for what they say, which may be much.
            seen.letters.push(letter.without_body());
        }
    }
    seen.groups.unseen = queue.unseen();
    queue.close().await?;
    Ok(seen)
}

/// Shows one.
pub async fn letter(
    State(console): State<Console>,
    Path(id): Path<String>,
    person: Person,
) -> Result<impl IntoResponse, Problem> {
    let filter = Filter { reasons: Vec::new(), ids: vec![id.clone()], limit: Some(1) };
    let _turn = console.turn().await?;
    let letter = dead::look(&console.broker, filter).await?.pop().filter(|letter| letter.id == id);
    let letter = letter.ok_or_else(|| Problem::not_found(format_args!("dead letter {id}")))?;
    let layout = Layout::new(format!("Dead letter {}", letter.id), person);
    Ok(Html(DeadLetterPage { layout, letter }))
}
