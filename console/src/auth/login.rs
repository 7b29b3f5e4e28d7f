//! Logging in at an OpenID Connect provider: authorization code, with PKCE, state and nonce.

mod discovery;

use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;

use axum::http::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreIdToken};
use openidconnect::{
    AsyncHttpClient, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse,
    LogoutRequest, Nonce, PkceCodeChallenge, PkceCodeVerifier, ProviderMetadataWithLogout, RedirectUrl,
    Scope, TokenResponse,
};
use secrecy::ExposeSecret;
use serde_json::Value;
use tracing::warn;
use url::Url;

use self::discovery::Discovery;
use super::right::Role;
use crate::config::LoginConfig;
use crate::store::sessions::Login;
use crate::web::{Kind, Problem};

/// Largest answer of a provider that is read.
const MOST_BYTES: usize = 1 << 20;

/// How long who has logged out waits for what the provider says of itself.
const LEAVING: Duration = Duration::from_secs(1);

/// The provider, and what it knows us by.
pub struct Provider {
    config: LoginConfig,
    redirect: Url,
    http: Http,
    discovery: Discovery,
}

/// A login that begins.
pub struct Begun {
    /// Where the person is sent.
    pub url: Url,
    /// What the provider gives back, and what the cookie holds meanwhile.
    pub state: String,
    /// What is remembered until then.
    pub login: Login,
}

/// Somebody who has proved who they are.
#[derive(Clone, Debug)]
pub struct Proved {
    /// What the provider calls them.
    pub subject: String,
    /// What they are called: nobody else, whatever they call themselves.
    pub name: String,
    /// What they are to the fleet; none if the claim says nothing of it.
    pub role: Option<Role>,
}

impl Provider {
    /// The one that `config` names; people come back to `redirect`.
    ///
    /// # Errors
    ///
    /// If no HTTP client can be made.
    pub fn new(config: LoginConfig, redirect: Url) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .build()?;
        let http = Http(client);
        let discovery = Discovery::new(config.issuer.clone(), http.clone());
        Ok(Self { config, redirect, http, discovery })
    }

    /// Begins the login of somebody who wants to go to `next`.
    ///
    /// # Errors
    ///
    /// If the provider is away.
    pub async fn begin(&self, next: String) -> Result<Begun, Problem> {
        let client = client(&self.config, &self.redirect, self.discovery.metadata().await?)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let mut request = client.authorize_url(flow, CsrfToken::new_random, Nonce::new_random);
        for scope in self.config.scopes.iter().filter(|scope| *scope != "openid") {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (url, state, nonce) = request.set_pkce_challenge(challenge).url();
        let login = Login { nonce: nonce.secret().clone(), verifier: verifier.into_secret(), next };
        Ok(Begun { url, state: state.into_secret(), login })
    }

    /// Who the person is that came back with `code`.
    ///
    /// # Errors
    ///
    /// If the provider is away, or does not vouch for them.
    pub async fn end(&self, code: String, login: &Login) -> Result<Proved, Problem> {
        let client = client(&self.config, &self.redirect, self.discovery.metadata().await?)?;
        let request = client.exchange_code(AuthorizationCode::new(code)).map_err(|error| refused(&error))?;
        let request = request.set_pkce_verifier(PkceCodeVerifier::new(login.verifier.clone()));
        let tokens = request.request_async(&self.http).await.map_err(|error| refused(&error))?;
        let Some(token) = tokens.id_token() else {
            return Err(refused(&"the provider gave no ID token"));
        };
        let nonce = Nonce::new(login.nonce.clone());
        if let Err(error) = token.claims(&client.id_token_verifier(), &nonce) {
            // It may have other keys by now.
            self.discovery.forget().await;
            return Err(refused(&error));
        }
        let claims = claims(token).ok_or_else(|| refused(&"its ID token has no claims"))?;
        Ok(proved(&claims, &self.config))
    }

    /// Where the provider ends its own login (RP-initiated logout), if it says so and is there. Nothing is said of who
    /// leaves, nor where they go from there: that takes what we do not keep, and what must be known to the provider.
    pub async fn leave(&self) -> Option<Url> {
        // It is said to whoever has logged out already, and waits for the provider no longer than they would.
        let metadata = tokio::time::timeout(LEAVING, self.discovery.metadata()).await.ok()?.ok()?;
        let endpoint = metadata.additional_metadata().end_session_endpoint.clone()?;
        let request =
            LogoutRequest::from(endpoint).set_client_id(ClientId::new(self.config.client_id.clone()));
        Some(request.http_get_url()).filter(|url| matches!(url.scheme(), "http" | "https"))
    }
}

type Client = CoreClient<
    openidconnect::EndpointSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointMaybeSet,
    openidconnect::EndpointMaybeSet,
>;

fn client(
    config: &LoginConfig,
    redirect: &Url,
    metadata: ProviderMetadataWithLogout,
) -> Result<Client, Problem> {
    let secret = config.client_secret.expose_secret();
    let secret = (!secret.is_empty()).then(|| ClientSecret::new(secret.to_owned()));
    let client =
        CoreClient::from_provider_metadata(metadata, ClientId::new(config.client_id.clone()), secret);
    let redirect = RedirectUrl::new(redirect.to_string()).map_err(|error| refused(&error))?;
    Ok(client.set_redirect_uri(redirect))
}

fn refused(error: &dyn std::fmt::Display) -> Problem {
    warn!(%error, "a login failed");
    Problem::new(Kind::Unauthorized, "the login provider did not vouch for you")
        .advise("Log in again at /login.")
}

/// The claims of a token that has been verified.
fn claims(token: &CoreIdToken) -> Option<Value> {
    let text = token.to_string();
    let payload = URL_SAFE_NO_PAD.decode(text.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

fn proved(claims: &Value, config: &LoginConfig) -> Proved {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let subject = text("sub").unwrap_or_default();
    let is_verified = claims.get("email_verified") == Some(&Value::Bool(true));
    let name = match ["email", "preferred_username", "name"].into_iter().find_map(text) {
        Some(email) if is_verified && text("email").is_some() => email,
        // What people may call themselves says not who they are.
        Some(name) if name != subject => format!("{name} ({subject})"),
        _ => subject.clone(),
    };
    let words = config.role_claim.split('.').try_fold(claims, |value, part| value.get(part));
    let words: Vec<&str> = match words {
        Some(Value::String(word)) => vec![word],
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let has = |role: &Role| config.words(*role).iter().any(|word| words.contains(&&**word));
    let role = Role::ALL.into_iter().rev().find(has);
    Proved { name, subject, role }
}

/// Where somebody who has logged in may be sent: a place of ours, whatever the link said.
pub fn local(next: Option<&str>) -> String {
    let next = next.unwrap_or("/");
    let base = Url::from_str("http://console.invalid").expect("a URL");
    match base.join(next) {
        Ok(url) if url.origin() == base.origin() && next.starts_with('/') => {
            let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
            // A path that begins with two slashes names a host.
            format!("/{}{query}", url.path().trim_start_matches('/'))
        }
        _ => "/".into(),
    }
}

/// The workspace's own HTTP client, for the library.
#[derive(Clone)]
struct Http(reqwest::Client);

/// What went wrong on the way to the provider.
#[derive(Debug, thiserror::Error)]
enum HttpError {
    #[error(transparent)]
    Away(#[from] reqwest::Error),
    #[error("its answer is larger than {MOST_BYTES} bytes")]
    TooLarge,
    #[error(transparent)]
    Malformed(#[from] axum::http::Error),
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(send(&self.0, request))
    }
}

async fn send(client: &reqwest::Client, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let (parts, body) = request.into_parts();
    let request = client.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
    let mut answer = request.send().await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if bytes.len() + chunk.len() > MOST_BYTES {
            return Err(HttpError::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    let mut response = Response::builder().status(answer.status());
    if let Some(headers) = response.headers_mut() {
        headers.extend(answer.headers().clone());
    }
    Ok(response.body(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(claim: &str) -> LoginConfig {
        let words = |word: &str| vec![word.to_owned()];
        LoginConfig {
            issuer: String::new(),
            client_id: String::new(),
            client_secret: String::new().into(),
            scopes: Vec::new(),
            role_claim: claim.into(),
            viewers: words("support"),
            editors: words("editor"),
            operators: words("sre"),
            lasts: Duration::from_secs(1),
        }
    }

    #[test]
    fn the_claim_may_be_a_word_or_a_list_or_lie_within_another() {
        let role = |claim: &str, claims: Value| proved(&claims, &config(claim)).role;
        assert_eq!(role("role", json!({"role": "editor"})), Some(Role::Editor));
        assert_eq!(role("groups", json!({"groups": ["x", "support", "sre"]})), Some(Role::Operator));
        assert_eq!(
            role("realm_access.roles", json!({"realm_access": {"roles": ["support"]}})),
            Some(Role::Viewer)
        );
        assert_eq!(role("role", json!({"role": "operator"})), None, "only the configured words count");
        assert_eq!(role("role", json!({})), None);
    }

    #[tokio::test]
    async fn who_has_logged_out_does_not_wait_for_a_provider_that_hangs() {
        // It takes what comes, and says nothing.
        let hangs = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", hangs.local_addr().unwrap());
        tagfleet_shared::tls::install();
        let provider = Provider::new(
            LoginConfig { issuer, ..config("role") },
            Url::parse("http://console.test").unwrap(),
        );
        let left = tokio::time::timeout(Duration::from_secs(5), provider.unwrap().leave()).await;
        assert_eq!(left, Ok(None));
    }

    #[test]
    fn nobody_is_called_like_somebody_else() {
        let name = |claims: Value| proved(&claims, &config("role")).name;
        let ann = json!({"sub": "1", "email": "ann@example.com", "email_verified": true});
        assert_eq!(name(ann), "ann@example.com");
        let bob = json!({"sub": "2", "email": "ann@example.com"});
        assert_eq!(name(bob), "ann@example.com (2)");
        let eve = json!({"sub": "3", "preferred_username": "token robot", "email_verified": true});
        assert_eq!(name(eve), "token robot (3)");
        assert_eq!(name(json!({"sub": "4"})), "4");
    }

    #[test]
    fn nobody_is_sent_to_a_stranger_after_the_login() {
        assert_eq!(local(Some("/scrapes?state=tagging")), "/scrapes?state=tagging");
        for stranger in
            ["https://evil.test/", "//evil.test/x", "/\\evil.test", "javascript:alert(1)", "evil.test"]
        {
            let place = local(Some(stranger));
            assert!(
                place.starts_with('/') && !place.starts_with("//") && !place.starts_with("/\\"),
                "{place}"
            );
        }
    }
}
