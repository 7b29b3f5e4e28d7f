//! Everything that is answered. This one list makes the router, says which right each
//! route takes, and is what `docs/openapi.json` is written from.

use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::auth::guard::{self, Door};
use crate::auth::right::Right;
use crate::state::Console;
use crate::web::{Kind, Problem, headers};
use crate::{api, pages};

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// GET, POST, …
    pub method: Method,
    /// Its path, with `{…}` where something is named.
    pub path: String,
    /// What it takes; none: open to everybody.
    pub right: Option<Right>,
    /// Whether it is for people.
    pub page: bool,
}

/// The list while it is made.
pub struct Routes {
    console: Console,
    router: OpenApiRouter<Console>,
    list: Vec<Route>,
}

/// Everything that is answered.
pub fn all(console: &Console) -> Routes {
    let new = Routes {
        console: console.clone(),
        router: OpenApiRouter::with_openapi(api::document()),
        list: Vec::new(),
    };
    pages::routes(api::routes(new))
}

impl Routes {
    /// Answers programs who have `right`: what `utoipa_axum::routes!` makes of a handler.
    #[must_use]
    pub fn api(self, right: Right, routes: UtoipaMethodRouter<Console>) -> Self {
        self.behind(right, false, routes)
    }

    /// The same, and the handler begins its line of the audit itself: it takes a [`guard::Noted`].
    #[must_use]
    pub fn api_that_notes(self, right: Right, routes: UtoipaMethodRouter<Console>) -> Self {
        self.behind(right, true, routes)
    }

    fn behind(mut self, right: Right, notes_itself: bool, routes: UtoipaMethodRouter<Console>) -> Self {
        let (schemas, mut paths, router) = routes;
        for (path, item) in &mut paths.paths {
            for (method, operation) in api::document::operations(item) {
                api::document::complete(&method, path, operation, Some(right));
                self.list.push(Route { method, path: path.clone(), right: Some(right), page: false });
            }
        }
        let router = self.guarded(right, false, notes_itself, router);
        Self { router: self.router.routes((schemas, paths, router)), ..self }
    }

    /// Answers programs, whoever they are.
    #[must_use]
    pub fn open_api(mut self, routes: UtoipaMethodRouter<Console>) -> Self {
        let (schemas, mut paths, router) = routes;
        for (path, item) in &mut paths.paths {
            for (method, operation) in api::document::operations(item) {
                api::document::complete(&method, path, operation, None);
                self.list.push(Route { method, path: path.clone(), right: None, page: false });
            }
        }
        Self { router: self.router.routes((schemas, paths, router)), ..self }
    }

    /// Answers people who have `right`.
    #[must_use]
    pub fn page(mut self, right: Right, method: Method, path: &str, router: MethodRouter<Console>) -> Self {
        self.list.push(Route { method, path: path.into(), right: Some(right), page: true });
        let router = self.guarded(right, true, false, router);
        Self { router: self.router.route(path, router), ..self }
    }

    /// Answers people, whoever they are.
    #[must_use]
    pub fn open_page(mut self, method: Method, path: &str, router: MethodRouter<Console>) -> Self {
        self.list.push(Route { method, path: path.into(), right: None, page: true });
        Self { router: self.router.route(path, router), ..self }
    }

    fn guarded(
        &self,
        right: Right,
        page: bool,
        notes_itself: bool,
        router: MethodRouter<Console>,
    ) -> MethodRouter<Console> {
        let door = Door { console: self.console.clone(), right, page, notes_itself };
        router.route_layer(middleware::from_fn_with_state(door, guard::stand))
    }

    /// The list.
    pub fn list(&self) -> &[Route] {
        &self.list
    }

    /// What the API promises.
    pub fn openapi(self) -> OpenApi {
        self.router.into_openapi()
    }

    /// Answers.
    pub fn router(self) -> Router {
        let console = self.console;
        let timeout = middleware::from_fn_with_state(console.clone(), limit_time);
        let (router, _) = self.router.split_for_parts();
        router
            .fallback(|| async { Problem::not_found("such path") })
            .method_not_allowed_fallback(|method: Method| async move {
                Problem::new(Kind::MethodNotAllowed, format!("{method} is not answered here"))
            })
            .layer(timeout)
            .layer(middleware::from_fn(pages::problem::draw))
            .layer(DefaultBodyLimit::max(console.config.http.max_body_bytes))
            .layer(middleware::from_fn_with_state(console.clone(), headers::add))
            .layer(middleware::from_fn_with_state(console.clone(), count))
            .with_state(console)
    }
}

/// No caller waits for ever.
async fn limit_time(State(console): State<Console>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(console.config.http.timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            Problem::new(Kind::Unavailable, "no answer within http.timeout; a write may have been done")
                .after(5)
                .into_response()
        }
    }
}

async fn count(
    State(console): State<Console>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let route = path.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let status: StatusCode = response.status();
    console.metrics.answered(&route, status.as_u16(), started.elapsed());
    response
}
