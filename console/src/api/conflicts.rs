//! `/v1/conflicts`: pictures over which people disagree.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::state::Console;
use crate::store::conflicts::{self, Conflict};
use crate::web::problem::ProblemBody;
use crate::web::{Cursor, Kind, Listing, Params, Problem};

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
    responses((status = 200, description = "a piece of the list", body = Listing<Conflict>),
              (status = 422, description = "too few are meant to find them in time", body = ProblemBody,
               content_type = "application/problem+json")))]
pub async fn list(
    State(console): State<Console>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Listing<Conflict>>, Problem> {
    let Wanted { attribute, advertiser, cursor, limit } = wanted;
    let cursor = Cursor { cursor, limit };
    Ok(Json(piece(&console, attribute.as_deref(), advertiser.as_deref(), &cursor).await?))
}

/// A piece of the conflicts about `attribute` in which `advertiser` has a side.
///
/// # Errors
///
/// If the database is away, or finds too few within its time limit.
pub async fn piece(
    console: &Console,
    attribute: Option<&str>,
    advertiser: Option<&str>,
    cursor: &Cursor,
) -> Result<Listing<Conflict>, Problem> {
    let (after, limit) = (cursor.place()?, cursor.limit()?);
    let _place = super::images::place(console).await?;
    let found = conflicts::list(&console.pool, attribute, advertiser, after, limit).await;
    found.map_err(|error| match error.is_too_long() {
        true => Problem::new(
            Kind::Unprocessable,
            "the advertiser has a side in too few conflicts to find them in the time that a list may take",
        )
        .advise("Name an attribute, or leave the advertiser out."),
        false => error.into(),
    })
}
