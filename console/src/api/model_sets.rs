//! `/v1/model-sets`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::Console;
use crate::store::model_sets::{self, ModelSet};
use crate::web::Problem;

/// The model sets.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelSets {
    /// The live one first, then others at work, then the one that was at work last; a hundred at most.
    items: Vec<ModelSet>,
}

/// The model sets that have spoken, with their cards and what they can say
#[utoipa::path(get, path = "/v1/model-sets", tag = "model sets",
    responses((status = 200, description = "the model sets", body = ModelSets)))]
pub async fn list(State(console): State<Console>) -> Result<Json<ModelSets>, Problem> {
    Ok(Json(ModelSets { items: model_sets::list(&console.pool).await? }))
}
