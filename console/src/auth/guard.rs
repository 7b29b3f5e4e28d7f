//! Stands before every handler that takes a right.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::person::Person;
use super::right::Right;
use crate::state::Console;
use crate::web::{Kind, Problem};

/// The header that our own pages send with every write.
pub const CSRF: &str = "x-csrf-token";

/// What a door is like.
#[derive(Clone)]
pub struct Door {
    /// What goes on behind it.
    pub console: Console,
    /// What it takes to come in.
    pub right: Right,
    /// Whether people come here, and are shown to the login instead of being refused.
    pub page: bool,
}

/// Lets a request in, if whoever sends it may do what is behind this door.
pub async fn stand(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    match admit(&door, request.method(), request.headers()).await {
        Ok(person) => {
            request.extensions_mut().insert(person);
            next.run(request).await
        }
        Err(problem) if door.page && problem.kind() == Kind::Unauthorized => login(&request),
        Err(problem) => problem.into_response(),
    }
}

async fn admit(door: &Door, method: &Method, headers: &HeaderMap) -> Result<Person, Problem> {
    let person = door.console.auth.identify(headers).await?;
    let person = person.ok_or_else(|| Problem::new(Kind::Unauthorized, "this takes a login or a token"))?;
    if !person.may(door.right) {
        return Err(lacks(&person, door.right));
    }
    if is_write(method) {
        check_origin(&person, headers)?;
    }
    Ok(person)
}

fn lacks(person: &Person, right: Right) -> Problem {
    Problem::new(
        Kind::Forbidden,
        format!("this takes the right {right}; {} has: {}", person.name, person.rights),
    )
}

/// Whether requests with this method change something.
pub fn is_write(method: &Method) -> bool {
    !method.is_safe()
}

/// A browser sends cookies with strangers' requests as well; the secret only our pages send.
fn check_origin(person: &Person, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(secret) = person.csrf() else { return Ok(()) };
    let sent = headers.get(CSRF).map(|value| value.as_bytes());
    if sent.is_some_and(|sent| same(sent, secret.as_bytes())) {
        return Ok(());
    }
    let problem =
        Problem::new(Kind::Forbidden, "the header X-CSRF-Token is missing or not that of this login");
    Err(problem.advise("Load the page again; programs use an API token, which needs no such header."))
}

/// Without telling by its time where two texts begin to differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    blake3::hash(a) == blake3::hash(b)
}

fn login(request: &Request) -> Response {
    let wanted = request.uri().path_and_query().map_or("/", |wanted| wanted.as_str());
    let query: String =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("next", wanted).finish();
    Redirect::to(&format!("/login?{query}")).into_response()
}
