//! What people see where something is wrong; programs get the same as JSON.

use askama::Template;
use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Html, assets};
use crate::web::{Problem, wants_page};

/// The page.
#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    problem: Problem,
}

impl ProblemPage {
    fn asset(&self, name: &str) -> String {
        assets::address(name)
    }
}

/// Draws a problem for whoever wants a page, wherever they are: also at the login, at a path that there is not, and where
/// nothing answers in time. What the API answers is for programs, and stays JSON.
pub async fn draw(request: Request, next: Next) -> Response {
    let wants_page = wants_page(request.headers()) && !request.uri().path().starts_with("/v1/");
    let response = next.run(request).await;
    let problem = response.extensions().get::<Problem>().filter(|_| wants_page).cloned();
    let Some(problem) = problem else { return response };
    let mut page = Html(ProblemPage { problem }).into_response();
    *page.status_mut() = response.status();
    for (name, value) in response.headers() {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            page.headers_mut().insert(name, value.clone());
        }
    }
    // Who counts and audits problems finds it still.
    *page.extensions_mut() = response.extensions().clone();
    page
}
