//! Who may do what at the console: every route of its list, without, with wrong and with lesser rights.

use serde_json::{Value, json};
use tagfleet_console::auth::{Right, Role, token};
use tagfleet_console::routes::{self, Route};
use tagfleet_console::state::Console as State;
use tagfleet_console::store::sessions::{self, Session};
use tagfleet_console::store::tokens;
use tagfleet_tests::{Caller, Fleet, Options, Process, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A fleet of a console alone.
async fn fleet(settings: &[(&'static str, &str)]) -> Fleet {
    let settings = settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Fleet::with(Options { schedulers: 0, workers: 0, settings, ..Options::default() }).await
}

/// Something that the route could be asked for.
fn example(route: &Route) -> String {
    let named = [
        ("{image_id}", "00000000-0000-0000-0000-000000000007"),
        ("{entry}", "7"),
        ("{scrape_id}", "s"),
        ("{advertiser_id}", "a"),
        ("{id}", "0123456789abcdef"),
        ("{name}", "console.css"),
        ("{version}", "0"),
    ];
    let path = named.iter().fold(route.path.clone(), |path, (name, value)| path.replace(name, value));
    assert!(!path.contains('{'), "{path}: give it an example above");
    path
}

async fn ask(caller: &Caller, route: &Route) -> (u16, String) {
    let body = if route.method.is_safe() { Value::Null } else { json!({}) };
    let answer = caller.ask(route.method.as_str(), &example(route), &body).await;
    let place = answer.headers.get("location").map(|place| place.to_str().unwrap().to_owned());
    (answer.status, place.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_shut_without_with_wrong_and_with_lesser_rights() {
    let fleet = fleet(&[("TAGFLEET__LIMITS__REFUSALS_PER_MINUTE", "10000")]).await;
    let console = fleet.start_console().await;
    let list = routes::all(&State::unconnected().unwrap()).list().to_vec();
    assert!(list.len() > 20, "the list is the router's own");
    let (stranger, impostor) =
        (console.stranger(), console.stranger().with("authorization", "Bearer tagfleet_guess"));

    let mut refusals = 0;
    for route in &list {
        let Some(right) = route.right else {
            assert!(!matches!(ask(&stranger, route).await.0, 401 | 403), "{route:?} is open");
            continue;
        };
        for nobody in [&stranger, &impostor] {
            assert_eq!(ask(nobody, route).await.0, 401, "{route:?}");
            refusals += 1;
        }
        let others: Vec<_> =
            Right::ALL.into_iter().filter(|other| *other != right).map(Right::as_str).collect();
        let lesser = ask(&console.caller(&others).await, route).await;
        assert_eq!(lesser.0, 403, "{route:?} with {others:?}");
        refusals += 1;
        let enough = ask(&console.caller(&[right.as_str()]).await, route).await;
        assert!(!matches!(enough.0, 401 | 403), "{route:?} with {right}: {enough:?}");
    }
    let noted = fleet.count("SELECT count(*) FROM audit WHERE kind = 'refusal'").await;
    assert_eq!(noted, refusals, "every refusal is in the audit");
    let writes = list.iter().filter(|route| route.right.is_some() && !route.method.is_safe()).count();
    let noted = fleet.count("SELECT count(*) FROM audit WHERE kind = 'write' AND status IS NOT NULL").await;
    assert_eq!(noted, i64::try_from(writes).unwrap(), "every write is in the audit, with its end");
    console.stop().await;
    fleet.end().await;
}

/// Whoever wants a page without a login is shown to it; its pictures, pieces and streams are refused, or each
/// would begin a login of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_begins_for_a_page_and_for_nothing_on_it() {
    let fleet = fleet(&[]).await;
    let console = fleet.start_console().await;
    let list = routes::all(&State::unconnected().unwrap()).list().to_vec();
    let pages: Vec<_> = list.iter().filter(|route| route.page && route.right.is_some()).collect();
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8";

    for route in pages.into_iter().filter(|route| route.method.is_safe()) {
        let (status, place) = ask(&console.stranger().with("accept", browser), route).await;
        assert!(status == 303 && place.starts_with("/login?next="), "{route:?}: {status} {place}");
        for other in ["image/avif,image/webp,image/*,*/*;q=0.8", "text/event-stream", "*/*"] {
            let refused = ask(&console.stranger().with("accept", other), route).await;
            assert_eq!(refused.0, 401, "{route:?} as {other}");
        }
    }
    assert_eq!(fleet.count("SELECT count(*) FROM logins").await, 0, "only /login begins one");
    console.stop().await;
    fleet.end().await;
}

/// No role has fewer rights than a route says, and no route has none that should.
#[test]
fn the_rights_of_routes_are_those_of_roles() {
    let list = routes::all(&State::unconnected().unwrap()).list().to_vec();
    let open: Vec<_> = list.iter().filter(|route| route.right.is_none()).map(|route| &*route.path).collect();
    assert_eq!(open, ["/openapi.json", "/assets/{version}/{name}", "/login", "/login/callback", "/left"]);
    for route in list.iter().filter(|route| !route.method.is_safe() && route.path != "/logout") {
        let right = route.right.unwrap();
        assert!(!Role::Viewer.rights().has(right), "a viewer changes nothing: {route:?}");
    }
}

/// A browser sends the cookie with what a stranger's page asks for, but only our pages know the secret.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_by_cookie_needs_the_secret_of_our_pages() {
    let fleet = fleet(&[]).await;
    let console = fleet.start_console().await;
    let session = Session {
        subject: "1".into(),
        name: "ann@example.com".into(),
        role: "editor".into(),
        csrf: "secret-of-ann".into(),
    };
    let hour = std::time::Duration::from_secs(3600);
    sessions::begin(&fleet.database.pool, &token::hash("cookie-of-ann"), &session, hour, None).await.unwrap();
    let ann = console.stranger().with("cookie", "tagfleet=cookie-of-ann");
    let undo = json!({ "entries": [1] });

    ann.get("/v1/scrapes").await;
    ann.post("/v1/fixes/undo", undo.clone()).await.expect(403);
    ann.clone().with("x-csrf-token", "guess").post("/v1/fixes/undo", undo.clone()).await.expect(403);
    let with_secret = ann.clone().with("x-csrf-token", "secret-of-ann");
    with_secret.post("/v1/fixes/undo", undo.clone()).await.expect(404);
    with_secret.post("/v1/dead-letters/drop", json!({ "ids": [] })).await.expect(403);
    let left = with_secret.post("/logout", Value::Null).await;
    assert!(left.header("set-cookie").starts_with("tagfleet=; HttpOnly; SameSite=Lax;"), "{left:?}");
    assert_eq!(left.status, 204, "and is not sent where the next login begins");
    ann.ask("GET", "/v1/scrapes", &Value::Null).await.expect(401);
    console.stop().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_or_logs_in_too_often_is_told_to_wait() {
    let limits = [("TAGFLEET__LIMITS__WRITES_PER_MINUTE", "2"), ("TAGFLEET__LIMITS__LOGINS_PER_MINUTE", "1")];
    let fleet = fleet(&limits).await;
    let console = fleet.start_console().await;
    let (one, other) = (console.caller(&["fix"]).await, console.caller(&["fix"]).await);
    let undo = json!({ "entries": [1] });

    for _ in 0..2 {
        one.post("/v1/fixes/undo", undo.clone()).await.expect(404);
    }
    let refused = one.post("/v1/fixes/undo", undo.clone()).await;
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    refused.expect(429);
    other.post("/v1/fixes/undo", undo).await.expect(404);
    console.stranger().ask("GET", "/login/callback", &Value::Null).await.expect(404);
    console.stranger().ask("GET", "/login/callback", &Value::Null).await.expect(429);
    assert_eq!(fleet.count("SELECT count(*) FROM audit WHERE kind = 'refusal' AND status = 429").await, 2);
    console.stop().await;
    fleet.end().await;
}

/// By the program itself: made, used, listed, revoked; what is kept of a token opens nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_made_listed_and_revoked_by_the_program() {
    let fleet = fleet(&[]).await;
    let console = fleet.start_console().await;
    let run = |arguments: &[&str]| {
        let mut command = Process::command("tagfleet-console");
        let done = command.args(arguments).envs(fleet.settings_of_console()).output().unwrap();
        (done.status.success(), String::from_utf8(done.stdout).unwrap())
    };
    let (made, secret) = run(&["token", "create", "robot", "--right", "read", "--lasts", "1d"]);
    assert!(made && secret.starts_with("tagfleet_"));
    let robot = console.stranger().with("authorization", format!("Bearer {}", secret.trim()));
    assert!(!run(&["token", "create", "robot", "--right", "read"]).0, "a name is one token's");

    assert!(run(&["token", "list"]).1.contains("last used: never"));
    robot.get("/v1/scrapes").await;
    let listed = run(&["token", "list"]).1;
    assert!(listed.contains("robot  rights: read") && !listed.contains("last used: never"), "{listed}");
    let kept = fleet.count("SELECT count(*) FROM api_tokens WHERE hash::text LIKE '%tagfleet_%'").await;
    assert_eq!(kept, 0);
    assert!(run(&["token", "revoke", "robot"]).0);
    robot.ask("GET", "/v1/scrapes", &Value::Null).await.expect(401);
    assert!(!run(&["token", "revoke", "robot"]).0);
    let client = fleet.database.pool.get().await.unwrap();
    let noted = client.query("SELECT method, path, detail FROM audit WHERE kind = 'token' ORDER BY id", &[]);
    let noted = noted.await.unwrap();
    let line = |n: usize| (noted[n].get::<_, String>(0), noted[n].get::<_, String>(1));
    assert_eq!(
        (line(0), line(1)),
        (("create".into(), "token robot".into()), ("revoke".into(), "token robot".into()))
    );
    assert!(noted[0].get::<_, String>(2).starts_with("rights: read; ends 2"), "{noted:?}");
    assert_eq!(noted.len(), 2, "what was not done is not noted");
    drop(client);

    fleet.execute("INSERT INTO api_tokens (name, hash, rights, expires_at) VALUES ('old', sha256('old'), '{read}', now())").await;
    let old = console.stranger().with("authorization", "Bearer old");
    old.ask("GET", "/v1/scrapes", &Value::Null).await.expect(401);
    console.stop().await;
    fleet.end().await;
}

/// Whoever can reach the port cannot fill the audit: a stranger who comes too often is counted, and told to wait.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_who_come_too_often_have_no_lines_of_their_own() {
    let fleet = fleet(&[("TAGFLEET__LIMITS__REFUSALS_PER_MINUTE", "3")]).await;
    let console = fleet.start_console().await;
    for _ in 0..3 {
        console.stranger().ask("GET", "/v1/images", &Value::Null).await.expect(401);
    }
    // Nor by way of the login, which is open to everybody.
    let guest = console.stranger();
    for _ in 0..40 {
        guest.ask("GET", "/login/callback?state=guess&code=guess", &Value::Null).await;
    }
    let wait = console.stranger().ask("GET", "/v1/images", &Value::Null).await;
    assert!(wait.header("retry-after").parse::<u64>().unwrap() > 0);
    wait.expect(429);
    assert_eq!(fleet.count("SELECT count(*) FROM audit WHERE kind = 'refusal'").await, 3);
    // Whoever has a token is not stopped by those who share their address.
    console.caller(&["read"]).await.get("/v1/images").await;
    let counted =
        "SELECT count(*) FROM audit WHERE kind = 'refusal' AND status = 429 AND detail LIKE '% more %'";
    assert_eq!(fleet.count(counted).await, 0);
    console.stop().await;
    assert_eq!(fleet.count(counted).await, 1, "what is not noted yet is noted at the end");
    fleet.end().await;
}

/// What it has told stays; only how a write ended is added, once.
#[tokio::test(flavor = "multi_thread")]
async fn the_audit_is_append_only() {
    let fleet = fleet(&[]).await;
    let console = fleet.start_console().await;
    console.caller(&["fix"]).await.post("/v1/fixes/undo", json!({ "entries": [1] })).await.expect(404);
    console.stranger().ask("GET", "/v1/audit", &Value::Null).await.expect(401);
    let lines = "SELECT count(*) FROM audit WHERE status IS NOT NULL";
    assert_eq!(fleet.count(lines).await, 3, "a token, a write, a refusal");

    let client = fleet.database.pool.get().await.unwrap();
    for tampering in [
        "UPDATE audit SET who = 'somebody else'",
        "UPDATE audit SET status = 200, detail = NULL",
        "DELETE FROM audit",
        "TRUNCATE audit",
    ] {
        let error = client.batch_execute(tampering).await.unwrap_err();
        assert_eq!(error.as_db_error().unwrap().message(), "audit is append-only", "{tampering}");
    }
    let open = "INSERT INTO audit (kind, via, method, path) VALUES ('write', 'token', 'POST', '/')";
    client.batch_execute(open).await.unwrap();
    client.batch_execute("UPDATE audit SET path = '/x' WHERE status IS NULL").await.unwrap_err();
    client.batch_execute("UPDATE audit SET status = 200 WHERE status IS NULL").await.unwrap();
    drop(client);
    assert_eq!(fleet.count(lines).await, 4);
    console.stop().await;
    fleet.end().await;
}

/// Who hangs up takes no write along, neither undone nor without its end in the audit.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_ends_whoever_listens_still() {
    let fleet = fleet(&[]).await;
    let console = fleet.start_console().await;
    let (editor, reader) = (console.caller(&["fix"]).await, console.caller(&["read"]).await);
    fleet
        .execute(
            "INSERT INTO fixes (image_id, attribute, value, fixed_by)
             VALUES ('00000000-0000-0000-0000-000000000007', 'color', 'red', 'ann')",
        )
        .await;
    let mut client = fleet.database.pool.get().await.unwrap();
    let lock = client.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE fix_history IN ACCESS EXCLUSIVE MODE").await.unwrap();

    let undo = tokio::spawn(async move { editor.post("/v1/fixes/undo", json!({ "entries": [1] })).await });
    // And not the console's announcements of fixes, which wait for the same.
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                    AND wait_event = 'relation' AND query NOT LIKE '%JOIN fix_history%'";
    eventually("the write has begun", || async { (fleet.count(waits).await > 0).then_some(()) }).await;
    undo.abort();
    assert!(undo.await.unwrap_err().is_cancelled());
    // The console has heard of it by the time that it has answered others.
    for _ in 0..5 {
        reader.get("/v1/scrapes").await;
    }
    lock.rollback().await.unwrap();
    drop(client);

    let ended = "SELECT count(*) FROM audit WHERE kind = 'write' AND status = 200";
    eventually("the audit tells its end", || async { (fleet.count(ended).await == 1).then_some(()) }).await;
    assert_eq!(fleet.count("SELECT count(*) FROM fixes").await, 0, "it was undone");
    console.stop().await;
    fleet.end().await;
}

/// No caller waits for ever, and none is waited for: a body that trickles in ends with its connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_in_is_waited_for_no_longer_than_any_answer() {
    let settings = [
        ("TAGFLEET__HTTP__TIMEOUT", "2s"),
        ("TAGFLEET__CLASSIFY__TIMEOUT", "1s"),
        ("TAGFLEET__DOWNLOAD__TOTAL_TIMEOUT", "1s"),
    ];
    let fleet = fleet(&settings).await;
    let console = fleet.start_console().await;
    let secret = token::generate();
    let hash = token::hash(&secret);
    assert!(tokens::create(&fleet.database.pool, "script", &hash, &["fix"], None, None).await.unwrap());
    let mut connection = TcpStream::connect(console.address).await.unwrap();
    let head = format!(
        "POST /v1/fixes/undo HTTP/1.1\r\nHost: console\r\nAuthorization: Bearer {secret}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    connection.write_all(head.as_bytes()).await.unwrap();

    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();

    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert_eq!(fleet.count("SELECT count(*) FROM audit WHERE kind = 'write'").await, 0, "nothing was begun");
    console.stop().await;
    fleet.end().await;
}

/// A write that is not begun because there is too much of it is refused, and the audit has every refusal.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused_and_noted() {
    let fleet = fleet(&[("TAGFLEET__HTTP__MAX_BODY_BYTES", "1024")]).await;
    let console = fleet.start_console().await;
    let editor = console.caller(&["fix"]).await;
    editor.post("/v1/fixes/undo", json!({ "entries": vec![1; 1024] })).await.expect(413);
    let noted = "SELECT count(*) FROM audit WHERE kind = 'refusal' AND status = 413 AND who IS NOT NULL";
    assert_eq!(fleet.count(noted).await, 1);
    console.stop().await;
    fleet.end().await;
}

/// Every answer, also one that refuses, keeps strangers' scripts, frames and types out.
#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_headers_that_keep_strangers_out() {
    let fleet = fleet(&[]).await;
    let console = fleet.start_console().await;
    let reader = console.caller(&["read"]).await;
    for (caller, path) in [
        (&reader, "/scrapes"),
        (&reader, "/v1/scrapes"),
        (&reader, "/nowhere"),
        (&console.stranger(), "/v1/scrapes"),
        (&console.stranger(), "/assets/0/console.css"),
    ] {
        let answer = caller.ask("GET", path, &Value::Null).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
    }
    console.stop().await;
    fleet.end().await;
}

/// Nobody is let in without a login by mistake: only on an address that others cannot reach, and every page says so.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_login_the_console_listens_to_this_machine_only() {
    let fleet = fleet(&[]).await;
    let mut settings = fleet.settings_of_console();
    settings.push(("TAGFLEET__HTTP__LISTEN".into(), "0.0.0.0:0".into()));
    let mut command = Process::command("tagfleet-console");
    let done = command.args(["run", "--dev-insecure"]).envs(settings).output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(!done.status.success() && said.contains("loopback"), "{said}");

    let (open, shut) = (fleet.start_insecure_console().await, fleet.start_console().await);
    let banner = "Without a login: everybody who reaches this port may do everything.";
    let page = open.stranger().ask("GET", "/scrapes", &Value::Null).await;
    assert!(page.status == 200 && page.text.contains(banner), "{page:?}");
    let page = shut.caller(&["read"]).await.ask("GET", "/scrapes", &Value::Null).await;
    assert!(page.status == 200 && !page.text.contains(banner), "{page:?}");
    open.stop().await;
    shut.stop().await;
    fleet.end().await;
}
