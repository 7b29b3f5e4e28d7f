//! Logins end while a page is open.

use std::collections::HashMap;

use fantoccini::key::Key;
use serde_json::json;
use tagfleet_console::auth::token;
use tagfleet_console::store::sessions::{self, Session};
use tagfleet_tests::{Browser, Fleet, Options, chord};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::inventory;

const FIXES: &str = "SELECT count(*) FROM fixes";

/// Gives the browser the cookie of a session of ann.
pub async fn log_in(fleet: &Fleet, browser: &Browser, cookie: &str, role: &str) {
    let session = Session {
        subject: "1".into(),
        name: "ann@example.com".into(),
        role: role.into(),
        csrf: "secret-of-ann".into(),
    };
    let hour = std::time::Duration::from_secs(3600);
    sessions::begin(&fleet.database.pool, &token::hash(cookie), &session, hour, None).await.unwrap();
    // A browser takes a cookie for the site that it looks at.
    browser.go("/left").await;
    browser.see(&format!("document.cookie = 'tagfleet={cookie}; path=/'")).await;
}

/// A login provider as far as its page, on another site: where it is.
async fn provider() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = format!("http://{}", listener.local_addr().unwrap());
    let discovery = json!({
        "issuer": site,
        "authorization_endpoint": format!("{site}/authorize"),
        "token_endpoint": format!("{site}/token"),
        "jwks_uri": format!("{site}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    });
    let answers = HashMap::from([
        ("/.well-known/openid-configuration", ("application/json", discovery.to_string())),
        ("/keys", ("application/json", json!({ "keys": [] }).to_string())),
    ]);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 8192];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default();
            let page = ("text/html", "Who are you?".to_owned());
            let (kind, body) = answers.get(path).unwrap_or(&page);
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    site
}

/// A fleet whose people log in there.
async fn fleet(provider: &str) -> Fleet {
    let settings = [
        ("TAGFLEET__HTTP__PUBLIC_URL", "http://console.test"),
        ("TAGFLEET__LOGIN__ISSUER", provider),
        ("TAGFLEET__LOGIN__CLIENT_ID", "console"),
    ];
    let settings = settings.map(|(name, value)| (name, value.to_owned())).to_vec();
    Fleet::with(Options { settings, ..Options::default() }).await
}

/// Whoever comes back from the login would take what they did last for done.
#[tokio::test(flavor = "multi_thread")]
async fn a_correction_that_an_ended_login_kept_from_being_written_is_told_of_after_the_next() {
    let provider = provider().await;
    let fleet = fleet(&provider).await;
    let console = fleet.start_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    fleet.tag(&inventory("north", &fleet.pictures(2))).await;
    log_in(&fleet, &browser, "first", "editor").await;
    browser.go("/images").await;
    browser.click(".card").await;
    fleet.execute("DELETE FROM sessions").await;
    browser.press("s").await;
    browser.until(&format!("location.origin === '{provider}'")).await;

    log_in(&fleet, &browser, "second", "editor").await;
    browser.go("/images").await;
    browser.reads("Your login had ended: what you did last was not written, or not all of it.").await;
    assert_eq!(fleet.count(FIXES).await, 0);
    // Once.
    browser.go("/scrapes").await;
    browser.reads("ann@example.com, editor").await;
    assert_eq!(browser.see("document.getElementById('said').innerText").await, json!(""));
    console.stop().await;
    fleet.end().await;
}

/// The policy of our pages lets no form lead to the site of the login.
#[tokio::test(flavor = "multi_thread")]
async fn who_filters_after_their_login_has_ended_is_shown_to_the_next() {
    let provider = provider().await;
    let fleet = fleet(&provider).await;
    let console = fleet.start_console().await;
    let Some(browser) = Browser::open(&console).await else { return };
    fleet.tag(&inventory("north", &fleet.pictures(2))).await;
    log_in(&fleet, &browser, "first", "viewer").await;
    browser.go("/images").await;

    browser.press("fa").await;
    browser.press("north").await;
    browser.press(&chord(Key::Control, Key::Enter)).await;
    browser.until("location.search === '?advertiser=north'").await;
    browser.until("document.querySelectorAll('.card').length === 2").await;
    fleet.execute("DELETE FROM sessions").await;
    browser.press(&chord(Key::Control, Key::Enter)).await;

    browser.until(&format!("location.origin === '{provider}'")).await;
    console.stop().await;
    fleet.end().await;
}
