//! `/conflicts`: pictures over which people disagree.

use askama::Template;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Deserialize;

use super::{Html, Layout};
use crate::api;
use crate::auth::Person;
use crate::state::Console;
use crate::store::conflicts::Conflict;
use crate::web::{Cursor, Listing, Params, Problem};

/// Which conflicts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    attribute: String,
    advertiser: String,
    cursor: String,
}

/// The page.
#[derive(Template)]
#[template(path = "conflicts.html")]
struct ConflictsPage {
    layout: Layout,
    conflicts: Listing<Conflict>,
    wanted: Wanted,
}

/// Shows them.
pub async fn conflicts(
    State(console): State<Console>,
    Params(wanted): Params<Wanted>,
    person: Person,
) -> Result<impl IntoResponse, Problem> {
    let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let cursor = Cursor { cursor: said(&wanted.cursor), limit: None };
    let (attribute, advertiser) = (said(&wanted.attribute), said(&wanted.advertiser));
    let conflicts =
        api::conflicts::piece(&console, attribute.as_deref(), advertiser.as_deref(), &cursor).await?;
    Ok(Html(ConflictsPage { layout: Layout::new("Conflicts", person), conflicts, wanted }))
}
