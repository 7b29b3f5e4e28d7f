//! An image host: serves an inventory or a folder, counts what is asked of it, and misbehaves on request.

pub mod command;
mod response;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Component, Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::{
    Router,
    body::Body,
    http,
    http::{HeaderMap, Uri},
};
use tokio::{runtime, sync::Notify};

use crate::draw::Inventory;

pub use response::Response;

/// What an origin serves where [`Origin::put`] says nothing else.
#[derive(Clone, Debug)]
pub enum Content {
    /// Nothing: 404 everywhere.
    Nothing,
    /// A drawn inventory, with its dead links.
    Inventory(Arc<Inventory>),
    /// The files in a folder.
    Directory(PathBuf),
}

/// A running image host, stopped when it is dropped, whatever is in flight.
///
/// It has threads of its own, so neither a blocked test nor a current-thread runtime slows it down.
#[derive(Debug)]
pub struct Origin {
    address: SocketAddr,
    host: Arc<Host>,
    runtime: Option<runtime::Runtime>,
}

impl Origin {
    /// Starts on a free port of this machine.
    pub fn start(content: Content) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), content)
    }

    /// Starts on `address`.
    pub fn start_at(address: SocketAddr, content: Content) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let host = Arc::new(Host::new(content));
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("origin")
            .enable_all()
            .build()?;
        let app = Router::new().fallback({
            let host = Arc::clone(&host);
            move |uri: Uri, headers: HeaderMap| host.answer(uri, headers)
        });
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        runtime.spawn(async move { axum::serve(listener, app).await });
        Ok(Self { address, host, runtime: Some(runtime) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Such as `http://127.0.0.1:40123`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address of what is at `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on answers `path` this way. Its requests go on counting from where they were.
    pub fn put(&self, path: &str, response: Response) {
        let route = Route { response, asked: 0 };
        self.host.routes().insert(path.to_owned(), route);
    }

    /// From now on answers this way wherever [`Self::put`] says nothing else, until it is told `None`.
    pub fn overrule(&self, response: Option<Response>) {
        *self.host.overruled() = response;
    }

    /// How often `path` was asked for.
    pub fn requests(&self, path: &str) -> u64 {
        self.host.moments().get(path).map_or(0, |moments| moments.len() as u64)
    }

    /// When `path` was asked for.
    pub fn moments(&self, path: &str) -> Vec<Instant> {
        self.host.moments().get(path).cloned().unwrap_or_default()
    }

    /// How often anything was asked for.
    pub fn total_requests(&self) -> u64 {
        self.host.moments().values().map(|moments| moments.len() as u64).sum()
    }

    /// Bytes of bodies sent, faulty ones included.
    pub fn bytes_sent(&self) -> u64 {
        self.host.traffic.bytes.load(Ordering::Relaxed)
    }

    /// The largest number of requests that were being answered at the same time.
    pub fn most_at_once(&self) -> u64 {
        self.host.traffic.most.load(Ordering::Relaxed)
    }

    /// Waits until `path` was asked for `times` times; what is put there from then on is for the next request.
    pub async fn until_requested(&self, path: &str, times: u64) {
        loop {
            let asked = self.host.asked.notified();
            if self.requests(path) >= times {
                return;
            }
            asked.await;
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A response that was put at a path, and how often it was given.
#[derive(Debug)]
struct Route {
    response: Response,
    asked: u64,
}

/// What the connections share.
#[derive(Debug)]
struct Host {
    content: Content,
    begun: Instant,
    routes: Mutex<HashMap<String, Route>>,
    overruled: Mutex<Option<Response>>,
    moments: Mutex<HashMap<String, Vec<Instant>>>,
    traffic: Arc<Traffic>,
    asked: Notify,
}

impl Host {
    fn new(content: Content) -> Self {
        Self {
            content,
            begun: Instant::now(),
            routes: Mutex::default(),
            overruled: Mutex::default(),
            moments: Mutex::default(),
            traffic: Arc::default(),
            asked: Notify::new(),
        }
    }

    fn routes(&self) -> MutexGuard<'_, HashMap<String, Route>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn overruled(&self) -> MutexGuard<'_, Option<Response>> {
        self.overruled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moments(&self) -> MutexGuard<'_, HashMap<String, Vec<Instant>>> {
        self.moments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(self: Arc<Self>, uri: Uri, headers: HeaderMap) -> http::Response<Body> {
        let path = uri.path();
        let passage = Traffic::enter(&self.traffic);
        // Counted when it is settled what it gets: whoever has seen the request may put something else there.
        let put = self.put_at(path);
        self.moments().entry(path.to_owned()).or_default().push(Instant::now());
        self.asked.notify_waiters();
        let (response, asked) = put.unwrap_or((Response::Usual, 1));
        let response = match response.now(self.begun).await {
            Response::Usual => self.found_at(path).await,
            other => other,
        };
        response.give(asked, &headers, passage).await
    }

    /// The response that was put at `path`, and the how-many-th time it is given; or that which overrules all
    /// but these.
    fn put_at(&self, path: &str) -> Option<(Response, u64)> {
        let mut routes = self.routes();
        let Some(route) = routes.get_mut(path) else {
            return self.overruled().clone().map(|response| (response, 1));
        };
        route.asked += 1;
        Some((route.response.clone(), route.asked))
    }

    async fn found_at(&self, path: &str) -> Response {
        let found = match &self.content {
            Content::Nothing => None,
            Content::Inventory(inventory) => inventory.get(path).and_then(|entry| entry.file()),
            Content::Directory(folder) => read(folder, path).await,
        };
        match found {
            Some((content_type, body)) => Response::Bytes { content_type, body },
            None => Response::Status(404),
        }
    }
}

/// A file below `folder`; nothing that leads out of it.
async fn read(folder: &Path, path: &str) -> Option<(&'static str, bytes::Bytes)> {
    let below = Path::new(path.trim_start_matches('/'));
    if !below.components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    let body = tokio::fs::read(folder.join(below)).await.ok()?;
    let content_type = match below.extension().and_then(|extension| extension.to_str()) {
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        Some("gif") => "image/gif",
        Some("csv") => "text/csv",
        _ => "application/octet-stream",
    };
    Some((content_type, body.into()))
}

/// What goes over the wire, of all connections together.
#[derive(Debug, Default)]
struct Traffic {
    bytes: AtomicU64,
    now: AtomicU64,
    most: AtomicU64,
}

impl Traffic {
    fn enter(traffic: &Arc<Self>) -> Passage {
        let now = traffic.now.fetch_add(1, Ordering::Relaxed) + 1;
        traffic.most.fetch_max(now, Ordering::Relaxed);
        Passage(Arc::clone(traffic))
    }
}

/// One request, from its arrival until its body is sent or its client has gone.
#[derive(Debug)]
struct Passage(Arc<Traffic>);

impl Passage {
    fn sent(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}
