//! Stands before every handler that takes a right.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, OriginalUri, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, IntoResponseParts, Redirect, Response, ResponseParts};
use deadpool_postgres::Pool;
use tagfleet_shared::db::DbError;
use tracing::warn;

use super::person::Person;
use super::right::Right;
use crate::state::Console;
use crate::store::audit;
use crate::web::{Kind, Problem, bytes, wants_page};

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
    /// Whether a write behind it begins its line of the audit itself, in its own transaction.
    pub notes_itself: bool,
}

/// Lets a request in, if whoever sends it may do what is behind this door; writes and refusals go
/// into the audit.
pub async fn stand(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let pool = door.console.pool.clone();
    let mut noted = noted(&door.console, &request);
    let is_write = is_write(request.method());
    let admitted = admit(&door, request.method(), request.headers(), &mut noted).await;
    let person = match admitted {
        Ok(person) => person,
        // Once for a page, and not for each of its pictures and streams: each login that begins is counted, and
        // takes the place of the one before it in this browser.
        Err(problem)
            if door.page
                && !is_write
                && problem.kind() == Kind::Unauthorized
                && wants_page(request.headers()) =>
        {
            return login(&request);
        }
        Err(problem) => return refuse(&door.console, noted, problem).await,
    };
    request.extensions_mut().insert(person);
    if !is_write {
        return next.run(request).await;
    }
    // Before it is on its own: a body that trickles in is waited for as long as any answer, and no longer.
    let mut request = match whole(request).await {
        Ok(request) => request,
        Err(problem) => return refuse(&door.console, noted, problem).await,
    };
    let line = Arc::new(audit::Write::new(noted));
    if door.notes_itself {
        request.extensions_mut().insert(Noted(line.clone()));
    }
    let handler = next.run(request);
    let write = async move {
        // Before: a write that nobody would hear of is not done.
        if !door.notes_itself
            && let Err(error) = begin(&pool, &line).await
        {
            return Problem::from(error).into_response();
        }
        end(&pool, &line, handler.await).await
    };
    // On its own: who hangs up would take it along, half done, and the audit would never tell how it ended.
    let done = door.console.writes.spawn(write).await;
    done.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => {
            Problem::new(Kind::Unavailable, "the console stops; the write may have been done").into_response()
        }
    })
}

/// A request whose body is here.
async fn whole(request: Request) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = bytes(Request::from_parts(parts.clone(), body), &()).await?;
    Ok(Request::from_parts(parts, bytes.into()))
}

async fn end(pool: &Pool, line: &audit::Write, response: Response) -> Response {
    let problem = response.extensions().get::<Problem>().map(Problem::detail);
    let detail = problem.or_else(|| response.extensions().get::<Did>().map(|did| &*did.0)).map(str::to_owned);
    if let Err(error) = line.end(pool, response.status().as_u16(), detail.as_deref()).await {
        warn!(%error, "the end of a write could not be noted");
    }
    response
}

async fn begin(pool: &Pool, line: &audit::Write) -> Result<(), DbError> {
    line.begin(&pool.get().await?).await
}

/// What a write did that its path does not tell, in words: a handler puts it into its answer, for the audit.
#[derive(Clone, Debug)]
pub struct Did(pub String);

impl IntoResponseParts for Did {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

/// The line of the audit that a handler begins in the transaction that does the write.
#[derive(Clone, Debug)]
pub struct Noted(pub Arc<audit::Write>);

impl<S: Send + Sync> FromRequestParts<S> for Noted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let noted = parts.extensions.get::<Self>().cloned();
        noted.ok_or_else(|| Problem::new(Kind::Unauthorized, "nobody has said who asks"))
    }
}

async fn refuse(console: &Console, noted: audit::Request, problem: Problem) -> Response {
    // A server of ours that is away refuses nobody.
    if problem.kind() == Kind::Unavailable {
        return problem.into_response();
    }
    // Whoever can reach the port could fill the audit, and so could a program that runs wild.
    let limits = &console.auth.limits;
    let only_counted = match &noted.who {
        Some(who) => limits.refusal_of(who).err().map(|_| problem.clone()),
        None => limits.refusal(noted.address.as_deref().unwrap_or_default()).err(),
    };
    if let Some(answer) = only_counted {
        return answer.into_response();
    }
    let (pool, refused) = (console.pool.clone(), problem.clone());
    let note = async move {
        let status = refused.kind().status().as_u16();
        if let Err(error) = audit::refuse(&pool, &noted, status, refused.detail()).await {
            warn!(%error, "a refusal could not be noted");
        }
    };
    // On its own, as a write is: who hangs up would take the line along.
    let _ = console.writes.spawn(note).await;
    problem.into_response()
}

async fn admit(
    door: &Door,
    method: &Method,
    headers: &HeaderMap,
    noted: &mut audit::Request,
) -> Result<Person, Problem> {
    let auth = &door.console.auth;
    let person = auth.identify(headers).await?;
    let person = person.ok_or_else(|| Problem::new(Kind::Unauthorized, "this takes a login or a token"))?;
    noted.who = Some(person.name.clone());
    noted.via = person.came_by().into();
    if !person.may(door.right) {
        return Err(lacks(&person, door.right));
    }
    if is_write(method) {
        check_origin(&person, headers)?;
        auth.limits.write(&person.counted_as)?;
    }
    Ok(person)
}

/// The request as the audit has it, before anybody knows who sends it.
fn noted(console: &Console, request: &Request) -> audit::Request {
    let path = request.extensions().get::<OriginalUri>().map_or(request.uri(), |uri| &uri.0);
    audit::Request {
        who: None,
        via: "nobody".into(),
        address: address(console, request),
        method: request.method().to_string(),
        path: path.path_and_query().map(ToString::to_string).unwrap_or_default(),
    }
}

/// Where a request comes from, as far as anybody can tell.
pub fn address(console: &Console, request: &Request) -> Option<String> {
    let header = &console.config.http.client_header;
    if !header.is_empty() {
        // The proxy adds to what the client says: only the last one is the proxy's own word.
        let text = request.headers().get_all(header).iter().next_back()?.to_str().ok()?;
        return text.rsplit(',').next().map(|last| last.trim().to_owned());
    }
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_string())
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
