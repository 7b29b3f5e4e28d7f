//! Corrections by people.

mod checks;

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use tagfleet_shared::fixes::{Correction, EVERYONE, Entry, Place, Verdict};
use tagfleet_shared::ids::{ImageId, MAX_ID_BYTES};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use self::checks::{check_restored, check_value, checked, count, if_match, note};
use super::images::Named;
use crate::auth::Person;
use crate::auth::guard::Noted;
use crate::state::Console;
use crate::store::fixes::{self, Corrected};
use crate::web::problem::ProblemBody;
use crate::web::{Body, Kind, Params, Path, Problem};

/// Images of one request at most.
pub const MOST_IMAGES: usize = 1000;
/// Longest note, in bytes.
const MOST_NOTE: usize = 2000;

/// For whom a value holds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// For everyone who has no fix of their own.
    Everyone,
    /// For one advertiser, by its id.
    #[schema(value_type = Name)]
    Advertiser(String),
}

/// What the pipeline calls an advertiser.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 200)]
pub struct Name(#[allow(dead_code, reason = "for the contract")] String);

impl Scope {
    fn advertiser(&self) -> Result<&str, Problem> {
        match self {
            Self::Everyone => Ok(EVERYONE),
            Self::Advertiser(id) => checked("scope.advertiser", id, 1, MAX_ID_BYTES),
        }
    }
}

/// One correction.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFix {
    /// The attribute.
    attribute: String,
    /// Its value: a class of the live model set, or null where the machine could say it too.
    #[serde(deserialize_with = "present")]
    #[schema(required)]
    value: Option<String>,
    /// For whom.
    scope: Scope,
    /// Why.
    #[serde(default)]
    #[schema(max_length = 2000)]
    note: Option<String>,
}

/// A value that must be there, if only as null.
fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(value)
}

/// What was written.
#[derive(Debug, Serialize, ToSchema)]
pub struct Written {
    /// One for each image whose fix is another now.
    entries: Vec<WrittenEntry>,
}

impl Written {
    fn of(entries: &[Entry]) -> Self {
        let entry = |entry: &Entry| WrittenEntry { image_id: entry.image.0, id: entry.id };
        Self { entries: entries.iter().map(entry).collect() }
    }
}

/// An entry of the history.
#[derive(Debug, Serialize, ToSchema)]
pub struct WrittenEntry {
    /// The image.
    image_id: Uuid,
    /// The entry: what `undo` and `revert` take.
    id: i64,
}

/// Corrects one image, everywhere and at once
#[utoipa::path(post, path = "/v1/images/{image_id}/fixes", tag = "fixes",
    params(Named, ("If-Match" = Option<String>, Header, description = "the version that was seen, or *")),
    request_body = NewFix,
    responses((status = 201, description = "no reader sees the old value any more", body = Written),
              (status = 202, description = "it is written; the rows that are there follow within seconds", body = Written),
              (status = 404, description = "nobody has ever listed it", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "it has changed since it was seen", body = ProblemBody, content_type = "application/problem+json"),
              (status = 422, description = "the live model set knows no such value", body = ProblemBody, content_type = "application/problem+json"),
              (status = 428, description = "If-Match is missing", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn create(
    State(console): State<Console>,
    Path(Named { image_id }): Path<Named>,
    headers: HeaderMap,
    person: Person,
    Noted(line): Noted,
    Body(fix): Body<NewFix>,
) -> Result<impl IntoResponse, Problem> {
    let image = ImageId(image_id);
    let seen = if_match(&headers)?.map(|version| (image, version)).into_iter().collect();
    let note = note(fix.note.as_deref())?;
    check_value(&console, &fix.attribute, fix.value.as_deref()).await?;
    let correction = Correction {
        images: &[image],
        place: Place { advertiser: fix.scope.advertiser()?, attribute: &fix.attribute },
        verdict: Verdict::Set(fix.value.as_deref()),
        by: &person.name,
        note,
    };
    let corrected = fixes::correct(&console.pool, &correction, &seen, &line).await?;
    answer(StatusCode::CREATED, corrected)
}

/// Which fix is withdrawn.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Withdrawn {
    /// Of this attribute.
    attribute: String,
    /// Of this advertiser; absent: that for everyone.
    advertiser: Option<String>,
    /// Why.
    note: Option<String>,
}

/// Withdraws a fix: the machine's value is back, or what the next fix says
#[utoipa::path(delete, path = "/v1/images/{image_id}/fixes", tag = "fixes",
    params(Named, Withdrawn, ("If-Match" = Option<String>, Header, description = "the version that was seen, or *")),
    responses((status = 200, description = "no reader sees the fix any more", body = Written),
              (status = 202, description = "it is written; the rows that are there follow within seconds", body = Written),
              (status = 404, description = "there is no such fix", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "it has changed since it was seen", body = ProblemBody, content_type = "application/problem+json"),
              (status = 428, description = "If-Match is missing", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn withdraw(
    State(console): State<Console>,
    Path(Named { image_id }): Path<Named>,
    Params(fix): Params<Withdrawn>,
    headers: HeaderMap,
    person: Person,
    Noted(line): Noted,
) -> Result<impl IntoResponse, Problem> {
    let image = ImageId(image_id);
    let seen = if_match(&headers)?.map(|version| (image, version)).into_iter().collect();
    let advertiser = fix.advertiser.as_deref().unwrap_or(EVERYONE);
    let correction = Correction {
        images: &[image],
        place: Place {
            advertiser: checked("advertiser", advertiser, 0, MAX_ID_BYTES)?,
            attribute: &fix.attribute,
        },
        verdict: Verdict::Withdraw,
        by: &person.name,
        note: note(fix.note.as_deref())?,
    };
    let corrected = fixes::correct(&console.pool, &correction, &seen, &line).await?;
    if let Corrected::Done(entries) = &corrected
        && entries.is_empty()
    {
        return Err(Problem::not_found("such fix").advise("See `fixes` of the image for those that hold."));
    }
    answer(StatusCode::OK, corrected)
}

/// One correction of many images.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Bulk {
    /// The images.
    #[schema(min_items = 1, max_items = 1000)]
    images: Vec<SeenImage>,
    /// The attribute.
    attribute: String,
    /// What becomes of it.
    verdict: NewVerdict,
    /// For whom.
    scope: Scope,
    /// Why.
    #[serde(default)]
    #[schema(max_length = 2000)]
    note: Option<String>,
}

/// An image, and the version that was seen of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeenImage {
    /// The image.
    image_id: Uuid,
    /// Its version as it was seen, or `*`.
    version: String,
}

/// What becomes of an attribute.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NewVerdict {
    /// It gets this value: a class of the live model set, or null where the machine could say it too.
    #[schema(value_type = Option<String>)]
    Set(Option<String>),
    /// Its fix goes.
    Withdraw,
}

/// Corrects up to 1,000 images: all of them, or none
#[utoipa::path(post, path = "/v1/fixes/bulk", tag = "fixes", request_body = Bulk,
    responses((status = 200, description = "no reader sees an old value any more", body = Written),
              (status = 202, description = "it is written; the rows that are there follow within seconds", body = Written),
              (status = 404, description = "nobody has ever listed some of them", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "some have changed since they were seen", body = ProblemBody, content_type = "application/problem+json"),
              (status = 422, description = "the live model set knows no such value", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn bulk(
    State(console): State<Console>,
    person: Person,
    Noted(line): Noted,
    Body(bulk): Body<Bulk>,
) -> Result<impl IntoResponse, Problem> {
    count("images", bulk.images.len())?;
    let mut seen = HashMap::new();
    for (i, image) in bulk.images.iter().enumerate() {
        if image.version != "*" {
            let version = image.version.parse();
            let wrong = |()| Problem::new(Kind::BadRequest, format!("images[{i}].version is not a version"));
            seen.insert(ImageId(image.image_id), version.map_err(wrong)?);
        }
    }
    let verdict = match &bulk.verdict {
        NewVerdict::Set(value) => {
            check_value(&console, &bulk.attribute, value.as_deref()).await?;
            Verdict::Set(value.as_deref())
        }
        NewVerdict::Withdraw => Verdict::Withdraw,
    };
    let images: Vec<_> = bulk.images.iter().map(|image| ImageId(image.image_id)).collect();
    let correction = Correction {
        images: &images,
        place: Place { advertiser: bulk.scope.advertiser()?, attribute: &bulk.attribute },
        verdict,
        by: &person.name,
        note: note(bulk.note.as_deref())?,
    };
    answer(StatusCode::OK, fixes::correct(&console.pool, &correction, &seen, &line).await?)
}

/// Which entry of the history is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct NamedEntry {
    /// Its id.
    entry: i64,
}

/// Brings back what held after this entry of the history
#[utoipa::path(post, path = "/v1/fixes/{entry}/revert", tag = "fixes",
    params(NamedEntry, ("If-Match" = Option<String>, Header, description = "the version of the image that was seen, or *")),
    responses((status = 200, description = "no reader sees the later value any more", body = Written),
              (status = 202, description = "it is written; the rows that are there follow within seconds", body = Written),
              (status = 404, description = "there is no such entry", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "it has changed since it was seen", body = ProblemBody, content_type = "application/problem+json"),
              (status = 422, description = "the live model set knows no such value", body = ProblemBody, content_type = "application/problem+json"),
              (status = 428, description = "If-Match is missing", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn revert(
    State(console): State<Console>,
    Path(NamedEntry { entry }): Path<NamedEntry>,
    headers: HeaderMap,
    person: Person,
    Noted(line): Noted,
) -> Result<impl IntoResponse, Problem> {
    let seen = if_match(&headers)?;
    // An older model set knew other classes.
    if let Some((attribute, value)) = fixes::set_by(&console.pool, entry).await? {
        check_value(&console, &attribute, value.as_deref()).await?;
    }
    let corrected = fixes::revert(&console.pool, entry, seen.as_ref(), &person.name, &line).await?;
    answer(StatusCode::OK, corrected)
}

/// Entries to undo.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Undone {
    /// Their ids, as the correction gave them.
    #[schema(min_items = 1, max_items = 1000)]
    entries: Vec<i64>,
}

/// Brings back what held before these entries of the history: for all of them, or for none
#[utoipa::path(post, path = "/v1/fixes/undo", tag = "fixes", request_body = Undone,
    responses((status = 200, description = "no reader sees the undone values any more", body = Written),
              (status = 202, description = "it is written; the rows that are there follow within seconds", body = Written),
              (status = 404, description = "there are no such entries", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "somebody has corrected some of them since", body = ProblemBody, content_type = "application/problem+json"),
              (status = 422, description = "the live model set knows no such value", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn undo(
    State(console): State<Console>,
    person: Person,
    Noted(line): Noted,
    Body(undone): Body<Undone>,
) -> Result<impl IntoResponse, Problem> {
    count("entries", undone.entries.len())?;
    check_restored(&console, &undone.entries).await?;
    answer(StatusCode::OK, fixes::undo(&console.pool, &undone.entries, &person.name, &line).await?)
}

/// `done`, or 202 where the rows are still to follow.
fn answer(done: StatusCode, corrected: Corrected) -> Result<(StatusCode, Json<Written>), Problem> {
    // Enough to go on with; a body of a thousand is no message.
    let some = |images: &[ImageId]| {
        let names: Vec<_> = images.iter().take(10).map(ToString::to_string).collect();
        let more = if images.len() > names.len() { ", …" } else { "" };
        format!("{}{more}", names.join(", "))
    };
    match corrected {
        Corrected::Done(entries) => Ok((done, Json(Written::of(&entries)))),
        Corrected::Due(entries) => Ok((StatusCode::ACCEPTED, Json(Written::of(&entries)))),
        Corrected::Changed(images) => {
            let detail = format!("changed since you saw it: {}; nothing was written", some(&images));
            Err(Problem::new(Kind::Conflict, detail))
        }
        Corrected::Unknown(images) => {
            let problem = Problem::new(
                Kind::NotFound,
                format!("nobody has ever listed {}; nothing was written", some(&images)),
            );
            Err(problem.advise("Look the image up by its key or URL: /v1/lookup."))
        }
        Corrected::NoEntry(ids) => Err(Problem::new(
            Kind::NotFound,
            format!("the history has no entry {ids:?}; nothing was written"),
        )),
    }
}
