//! `/v1/scrapes`.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use tagfleet_shared::broker::{Outgoing, SCRAPE_FINISHED};
use tagfleet_shared::events::{Malformed, Parsed, ScrapeFinished};
use tagfleet_shared::ids::{AdvertiserId, ScrapeId};
use tagfleet_shared::jobs::{Job, TagImage, Trust};
use tagfleet_shared::lane::Lane;
use tagfleet_shared::reopen::{self, Reopened};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::auth::guard::Did;
use crate::state::Console;
use crate::store::inventory;
use crate::store::scrapes::{self, Filter, Reason, Scrape};
use crate::web::problem::ProblemBody;
use crate::web::{Cursor, Kind, Listing, Params, Path, Problem, extract};

/// Jobs in one publication.
const PAGE: usize = 500;

/// Which scrapes to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Of this advertiser only.
    advertiser: Option<String>,
    /// In this state only: `fanning_out`, `tagging`, `tagged` or `refused`; where none is named, all of them.
    /// `changing` and `changed` are micro-scrapes of pictures that changed.
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

/// One scrape, and why its images were not tagged.
#[derive(Debug, Serialize, ToSchema)]
pub struct Whole {
    #[serde(flatten)]
    scrape: Scrape,
    /// Why images were skipped or defaulted, the most frequent reason first. Its images are at
    /// `/v1/images?scrape=…`.
    reasons: Vec<Reason>,
}

/// One scrape: how far it is, how its images ended and why, and whether it is stuck
#[utoipa::path(get, path = "/v1/scrapes/{scrape_id}", params(Named), tag = "scrapes",
    responses((status = 200, description = "the scrape", body = Whole),
              (status = 404, description = "there is no such scrape", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn show(
    State(console): State<Console>,
    Path(Named { scrape_id }): Path<Named>,
) -> Result<Json<Whole>, Problem> {
    let stuck_after = console.config.scrapes.stuck_after;
    let scrape = scrapes::one(&console.pool, &scrape_id, stuck_after).await?;
    let scrape = scrape.ok_or_else(|| Problem::not_found(format_args!("scrape {scrape_id}")))?;
    Ok(Json(Whole { scrape, reasons: scrapes::reasons(&console.pool, &scrape_id).await? }))
}

/// A scrape that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct Taken {
    /// What it is called: `/v1/scrapes/{scrape_id}`, as soon as a scheduler has it.
    scrape_id: String,
    /// Fields of it that nobody knows: they change nothing.
    unknown_fields: Vec<String>,
}

/// Hands in a scrape: the same as the event `scrape.finished`, for pipelines without RabbitMQ
#[utoipa::path(post, path = "/v1/scrapes", tag = "scrapes",
    request_body(content = super::document::FinishedSchema, content_type = "application/json"),
    responses((status = 202, description = "the broker has it", body = Taken)))]
pub async fn submit(State(console): State<Console>, request: Request) -> Result<impl IntoResponse, Problem> {
    // The scrape's own trace links to that of whoever hands it in.
    let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let traceparent = traceparent.map(str::to_owned);
    let body = extract::json_bytes(request, &console).await?;
    let malformed = |error: Malformed| Problem::new(Kind::BadRequest, error.to_string());
    let Parsed { value, unknown_fields } = ScrapeFinished::parse(&body).map_err(malformed)?;
    publish(&console, &value.scrape_id, body.to_vec(), traceparent.as_deref()).await?;
    let did = Did(format!("handed in: {}", value.scrape_id.0));
    Ok((StatusCode::ACCEPTED, did, Json(Taken { scrape_id: value.scrape_id.0, unknown_fields })))
}

async fn publish(
    console: &Console,
    scrape_id: &ScrapeId,
    body: Vec<u8>,
    traceparent: Option<&str>,
) -> Result<(), Problem> {
    let event = Outgoing::event(console.broker.topology(), SCRAPE_FINISHED, scrape_id.0.clone(), body);
    Ok(console.publisher.publish(&[event.traced(traceparent)]).await?)
}

/// How many images are worked on again.
#[derive(Debug, Serialize, ToSchema)]
pub struct Again {
    /// Images.
    images: usize,
}

/// Runs the skipped images of a scrape again
///
/// Its counts stay true, and it is announced again when they have their outcome.
#[utoipa::path(post, path = "/v1/scrapes/{scrape_id}/rerun", params(Named), tag = "scrapes",
    responses((status = 202, description = "they are worked on again", body = Again),
              (status = 404, description = "there is no such scrape", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "it cannot be run again", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn rerun(
    State(console): State<Console>,
    Path(Named { scrape_id }): Path<Named>,
) -> Result<impl IntoResponse, Problem> {
    let stuck_after = console.config.scrapes.stuck_after;
    let scrape = scrapes::one(&console.pool, &scrape_id, stuck_after).await?;
    let scrape = scrape.ok_or_else(|| Problem::not_found(format_args!("scrape {scrape_id}")))?;
    let reopened = reopen::skipped(&mut *console.pool.get().await?, &ScrapeId(scrape_id)).await?;
    let Reopened::Jobs(jobs, lane) = reopened else {
        return Err(not_now(&scrape));
    };
    // No memory is trusted: a picture that could not be had may have been replaced, and a worker remembers the one before.
    // Whoever dies here leaves open images, and the sweep makes up for their jobs.
    for page in jobs.chunks(PAGE) {
        let topology = console.broker.topology();
        let job = |job: &TagImage| {
            let body = serde_json::to_vec(&Job::TagImageV1(job.clone())).expect("a job is text and numbers");
            Outgoing::job(topology, lane, body).trusting(Trust::Database)
        };
        console.publisher.publish(&page.iter().map(job).collect::<Vec<_>>()).await.map_err(|error| {
            let problem = Problem::from(error);
            problem.advise(
                "The images are open again, and the scheduler's sweep publishes the jobs that are missing.",
            )
        })?;
    }
    let did = Did(format!("images run again: {}", jobs.len()));
    Ok((StatusCode::ACCEPTED, did, Json(Again { images: jobs.len() })))
}

/// Why the skipped images of `scrape` cannot be run again, and what can be done in place of that.
fn not_now(scrape: &Scrape) -> Problem {
    let (why, advice) = match (&scrape.superseded_by, &*scrape.state) {
        (Some(newer), _) => {
            (format!("a newer scrape has overtaken it: {newer}"), "Run the newer scrape again.")
        }
        (None, "refused") => {
            ("nothing of its inventory could be read".into(), "Send its event again when that is mended.")
        }
        (None, "changing" | "changed") => (
            "it is no inventory, but pictures that changed".into(),
            "Send `image.changed` for them again, or tag the advertiser again.",
        ),
        (None, _) => ("its images are still being listed".into(), "Wait until it is listed."),
    };
    Problem::new(Kind::Conflict, why).advise(advice)
}

/// Whose inventory is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct Advertiser {
    /// What the pipeline calls them.
    advertiser_id: String,
}

/// Tags the newest inventory of an advertiser again, on the bulk lane, with the live model set
///
/// What this set has said already it is not asked again.
#[utoipa::path(post, path = "/v1/advertisers/{advertiser_id}/retag", params(Advertiser), tag = "scrapes",
    responses((status = 202, description = "it is a scrape of its own", body = Taken),
              (status = 404, description = "they have no inventory that is still kept", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "their newest scrape is still at work", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn retag(
    State(console): State<Console>,
    Path(Advertiser { advertiser_id }): Path<Advertiser>,
) -> Result<impl IntoResponse, Problem> {
    let newest = inventory::newest(&console.pool, &advertiser_id).await?;
    let newest = newest.filter(|newest| newest.kept);
    let newest = newest
        .ok_or_else(|| Problem::not_found(format_args!("inventory of {advertiser_id} that is still kept")))?;
    if newest.unfinished {
        let detail = format!(
            "scrape {} of {advertiser_id} is still at work, and would be overtaken",
            newest.scrape_id
        );
        return Err(Problem::new(Kind::Conflict, detail)
            .advise("Wait for its end: it uses the live model set anyway."));
    }
    let scrape_id = ScrapeId(format!("retag-{}", Uuid::new_v4()));
    let event = ScrapeFinished {
        scrape_id: scrape_id.clone(),
        advertiser_id: AdvertiserId(advertiser_id),
        // As old as the inventory that it repeats: one that the pipeline has meanwhile is newer.
        finished_at: newest.finished_at,
        lane: Some(Lane::Bulk),
        images: None,
        manifest_url: None,
        images_of: Some(newest.scrape_id),
    };
    let of = event.images_of.as_ref().map_or("", |of| &of.0);
    let did = Did(format!("the inventory of {of} is tagged again as {}", scrape_id.0));
    let body = serde_json::to_vec(&event).expect("an event is text and numbers");
    publish(&console, &scrape_id, body, None).await?;
    Ok((StatusCode::ACCEPTED, did, Json(Taken { scrape_id: scrape_id.0, unknown_fields: Vec::new() })))
}
