//! Logging in at a real, small `OpenID` Connect provider: `oidc-provider-mock`, which `scripts/console.sh` fetches.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tagfleet_tests::{Answer, Caller, Console, Fleet, Options, eventually, lacks, repository};

/// The provider. Killed with the value.
struct Provider {
    child: Child,
    caller: Caller,
    issuer: String,
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Provider {
    /// Starts one that knows ann, an editor, and bob, who is nothing.
    async fn start() -> Option<Self> {
        let program = repository().join(".tagfleet/console/bin/oidc-provider-mock");
        if !program.try_exists().unwrap() {
            lacks("oidc-provider-mock", "there is no login provider (scripts/console.sh fetches it)");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let ann =
            json!({ "sub": "1", "email": "ann@example.com", "email_verified": true, "groups": ["staff", "correctors"] }).to_string();
        let bob = json!({ "sub": "2", "email": "bob@example.com", "groups": ["staff"] }).to_string();
        let child = Command::new(program)
            .args(["--port", &port.port().to_string(), "--require-nonce", "true"])
            .args(["--user-claims", &ann, "--user-claims", &bob])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let provider = Self { child, caller: Caller::new(port), issuer: format!("http://{port}") };
        eventually("the provider answers", || async {
            tokio::net::TcpStream::connect(port).await.ok().map(drop)
        })
        .await;
        Some(provider)
    }

    /// Has `subject` say yes, and returns where they are sent.
    async fn vouch(&self, url: &str, subject: &str) -> String {
        let path = url.strip_prefix(&self.issuer).unwrap();
        let form = format!("sub={subject}").into_bytes();
        let answer = self.caller.send("POST", path, Some((form, "application/x-www-form-urlencoded"))).await;
        let back = answer.header("location");
        back.strip_prefix("http://console.test").unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    }
}

fn cookie(answer: &Answer, name: &str) -> String {
    let set = answer.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let found =
        set.filter_map(|cookie| cookie.split(';').next()).find(|pair| pair.starts_with(&format!("{name}=")));
    found.unwrap_or_else(|| panic!("no {name} in {answer:?}")).to_owned()
}

/// Goes to the login, and comes back as `subject`.
async fn log_in(console: &Console, provider: &Provider, subject: &str) -> (Answer, String, String) {
    let sent = console.stranger().ask("GET", "/login?next=/scrapes%3Fstate%3Dtagging", &Value::Null).await;
    assert_eq!(sent.status, 303, "{sent:?}");
    let cookie = cookie(&sent, "tagfleet-login");
    let back = provider.vouch(sent.header("location"), subject).await;
    let browser = console.stranger().with("cookie", &cookie);
    (browser.ask("GET", &back, &Value::Null).await, back, cookie)
}

#[tokio::test(flavor = "multi_thread")]
async fn people_log_in_at_the_provider_and_have_the_role_that_it_says() {
    let Some(provider) = Provider::start().await else { return };
    let settings = [
        ("TAGFLEET__HTTP__PUBLIC_URL", "http://console.test"),
        ("TAGFLEET__LOGIN__ISSUER", &*provider.issuer),
        ("TAGFLEET__LOGIN__CLIENT_ID", "console"),
        ("TAGFLEET__LOGIN__CLIENT_SECRET", "secret"),
        ("TAGFLEET__LOGIN__ROLE_CLAIM", "groups"),
        ("TAGFLEET__LOGIN__EDITORS", "correctors"),
    ];
    let settings = settings.map(|(name, value)| (name, value.to_owned())).to_vec();
    let fleet = Fleet::with(Options { schedulers: 0, workers: 0, settings, ..Options::default() }).await;
    let console = fleet.start_console().await;

    let (home, back, login) = log_in(&console, &provider, "1").await;
    assert_eq!((home.status, home.header("location")), (303, "/scrapes?state=tagging"));
    let ann = console.stranger().with("cookie", cookie(&home, "tagfleet"));
    let page = ann.ask("GET", "/scrapes", &Value::Null).await;
    assert!(page.text.contains("ann@example.com, editor"), "{page:?}");
    let csrf = page.text.split("name=\"csrf\" content=\"").nth(1).unwrap().split('"').next().unwrap();
    let writer = ann.clone().with("x-csrf-token", csrf);
    writer.post("/v1/fixes/undo", json!({ "entries": [1] })).await.expect(404);
    writer.post("/v1/dead-letters/drop", json!({ "ids": [] })).await.expect(403);
    ann.post("/v1/fixes/undo", json!({ "entries": [1] })).await.expect(403);

    // Who leaves is told of the provider's own login, and where it ends.
    let left = writer.post("/logout", Value::Null).await;
    assert_eq!((left.status, left.text.as_str()), (204, ""));
    ann.ask("GET", "/scrapes", &Value::Null).await.expect(401);
    let page = ann.ask("GET", "/left", &Value::Null).await;
    let there = format!("href=\"{}/oauth2/end_session?client_id=console\"", provider.issuer);
    assert!(page.status == 200 && page.text.contains(&there), "{page:?}");

    // What came back once comes back to nobody else.
    let again = console.stranger().with("cookie", &login).ask("GET", &back, &Value::Null).await;
    again.expect(401);
    let sent = console.stranger().ask("GET", "/login", &Value::Null).await;
    let back = provider.vouch(sent.header("location"), "1").await;
    console.stranger().ask("GET", &back, &Value::Null).await.expect(401);
    let refused = console.stranger().with("cookie", cookie(&sent, "tagfleet-login"));
    refused.ask("GET", &back.replace("code=", "code=x"), &Value::Null).await.expect(401);

    let (nobody, ..) = log_in(&console, &provider, "2").await;
    let problem = nobody.expect(403);
    assert!(problem["detail"].as_str().unwrap().contains("bob@example.com (2) has no role"), "{problem}");
    let noted =
        fleet.count("SELECT count(*) FROM audit WHERE path = '/login/callback' AND kind = 'refusal'").await;
    assert_eq!(noted, 4, "each refusal is in the audit");
    let ann =
        "SELECT count(*) FROM audit WHERE kind = 'login' AND who = 'ann@example.com' AND detail = 'editor'";
    let all = "SELECT count(*) FROM audit WHERE kind = 'login'";
    assert_eq!((fleet.count(ann).await, fleet.count(all).await), (1, 1), "and so is the login");
    console.stop().await;
    fleet.end().await;
}
