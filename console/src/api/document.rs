//! `openapi.json`: the contract, made of the list of routes.

use std::borrow::Cow;
use std::sync::OnceLock;

use axum::extract::State;
use axum::http::{Method, header};
use axum::response::IntoResponse;
use schemars::generate::SchemaSettings;
use tagfleet_shared::events::ScrapeFinished;
use utoipa::openapi::Schema;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ContentBuilder, ObjectBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{OpenApi as _, PartialSchema, ToSchema};

use crate::auth::Right;
use crate::state::Console;
use crate::web::Kind;
use crate::web::problem::ProblemBody;

/// What stands above the routes.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "tagfleet console",
        description = "People see and correct tags. Every problem is an RFC 9457 problem detail with `what_to_do`; \
                       `x-right` says what a route takes. A list that may be long comes in pieces and goes on at `next`; \
                       `/v1/lookup`, `/v1/model-sets` and `/v1/dead-letters` tell all that there is at once, a hundred \
                       images or sets at most: who has more of these looks for something else."
    ),
    components(schemas(ProblemBody))
)]
struct Head;

/// The document before any route is in it.
pub fn document() -> OpenApi {
    let mut document = Head::openapi();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let cookie = ApiKeyValue::with_description(
        "__Host-tagfleet",
        "A login's cookie; writes need the header X-CSRF-Token as well.",
    );
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    document
}

/// What the event is called in the document.
const FINISHED: &str = "ScrapeFinished";

/// The event `scrape.finished`, as its own JSON Schema has it.
pub struct FinishedSchema;

impl PartialSchema for FinishedSchema {
    fn schema() -> RefOr<Schema> {
        // Its place: see `text`.
        ObjectBuilder::new().build().into()
    }
}

impl ToSchema for FinishedSchema {
    fn name() -> Cow<'static, str> {
        FINISHED.into()
    }
}

/// A schema of JSON is one of OpenAPI 3.1 too. All of it is in one place, as its parts have no names here.
fn finished() -> serde_json::Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<ScrapeFinished>().to_value()
}

/// The operations of one path.
pub fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    let all = [
        (Method::GET, get),
        (Method::PUT, put),
        (Method::POST, post),
        (Method::DELETE, delete),
        (Method::PATCH, patch),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Adds what is the same for every route: a name that no other has, the right that it takes, and the
/// problems that any request may meet.
pub fn complete(method: &Method, path: &str, operation: &mut Operation, right: Option<Right>) {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !matches!(*word, "" | "v1"));
    let words: Vec<_> = std::iter::once(method.as_str()).chain(words).map(str::to_lowercase).collect();
    operation.operation_id = Some(words.join("_"));
    let mut problems = vec![Kind::BadRequest, Kind::Unavailable];
    if let Some(right) = right {
        problems.extend([Kind::Unauthorized, Kind::Forbidden, Kind::TooMany]);
        let needed = ["token", "session"].map(|scheme| SecurityRequirement::new(scheme, [] as [&str; 0]));
        operation.security = Some(needed.into());
        let extension = ExtensionsBuilder::new().add("x-right", right.as_str()).build();
        operation.extensions.get_or_insert_default().merge(extension);
    } else {
        operation.security = Some(Vec::new());
    }
    if operation.request_body.is_some() {
        problems.extend([Kind::TooLarge, Kind::UnsupportedMedia]);
    }
    for kind in problems {
        let status = kind.status().as_u16().to_string();
        operation.responses.responses.entry(status).or_insert_with(|| problem(kind));
    }
}

fn problem(kind: Kind) -> RefOr<utoipa::openapi::Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = ResponseBuilder::new().description(kind.title());
    RefOr::T(response.content("application/problem+json", content).build())
}

/// This document
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, description = "OpenAPI", body = Object)))]
pub async fn openapi(State(console): State<Console>) -> impl IntoResponse {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| text(&console));
    ([(header::CONTENT_TYPE, "application/json")], text.as_str())
}

/// The whole document, as it is committed.
pub fn text(console: &Console) -> String {
    let document = crate::routes::all(console).openapi();
    // A value first: its keys are in order.
    let mut value = serde_json::to_value(document).unwrap_or_default();
    value["components"]["schemas"][FINISHED] = finished();
    format!("{value:#}\n")
}
