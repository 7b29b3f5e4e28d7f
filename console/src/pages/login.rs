//! `/login`, `/login/callback`, `/logout` and `/left`.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use serde::Deserialize;
use url::Url;

use super::{Html, assets};
use crate::auth::login::{Provider, local};
use crate::auth::{guard, secret, session, token};
use crate::state::Console;
use crate::store::audit;
use crate::store::sessions::{self, Session};
use crate::web::{Kind, Params, Problem};

/// Where somebody wants to go.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    next: Option<String>,
}

/// Sends somebody to the provider.
pub async fn begin(
    State(console): State<Console>,
    Params(wanted): Params<Wanted>,
    request: Request,
) -> Result<Response, Problem> {
    let address = guard::address(&console, &request);
    let begun = send_away(&console, wanted, address.as_deref()).await;
    noted(&console, "/login", address, begun).await
}

async fn send_away(console: &Console, wanted: Wanted, address: Option<&str>) -> Result<Response, Problem> {
    let provider = provider(console)?;
    console.auth.limits.login(address.unwrap_or_default())?;
    let begun = provider.begin(local(wanted.next.as_deref())).await?;
    sessions::await_login(&console.pool, &token::hash(&begun.state), &begun.login).await?;
    let cookies = &console.auth.cookies;
    let cookie = [(header::SET_COOKIE, cookies.set(cookies.login(), &begun.state))];
    Ok((cookie, Redirect::to(begun.url.as_str())).into_response())
}

/// Whoever is refused here stands in the audit; `path` is without its query, which holds the code.
async fn noted(
    console: &Console,
    path: &str,
    address: Option<String>,
    answer: Result<Response, Problem>,
) -> Result<Response, Problem> {
    if let Err(problem) = &answer
        && matches!(problem.kind(), Kind::Unauthorized | Kind::Forbidden | Kind::TooMany)
    {
        // Whoever can reach the port could fill the audit.
        console.auth.limits.refusal(address.as_deref().unwrap_or_default())?;
        let (via, method) = ("nobody".into(), "GET".into());
        let request = audit::Request { who: None, via, address, method, path: path.into() };
        let status = problem.kind().status().as_u16();
        audit::refuse(&console.pool, &request, status, problem.detail()).await?;
    }
    answer
}

/// What the provider says of somebody who comes back.
#[derive(Debug, Deserialize)]
pub struct Answer {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

/// Takes somebody in who comes back from the provider.
pub async fn end(
    State(console): State<Console>,
    Params(answer): Params<Answer>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let address = guard::address(&console, &request);
    let ended = take_in(&console, answer, &headers, address.as_deref()).await;
    noted(&console, "/login/callback", address, ended).await
}

async fn take_in(
    console: &Console,
    answer: Answer,
    headers: &HeaderMap,
    address: Option<&str>,
) -> Result<Response, Problem> {
    console.auth.limits.login(address.unwrap_or_default())?;
    let wrong = |detail: &str| Problem::new(Kind::Unauthorized, detail).advise("Log in again at /login.");
    let provider = provider(console)?;
    let cookies = &console.auth.cookies;
    let state = answer.state.ok_or_else(|| wrong("the provider gave no state"))?;
    // The browser that comes back is the one that was sent.
    if session::read(headers, cookies.login()).as_ref() != Some(&state) {
        return Err(wrong("this login was not begun in this browser, or too long ago"));
    }
    let login = sessions::take_login(&console.pool, &token::hash(&state)).await?;
    let login = login.ok_or_else(|| wrong("this login has come back already, or was begun too long ago"))?;
    let code = answer.code.ok_or_else(|| {
        wrong(&format!("the provider says {:?}", answer.error.as_deref().unwrap_or("nothing")))
    })?;
    let proved = provider.end(code, &login).await?;
    let Some(role) = proved.role else {
        let detail =
            format!("{} has no role: the claim {} names none", proved.name, console.config.login.role_claim);
        return Err(Problem::new(Kind::Forbidden, detail)
            .advise("Ask whoever gives out roles at the login provider."));
    };
    let (cookie, csrf) = (secret(), secret());
    let session = Session { subject: proved.subject, name: proved.name, role: role.to_string(), csrf };
    let lasts = console.config.login.lasts;
    sessions::begin(&console.pool, &token::hash(&cookie), &session, lasts, address).await?;
    let set = AppendHeaders([
        (header::SET_COOKIE, cookies.set(cookies.session(), &cookie)),
        (header::SET_COOKIE, cookies.clear(cookies.login())),
    ]);
    Ok((set, Redirect::to(&login.next)).into_response())
}

/// Ends a login. Where to go from here the page says: to `/left`, for `/` would begin the next login at once.
pub async fn leave(State(console): State<Console>, headers: HeaderMap) -> Result<Response, Problem> {
    let cookies = &console.auth.cookies;
    if let Some(cookie) = session::read(&headers, cookies.session()) {
        sessions::end(&console.pool, &token::hash(&cookie)).await?;
    }
    let cleared = [(header::SET_COOKIE, cookies.clear(cookies.session()))];
    Ok((cleared, StatusCode::NO_CONTENT).into_response())
}

/// Where somebody is who has logged out.
#[derive(Template)]
#[template(path = "left.html")]
struct LeftPage {
    /// Where the provider ends its own login, where it does and says so.
    provider: Option<Url>,
}

impl LeftPage {
    fn asset(&self, name: &str) -> String {
        assets::address(name)
    }
}

/// Says that somebody has logged out, and of what they have not.
pub async fn left(State(console): State<Console>) -> impl IntoResponse {
    let provider = match &console.auth.provider {
        Some(provider) => provider.leave().await,
        None => None,
    };
    Html(LeftPage { provider })
}

fn provider(console: &Console) -> Result<&Provider, Problem> {
    let problem = || {
        let problem = Problem::new(Kind::NotFound, "nobody can log in here: login.issuer is not set");
        problem.advise("Use an API token, or have a login provider configured.")
    };
    console.auth.provider.as_ref().ok_or_else(problem)
}
