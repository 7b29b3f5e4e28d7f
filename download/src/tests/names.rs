//! The operating system asks name servers of which some answer and some do not.

use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};

use futures::future::join_all;

use super::{LANES, config, get, inside};
use crate::resolver::Names;
use crate::{DownloadConfig, Downloader};

/// The only name server is on this machine, on the port that is theirs.
const SET_UP: &str = "ip link set lo up && file=$(mktemp) && echo nameserver 127.0.0.1 > $file \
     && mount --bind $file /etc/resolv.conf && rm $file";

/// What every name but the evil ones leads to.
const ADDRESS: [u8; 4] = [203, 0, 113, 7];

const QUESTIONS_BEGIN: usize = 12;

/// Answers every question for an address, but none for a name in `evil.example`.
fn serve(socket: &UdpSocket) {
    let mut packet = [0; 512];
    while let Ok((len, asker)) = socket.recv_from(&mut packet) {
        let question = &packet[QUESTIONS_BEGIN..len];
        if question.windows(6).any(|label| label == b"\x04evil\x07") {
            continue;
        }
        // The name ends with an empty label, after which the type stands.
        let end = question.iter().position(|&byte| byte == 0).unwrap() + 5;
        let is_a = question[end - 4..end] == [0, 1, 0, 1];
        let mut answer = packet[..2].to_vec();
        answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
        answer.extend(&question[..end]);
        if is_a {
            // The name of the question, A, IN, for a minute, four bytes.
            answer.extend([0xc0, QUESTIONS_BEGIN as u8, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            answer.extend(ADDRESS);
        }
        socket.send_to(&answer, asker).unwrap();
    }
}

/// Threads of this process that wait for name servers.
fn waiting() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "resolver").count()
}

#[test]
fn names_that_no_server_answers_for_take_no_threads_from_anybody() {
    let name = "tests::names::names_that_no_server_answers_for_take_no_threads_from_anybody";
    inside::run(name, SET_UP, good_names_beside_evil_ones);
}

async fn good_names_beside_evil_ones() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
    std::thread::spawn(move || serve(&socket));
    let names = Names::system();
    let evil = |n: usize| {
        let names = names.clone();
        tokio::spawn(async move { names.addresses(&format!("{n}.evil.example")).await })
    };
    let evil: Vec<_> = (0..2_000).map(evil).collect();
    while waiting() == 0 {
        tokio::task::yield_now().await;
    }
    let begun = Instant::now();

    let good = (0..200).map(|n| {
        let names = &names;
        async move { names.addresses(&format!("images.good{n}.example")).await }
    });
    for answer in join_all(good).await {
        assert_eq!(*answer.unwrap(), [IpAddr::from(ADDRESS)]);
    }
    // As the database's client does, whose questions are asked in the runtime's own threads.
    let database = tokio::net::lookup_host("postgres.cluster.example:5432").await.unwrap();

    assert_eq!(database.map(|socket| socket.ip()).collect::<Vec<_>>(), [IpAddr::from(ADDRESS)]);
    // The system asks for the second time after five seconds.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(waiting(), 2);
    // A picture of that domain waits for its place, and meets the limit that it would have met.
    let config = DownloadConfig { connect_timeout: Duration::from_millis(300), ..config() };
    let downloader = Downloader::with_names(config, LANES, vec![Duration::from_secs(120)], &names).unwrap();
    let url = "http://last.evil.example/a.jpg".parse().unwrap();
    assert_eq!(get(&downloader, &url).await.unwrap_err().reason(), "timeout");
    assert!(evil.iter().all(|name| !name.is_finished()));
}
