//! `/images/{image_id}`: a picture's page, with its story and its history.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Deserialize;
use tagfleet_shared::ids::ImageId;
use uuid::Uuid;

use super::{Html, Layout};
use crate::auth::Person;
use crate::state::Console;
use crate::store::history::Correction;
use crate::store::story::{self, Source, Story, TagValue};
use crate::web::{Params, Path, Problem};

/// The page.
#[derive(Template)]
#[template(path = "picture.html")]
struct PicturePage {
    layout: Layout,
    story: Story,
    wanted: Wanted,
}

/// From where somebody comes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// For whom they looked at it, and correct it unless they say otherwise.
    r#for: String,
}

impl PicturePage {
    /// Where it was listed last.
    fn url(&self) -> &str {
        self.story.listed_last().map_or("", |listed| &listed.url)
    }

    /// Whether it is corrected for them unless somebody says otherwise.
    fn is_meant(&self, advertiser: &str) -> bool {
        self.wanted.r#for == advertiser
    }

    /// The advertisers who list it.
    fn advertisers(&self) -> impl Iterator<Item = &str> {
        self.story.listed.iter().map(|listed| &*listed.advertiser_id)
    }
}

/// Where a value came from, as a person says it.
fn source(value: &TagValue) -> &'static str {
    match value.source {
        Source::Fix => "a person, for this advertiser",
        Source::FixForEveryone => "a person, for everyone",
        Source::Configured => "the scrape said so",
        Source::Model => "the models, for this scrape",
        Source::Cached => "the models, before this scrape",
        Source::MatchedBytes => "the models, who know the same bytes",
        Source::Default => "the default",
    }
}

/// Whether a person said it.
fn is_fixed(value: &TagValue) -> bool {
    matches!(value.source, Source::Fix | Source::FixForEveryone)
}

/// How sure the models were.
pub(super) fn score(scores: &BTreeMap<String, f32>, attribute: &str) -> Option<f32> {
    scores.get(attribute).copied()
}

/// A value as JSON, which tells null from text.
fn json(value: &Option<String>) -> String {
    serde_json::json!(value).to_string()
}

/// Asked before the last entry of the history is undone: it may be anybody's, of any age, or itself an undoing.
fn undoing(last: &Correction) -> String {
    let said = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".into());
    let what = match &*last.action {
        "withdrawn" => format!("{} withdrawn", said(&last.from)),
        _ => said(&last.to),
    };
    let whom = last.advertiser_id.as_deref().unwrap_or("everyone");
    let note = last.note.as_ref().map(|note| format!(", “{note}”")).unwrap_or_default();
    let at = last.at.strftime("%Y-%m-%d %H:%M");
    format!("Undo {}: {what} for {whom}, by {}, {at} UTC{note}?", last.attribute, last.by)
}

/// The last part of a URL, which people know a picture by.
fn file(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(url)
}

/// Shows it.
pub async fn picture(
    State(console): State<Console>,
    Path(image): Path<Uuid>,
    Params(wanted): Params<Wanted>,
    person: Person,
) -> Result<impl IntoResponse, Problem> {
    let story = story::story(&console.pool, ImageId(image)).await?;
    let story = story.ok_or_else(|| Problem::not_found(format_args!("image {image}")))?;
    let key = story.listed.iter().find_map(|listed| listed.image_key.as_deref());
    let url = story.listed_last().map_or("", |listed| &listed.url);
    let title = format!("Picture {}", key.unwrap_or_else(|| file(url)));
    Ok(Html(PicturePage { layout: Layout::new(title, person), story, wanted }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_known_by_the_last_part_of_its_url() {
        assert_eq!(file("https://cdn.test/cars/1.jpg?w=100#x"), "1.jpg");
        assert_eq!(file("https://cdn.test/cars/"), "cars");
        assert_eq!(file(""), "");
    }
}
