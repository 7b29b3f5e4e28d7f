//! `/v1/images`: pictures, and the story of each.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use tagfleet_shared::ids::ImageId;
use tokio::sync::SemaphorePermit;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::state::Console;
use crate::store::images::{self, Filter, Image};
use crate::store::lookup::{self as look, Found};
use crate::store::story::{self, Story};
use crate::web::problem::ProblemBody;
use crate::web::{Cursor, Kind, Listing, Params, Path, Problem};

/// How long a list waits for others: for one and a half of those that take as long as they may.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which pictures to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Of this scrape; without one, of the newest complete inventory of each advertiser.
    pub scrape: Option<String>,
    /// Of this advertiser.
    pub advertiser: Option<String>,
    /// About this attribute are `value` and `score_below`.
    pub attribute: Option<String>,
    /// With this value, or one that lies within (`a` finds `a/b`); `null` for null.
    pub value: Option<String>,
    /// Of whose value the models were less sure than this.
    #[param(minimum = 0, maximum = 1)]
    pub score_below: Option<f64>,
    /// With this outcome: `inferred`, `cached`, `matched`, `skipped`, `defaulted`; `none`: with none yet.
    pub outcome: Option<String>,
    /// Whether a person corrected something of it.
    pub fixed: Option<bool>,
    /// With this text in URL or key; what is the whole URL or key of a picture means just that picture.
    pub text: Option<String>,
    /// What an earlier piece gave as `next`.
    pub cursor: Option<String>,
    /// How many lines.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    pub limit: Option<u32>,
}

impl Wanted {
    /// The filter that it asks for, and the piece.
    ///
    /// # Errors
    ///
    /// If a value is asked for without its attribute.
    pub fn read(self) -> Result<(Filter, Cursor), Problem> {
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        let filter = Filter {
            scrape_id: said(self.scrape),
            advertiser: said(self.advertiser),
            attribute: said(self.attribute),
            value: said(self.value),
            score_below: self.score_below,
            outcome: said(self.outcome),
            fixed: self.fixed,
            text: said(self.text),
        };
        if filter.attribute.is_none() && (filter.value.is_some() || filter.score_below.is_some()) {
            return Err(Problem::new(
                Kind::BadRequest,
                "value and score_below are about an attribute: say which",
            ));
        }
        if filter.score_below.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
            return Err(Problem::new(Kind::BadRequest, "score_below is from 0 to 1"));
        }
        Ok((filter, Cursor { cursor: said(self.cursor), limit: self.limit }))
    }
}

/// Pictures with their tags: of the newest scrapes first, in the order of their inventories
#[utoipa::path(get, path = "/v1/images", params(Wanted), tag = "images",
    responses((status = 200, description = "a piece of the list", body = Listing<Image>),
              (status = 422, description = "too few are meant to find them in time", body = ProblemBody,
               content_type = "application/problem+json")))]
pub async fn list(
    State(console): State<Console>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Listing<Image>>, Problem> {
    let (filter, cursor) = wanted.read()?;
    Ok(Json(piece(&console, &filter, &cursor).await?))
}

/// A piece of the pictures that `filter` means.
///
/// # Errors
///
/// If the database is away, or finds too few within its time limit.
pub async fn piece(console: &Console, filter: &Filter, cursor: &Cursor) -> Result<Listing<Image>, Problem> {
    let (after, limit) = (cursor.place()?, cursor.limit()?);
    let _place = if filter.chooses() { Some(place(console).await?) } else { None };
    let found = images::list(&console.pool, filter, after, limit).await;
    found.map_err(|error| match error.is_too_long() {
        true if filter.chooses() => too_few(filter),
        true => Problem::new(Kind::Unavailable, "the database takes too long").after(5),
        false => error.into(),
    })
}

/// A place among the lists that pass over pictures, which may be long in finding any.
///
/// # Errors
///
/// If none is free for as long as somebody may wait.
pub(super) async fn place(console: &Console) -> Result<SemaphorePermit<'_>, Problem> {
    let place = tokio::time::timeout(PATIENCE, console.choosing.acquire());
    let too_many = || Problem::new(Kind::Unavailable, "too many look for pictures that are hard to find");
    place.await.ok().and_then(Result::ok).ok_or_else(|| too_many().after(3))
}

fn too_few(filter: &Filter) -> Problem {
    let what_to_do = match (&filter.scrape_id, &filter.advertiser) {
        (None, None) => "name an advertiser or a scrape, or the whole URL or key of a picture",
        _ => "name a scrape, or the whole URL or key of a picture, or leave a part of the filter out",
    };
    let detail =
        format!("too few pictures are meant to find them in the time that a list may take: {what_to_do}");
    Problem::new(Kind::Unprocessable, detail).advise(what_to_do)
}

/// Which image is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct Named {
    /// Its id.
    pub image_id: Uuid,
}

/// Why this tag? Everything that the fleet knows of one image
#[utoipa::path(get, path = "/v1/images/{image_id}", params(Named), tag = "images",
    responses((status = 200, description = "its story", body = Story,
               headers(("ETag" = String, description = "its version, for If-Match"))),
              (status = 404, description = "nobody has ever listed it", body = ProblemBody,
               content_type = "application/problem+json")))]
pub async fn show(
    State(console): State<Console>,
    Path(Named { image_id }): Path<Named>,
) -> Result<impl IntoResponse, Problem> {
    let story = story::story(&console.pool, ImageId(image_id)).await?;
    let story = story.ok_or_else(|| Problem::not_found(format_args!("image {image_id}")))?;
    Ok(([(header::ETAG, format!("{:?}", story.version))], Json(story)))
}

/// What is known of an image that is looked for: one of the two, or both.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Sought {
    /// The pipeline's own name of it.
    image_key: Option<String>,
    /// Its URL, exactly as scraped.
    url: Option<String>,
}

/// The images that were found.
#[derive(Debug, Serialize, ToSchema)]
pub struct Finds {
    /// One mostly; several where pictures with different keys have had one URL.
    items: Vec<Found>,
}

/// Images by key or by URL
#[utoipa::path(get, path = "/v1/lookup", params(Sought), tag = "images",
    responses((status = 200, description = "those that the fleet knows; none is an answer too", body = Finds)))]
pub async fn lookup(
    State(console): State<Console>,
    Params(Sought { image_key, url }): Params<Sought>,
) -> Result<Json<Finds>, Problem> {
    let by_key = image_key.as_deref().map(|key| ImageId::of(Some(key), ""));
    let by_url = url.as_deref().map(|url| ImageId::of(None, url));
    let candidates: Vec<_> = by_key.into_iter().chain(by_url).map(|image| image.0).collect();
    if candidates.is_empty() {
        return Err(Problem::new(Kind::BadRequest, "give image_key or url"));
    }
    Ok(Json(Finds { items: look::find(&console.pool, &candidates, url.as_deref()).await? }))
}
