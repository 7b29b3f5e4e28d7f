//! `/v1/audit`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::state::Console;
use crate::store::audit::{self, Line};
use crate::web::{Cursor, Listing, Params, Problem};

/// Which lines to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Of this person or token.
    who: Option<String>,
    /// `write`, `refusal`, `login` or `token`.
    kind: Option<String>,
    /// What an earlier piece gave as `next`.
    cursor: Option<String>,
    /// How many lines.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
}

/// Every write, refusal and login, and every API token made or revoked, the latest first
#[utoipa::path(get, path = "/v1/audit", params(Wanted), tag = "audit",
    responses((status = 200, description = "a piece of the list", body = Listing<Line>)))]
pub async fn list(
    State(console): State<Console>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Listing<Line>>, Problem> {
    let Wanted { who, kind, cursor, limit } = wanted;
    let cursor = Cursor { cursor, limit };
    let (who, kind) = (who.as_deref(), kind.as_deref());
    Ok(Json(audit::list(&console.pool, who, kind, cursor.place()?, cursor.limit()?).await?))
}
