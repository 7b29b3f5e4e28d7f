//! A web server whose every byte a test controls.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use url::Url;

/// One thing the server does in answer to a request.
pub enum Act {
    Send(Vec<u8>),
    Pause(Duration),
    /// Does nothing more and keeps the connection open.
    Stall,
    Close,
}

pub type Answer = Vec<Act>;

/// Stops with the value.
pub struct Server {
    address: SocketAddr,
    seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    destinations: Mutex<Vec<IpAddr>>,
    requests: Mutex<Vec<String>>,
}

impl Server {
    /// Answers every request with `answer(path)`.
    pub async fn start(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1", answer).await
    }

    pub async fn start_at(ip: &str, answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, seen.clone(), Arc::new(answer)));
        Self { address, seen, _tasks: tasks }
    }

    /// Speaks first, as a mail server does, and then no more.
    pub async fn greeting(bytes: &'static [u8]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(bytes).await.unwrap();
            std::future::pending().await
        });
        Self { address, seen: Arc::default(), _tasks: tasks }
    }

    pub fn url(&self, path: &str) -> Url {
        format!("http://{}{path}", self.address).parse().unwrap()
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// The addresses of ours that were connected to.
    pub fn destinations(&self) -> Vec<IpAddr> {
        self.seen.destinations.lock().unwrap().clone()
    }

    /// The request lines and headers that arrived, in lower case.
    pub fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }
}

async fn accept(
    listener: TcpListener,
    seen: Arc<Seen>,
    answer: Arc<impl Fn(&str) -> Answer + Send + Sync + 'static>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        seen.connections.fetch_add(1, Ordering::SeqCst);
        seen.destinations.lock().unwrap().push(stream.local_addr().unwrap().ip().to_canonical());
        connections.spawn(serve(stream, seen.clone(), answer.clone()));
    }
}

async fn serve(mut stream: TcpStream, seen: Arc<Seen>, answer: Arc<impl Fn(&str) -> Answer>) {
    while let Some(head) = read_head(&mut stream).await {
        let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
        seen.requests.lock().unwrap().push(head.to_lowercase());
        for act in answer(&path) {
            match act {
                Act::Send(bytes) => match stream.write_all(&bytes).await {
                    Ok(()) => {}
                    Err(_) => return,
                },
                Act::Pause(pause) => tokio::time::sleep(pause).await,
                Act::Stall => std::future::pending().await,
                Act::Close => return,
            }
        }
    }
}

/// Reads up to the empty line after the headers. Ends with the connection.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// Status 200 and a whole body.
pub fn ok(body: &[u8]) -> Answer {
    let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    vec![Act::Send(bytes)]
}

/// A status, more headers (each with its line end), and no body.
pub fn status(line: &str, headers: &str) -> Answer {
    send(&format!("HTTP/1.1 {line}\r\n{headers}Content-Length: 0\r\n\r\n"))
}

pub fn redirect(location: &str) -> Answer {
    status("302 Found", &format!("Location: {location}\r\n"))
}

pub fn send(text: &str) -> Answer {
    vec![Act::Send(text.as_bytes().to_vec())]
}

/// One piece of a body in the chunked encoding.
pub fn chunk(bytes: &[u8]) -> Act {
    let head = format!("{:x}\r\n", bytes.len());
    Act::Send([head.as_bytes(), bytes, b"\r\n"].concat())
}

/// The headers before, and [`chunk`]s after.
pub fn chunked() -> Act {
    Act::Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec())
}
