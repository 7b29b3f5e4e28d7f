//! A console in this process, and those who ask it.

use std::net::SocketAddr;

use deadpool_postgres::Pool;
use serde_json::{Value, json};
use tagfleet_console::app::App;
use tagfleet_console::auth::token;
use tagfleet_console::config::{self, ConsoleConfig};
use tagfleet_console::store::tokens;
use tagfleet_shared::ids::ImageId;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A console that answers.
pub struct Console {
    /// Where it is.
    pub address: SocketAddr,
    /// Where its admin port is.
    pub admin: SocketAddr,
    pool: Pool,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Console {
    /// Starts one, which asks for a login or a token unless it is `insecure`.
    pub async fn start(settings: Vec<(String, String)>, pool: Pool, insecure: bool) -> Self {
        let config: ConsoleConfig =
            tagfleet_shared::config::load(config::DEFAULTS, None, settings).unwrap().config;
        let open = App::build(config, insecure).await.unwrap().open().await.unwrap();
        let (address, admin, stop) = (open.address, open.admin, CancellationToken::new());
        let task = tokio::spawn(open.run(stop.clone()));
        Self { address, admin, pool, stop, task }
    }

    /// Somebody with a token that has these rights, like "read".
    pub async fn caller(&self, rights: &[&str]) -> Caller {
        let secret = token::generate();
        let name = Uuid::new_v4().simple().to_string();
        assert!(tokens::create(&self.pool, &name, &token::hash(&secret), rights, None, None).await.unwrap());
        self.stranger().with("authorization", format!("Bearer {secret}"))
    }

    /// Somebody with nothing.
    pub fn stranger(&self) -> Caller {
        Caller::new(self.address)
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// Somebody who asks.
#[derive(Clone)]
pub struct Caller {
    address: SocketAddr,
    client: reqwest::Client,
    headers: Vec<(String, String)>,
}

/// What they are answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body as JSON, of an answer with this status.
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}")).to_str().unwrap()
    }
}

impl Caller {
    /// Somebody with nothing.
    pub fn new(address: SocketAddr) -> Self {
        tagfleet_shared::tls::install();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { address, client, headers: Vec::new() }
    }

    /// The same, with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Asks with a method, and a body of JSON unless it is null.
    pub async fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = (!body.is_null()).then(|| (body.to_string(), "application/json"));
        let body = body.as_ref().map(|(text, kind)| (text.clone().into_bytes(), *kind));
        self.send(method, path, body).await
    }

    /// Asks with a method, and a body of some type.
    pub async fn send(&self, method: &str, path: &str, body: Option<(Vec<u8>, &str)>) -> Answer {
        let url = format!("http://{}{path}", self.address);
        let mut request = self.client.request(method.parse().unwrap(), url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some((bytes, kind)) = body {
            request = request.header("content-type", kind).body(bytes);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Answer { status, headers, text: answer.text().await.unwrap() }
    }

    /// GETs JSON that is there.
    pub async fn get(&self, path: &str) -> Value {
        self.ask("GET", path, &Value::Null).await.expect(200)
    }

    /// POSTs JSON.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, &body).await
    }

    /// Corrects the colour of an image for one advertiser, whatever was seen.
    pub async fn fix(&self, image: ImageId, advertiser: &str, color: Option<&str>) -> Answer {
        let body = json!({ "attribute": "color", "value": color, "scope": { "advertiser": advertiser } });
        self.clone().with("if-match", "*").post(&format!("/v1/images/{image}/fixes"), body).await
    }
}
