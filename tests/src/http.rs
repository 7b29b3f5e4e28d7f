//! The admin ports, asked by hand.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// GETs `path`: status and body.
pub async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    ask(address, "GET", path).await
}

/// POSTs nothing to `path`: status and body.
pub async fn post(address: SocketAddr, path: &str) -> (u16, String) {
    ask(address, "POST", path).await
}

async fn ask(address: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The value of a series in the text of `/metrics`; without labels, the sum
/// over all series of that name.
pub fn metric(text: &str, series: &str) -> f64 {
    let of = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        let same = name == series || (!series.contains('{') && name.split('{').next() == Some(series));
        same.then(|| value.parse::<f64>().unwrap())
    };
    let values: Vec<f64> = text.lines().filter_map(of).collect();
    assert!(!values.is_empty(), "no series {series} in:\n{text}");
    values.iter().sum()
}
