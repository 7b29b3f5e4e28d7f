//! `/v1/conflicts`: pictures over which people disagree.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::state::Console;
use crate::store::conflicts::{self, Conflict};
use crate::web::{Cursor, Listing, Params, Problem};

/// Which conflicts to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// About this attribute.
    attribute: Option<String>,
    /// With this advertiser on one side.
    advertiser: Option<String>,
    /// What an earlier piece gave as `next`.
    cursor: Option<String>,
    /// How many lines.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
}

/// Pictures that several share and that people have tagged differently: each keeps their value
#[utoipa::path(get, path = "/v1/conflicts", params(Wanted), tag = "fixes",
    responses((status = 200, description = "a piece of the list", body = Listing<Conflict>)))]
pub async fn list(
    State(console): State<Console>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Listing<Conflict>>, Problem> {
    let Wanted { attribute, advertiser, cursor, limit } = wanted;
    let cursor = Cursor { cursor, limit };
    let (attribute, advertiser) = (attribute.as_deref(), advertiser.as_deref());
    Ok(Json(conflicts::list(&console.pool, attribute, advertiser, cursor.place()?, cursor.limit()?).await?))
}
