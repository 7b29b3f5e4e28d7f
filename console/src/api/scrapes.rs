//! `/v1/scrapes`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::state::Console;
use crate::store::scrapes::{self, Filter, Scrape};
use crate::web::{Cursor, Listing, Params, Path, Problem};

/// Which scrapes to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Of this advertiser only.
    advertiser: Option<String>,
    /// In this state only: `fanning_out`, `tagging`, `tagged` or `refused`.
    state: Option<String>,
    /// What an earlier piece gave as `next`.
    cursor: Option<String>,
    /// How many lines.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
}

/// Scrapes, the newest first
#[utoipa::path(get, path = "/v1/scrapes", params(Wanted), tag = "scrapes",
    responses((status = 200, description = "a piece of the list", body = Listing<Scrape>)))]
pub async fn list(
    State(console): State<Console>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Listing<Scrape>>, Problem> {
    let Wanted { advertiser, state, cursor, limit } = wanted;
    let cursor = Cursor { cursor, limit };
    let filter = Filter { advertiser, state };
    let stuck_after = console.config.scrapes.stuck_after;
    let scrapes =
        scrapes::list(&console.pool, &filter, cursor.place()?, cursor.limit()?, stuck_after).await?;
    Ok(Json(scrapes))
}

/// Which scrape is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct Named {
    /// What the scrape pipeline calls it.
    scrape_id: String,
}

/// One scrape: how far it is, how its images ended, and whether it is stuck
#[utoipa::path(get, path = "/v1/scrapes/{scrape_id}", params(Named), tag = "scrapes",
    responses((status = 200, description = "the scrape", body = Scrape),
              (status = 404, description = "there is no such scrape", body = crate::web::problem::ProblemBody, content_type = "application/problem+json")))]
pub async fn show(State(console): State<Console>, Path(named): Path<Named>) -> Result<Json<Scrape>, Problem> {
    let stuck_after = console.config.scrapes.stuck_after;
    let scrape = scrapes::one(&console.pool, &named.scrape_id, stuck_after).await?;
    scrape.map(Json).ok_or_else(|| Problem::not_found(format_args!("scrape {}", named.scrape_id)))
}
