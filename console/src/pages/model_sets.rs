//! `/model-sets`: who says what the tags are.

use askama::Template;
use axum::extract::State;
use axum::response::IntoResponse;

use super::{Html, Layout};
use crate::auth::Person;
use crate::state::Console;
use crate::store::model_sets::{self, ModelSet};
use crate::web::Problem;

/// The page.
#[derive(Template)]
#[template(path = "model_sets.html")]
struct ModelSetsPage {
    layout: Layout,
    sets: Vec<ModelSet>,
}

/// Shows them.
pub async fn model_sets(
    State(console): State<Console>,
    person: Person,
) -> Result<impl IntoResponse, Problem> {
    let sets = model_sets::list(&console.pool).await?;
    Ok(Html(ModelSetsPage { layout: Layout::new("Model sets", person), sets }))
}
