//! `/v1/classify`: what the live model set says of a picture, now.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header;
use serde::{Deserialize, Serialize};
use tagfleet_shared::broker::BrokerError;
use tagfleet_shared::events::MAX_TEXT_BYTES;
use tagfleet_shared::questions::{Question, Reply};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::state::Console;
use crate::web::problem::ProblemBody;
use crate::web::{Kind, Problem, extract};

/// Where a picture is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// http or https; it is fetched by a worker, under the same rules as the pictures of a scrape.
    #[schema(min_length = 1, max_length = 8192)]
    url: String,
}

/// A picture, as it is in a file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct Picture(#[allow(dead_code, reason = "for the contract")] Vec<u8>);

/// What the live model set says.
#[derive(Debug, Serialize, ToSchema)]
pub struct Classified {
    /// The model set.
    model_set: String,
    /// Tells it from every other.
    digest: String,
    /// What it says; fixes are not in it.
    tags: BTreeMap<String, Option<String>>,
    /// How sure it is, 0 to 1.
    scores: BTreeMap<String, f32>,
    /// A hash of the bytes.
    bytes_hash: Uuid,
    /// The picture's width in pixels.
    width: u32,
    /// And its height.
    height: u32,
}

/// What the live model set says of a picture: of the one in the body, or of the one at a URL
#[utoipa::path(post, path = "/v1/classify", tag = "classify",
    request_body(content((Place = "application/json"), (Picture = "image/*"), (Picture = "application/octet-stream"))),
    responses((status = 200, description = "its answer; nothing is recorded", body = Classified),
              (status = 422, description = "the picture cannot be had or read", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn classify(State(console): State<Console>, request: Request) -> Result<Json<Classified>, Problem> {
    let question = question(request, &console).await?;
    let config = console.config.classify;
    let place = tokio::time::timeout(config.timeout, console.classifying.acquire());
    let Ok(Ok(_place)) = place.await else {
        return Err(Problem::new(Kind::Unavailable, "too many pictures are asked about").after(10));
    };
    match console.broker.ask(question, config.timeout).await {
        Ok(Reply::Said(said)) => Ok(Json(Classified {
            model_set: said.model_set,
            digest: said.digest,
            tags: said.tags.0,
            scores: said.scores.0,
            bytes_hash: said.bytes_hash,
            width: said.width,
            height: said.height,
        })),
        Ok(Reply::Not { reason }) => {
            let problem =
                Problem::new(Kind::Unprocessable, format!("the picture cannot be had or read: {reason}"));
            Err(problem.advise("Send another picture, or one that a browser shows."))
        }
        Ok(Reply::Unwell { error }) => {
            Err(Problem::new(Kind::Unavailable, format!("the worker that was asked is unwell: {error}"))
                .after(10))
        }
        Err(BrokerError::Silent) => {
            Err(Problem::new(Kind::Unavailable, "no worker answered in time").after(10))
        }
        Err(error) => Err(error.into()),
    }
}

async fn question(request: Request, console: &Console) -> Result<Question, Problem> {
    let kind =
        request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind.starts_with("image/") || kind == "application/octet-stream" {
        let bytes = extract::bytes(request, console).await?;
        if bytes.is_empty() {
            return Err(Problem::new(Kind::BadRequest, "the body is empty"));
        }
        return Ok(Question::Bytes(bytes.into()));
    }
    let Place { url } = extract::read(&extract::json_bytes(request, console).await?)?;
    if url.is_empty() || url.len() > MAX_TEXT_BYTES {
        return Err(Problem::new(Kind::BadRequest, format!("url must have 1 to {MAX_TEXT_BYTES} bytes")));
    }
    Ok(Question::Url(url))
}
