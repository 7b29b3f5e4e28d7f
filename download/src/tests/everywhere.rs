//! A network of which every address is this machine, so that one listener hears of every connection, wherever
//! it was to go. Linux gives one to whoever asks: `unshare --net`.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::server::{Act, Answer, Server, redirect};
use super::{LANES, config, get, image, inside};
use crate::ranges::tests::RANGES;
use crate::resolver::Names;
use crate::{DownloadConfig, Downloader};

/// IPv4 in IPv6 clothes that no range covers, private and public behind it, and the kind of address that people
/// are told.
const EMBEDDED: [(&str, &str); 7] = [
    ("::ffff:10.0.0.1", "private"),
    ("::ffff:169.254.169.254", "link-local"),
    ("::ffff:8.8.8.8", "an IPv4 address in IPv6"),
    ("64:ff9b::10.0.0.1", "private"),
    ("64:ff9b::8.8.8.8", "an IPv4 address in IPv6"),
    ("2606:4700::5efe:10.0.0.1", "ISATAP"),
    ("2606:4700::200:5efe:8.8.8.8", "ISATAP"),
];

/// Somebody else's, so nobody's here.
const PUBLIC: &str = "8.8.8.8";

const SET_UP: &str =
    "ip link set lo up && ip route add local 0.0.0.0/0 dev lo && ip -6 route add local ::/0 dev lo";

#[test]
fn no_connection_arrives_at_any_forbidden_address() {
    let name = "tests::everywhere::no_connection_arrives_at_any_forbidden_address";
    inside::run(name, SET_UP, every_way_to_every_forbidden_address);
}

/// `/to?URL` redirects there; all else is an image. Connections are not kept.
fn answer(path: &str) -> Answer {
    let mut acts = match path.strip_prefix("/to?") {
        Some(location) => redirect(location),
        None => {
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100\r\n\r\n";
            vec![Act::Send(head.into()), Act::Send(image(100))]
        }
    };
    acts.push(Act::Close);
    acts
}

/// `N.fixed.test` is the N-th of `addresses`; `N.changing.test` is public when it is asked for first;
/// `N.both.test` is public as well.
fn names(addresses: Vec<IpAddr>) -> Names {
    let asked = Mutex::new(HashSet::new());
    Names::from_fn(move |name| {
        let (number, way) = name.trim_end_matches(".test").split_once('.').unwrap();
        let address = addresses[number.parse::<usize>().unwrap()];
        let public: IpAddr = PUBLIC.parse().unwrap();
        match way {
            "fixed" => vec![address],
            "both" => vec![address, public],
            "changing" if asked.lock().unwrap().insert(name.to_owned()) => vec![public],
            "changing" => vec![address],
            other => panic!("{other}"),
        }
    })
}

fn literal(address: IpAddr) -> String {
    if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }
}

async fn every_way_to_every_forbidden_address() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = Server::start_at("::", answer).await;
    let port = server.port();
    let edges = |sides: [usize; 2]| {
        RANGES.iter().flat_map(move |row| {
            // One kind for both ends, or one for each.
            let kinds = row[4].split_once('|').unwrap_or((row[4], row[4]));
            [(row[sides[0]], kinds.0), (row[sides[1]], kinds.1)]
        })
    };
    let parsed = |(address, kind): (&str, _)| Some((address.parse::<IpAddr>().ok()?, kind));
    let forbidden: Vec<_> = edges([1, 2]).chain(EMBEDDED).filter_map(parsed).collect();
    let beside: Vec<_> = edges([0, 3]).filter_map(parsed).map(|(address, _)| address).collect();
    assert_eq!(forbidden.len(), 2 * RANGES.len() + EMBEDDED.len());
    let named: Vec<_> = forbidden.iter().map(|(address, _)| *address).collect();
    let downloader = |allowed: &[&str]| {
        let allow_networks = allowed.iter().map(|net| net.parse().unwrap()).collect();
        let config = DownloadConfig { allow_networks, connect_timeout: Duration::from_secs(5), ..config() };
        Downloader::with_names(config, LANES, vec![Duration::from_secs(120)], &names(named.clone())).unwrap()
    };
    let (public, all) = (downloader(&[]), downloader(&["0.0.0.0/0", "::/0"]));
    let word = async |downloader: &Downloader, url: &str| match get(downloader, &url.parse().unwrap()).await {
        Ok(_) => "ok".to_owned(),
        Err(error) => format!("{}: {error}", error.reason()),
    };

    for (number, &(address, kind)) in forbidden.iter().enumerate() {
        let refused = format!("forbidden_address: {address} may not be connected to ({kind})");
        let (host, fixed) = (literal(address), format!("{number}.fixed.test"));
        let from = format!("http://{PUBLIC}:{port}/to?");
        for url in [
            format!("http://{host}:{port}/"),
            format!("http://{fixed}:{port}/"),
            format!("{from}http://{host}:{port}/"),
            format!("{from}http://{fixed}:{port}/"),
            format!("{from}//{host}:{port}/"),
        ] {
            assert_eq!(word(&public, &url).await, refused, "{url}");
        }
        let changing = format!("http://{number}.changing.test:{port}/");
        assert_eq!(word(&public, &changing).await, "ok", "{changing} is public at first");
        assert_eq!(word(&public, &changing).await, refused, "{changing}");
        let both = format!("http://{number}.both.test:{port}/");
        assert_eq!(word(&public, &both).await, "ok", "{both} ({address})");
    }
    let arrived: HashSet<_> = server.destinations().into_iter().collect();
    assert_eq!(arrived, HashSet::from([PUBLIC.parse().unwrap()]), "nothing but the public address");

    // The listener does hear of such connections, where they are made.
    for &address in &beside {
        assert_eq!(word(&public, &format!("http://{}:{port}/", literal(address))).await, "ok", "{address}");
    }
    let mut heard = 0;
    for &(address, _) in &forbidden {
        heard += usize::from(word(&all, &format!("http://{}:{port}/", literal(address))).await == "ok");
    }
    let arrived: HashSet<_> = server.destinations().into_iter().collect();
    assert!(beside.iter().all(|address| arrived.contains(&address.to_canonical())));
    // Linux itself connects to no multicast, broadcast or link-local address without an interface.
    assert!(heard * 4 > forbidden.len() * 3, "heard of {heard} of {}", forbidden.len());
}

/// Whoever answers for names wrongly, the socket's other end decides: no byte of a request goes out.
#[tokio::test]
async fn the_peer_of_the_socket_decides_and_not_the_answer_for_its_name() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = Server::start(|_| super::server::ok(&image(100))).await;
    let resolver = crate::resolver::Resolver::new(
        crate::AddressPolicy::trusting().into(),
        &Names::from_fn(|_| vec!["127.0.0.1".parse().unwrap()]),
    );
    let policy = Arc::new(crate::AddressPolicy::default());
    let client = reqwest::Client::builder()
        .no_proxy()
        .dns_resolver(resolver)
        .connector_layer(crate::peer::CheckPeer(policy))
        .build()
        .unwrap();

    let error = client.get(format!("http://inside.test:{}/", server.port())).send().await.unwrap_err();

    let error = crate::transport::failed_to_ask(error);
    assert_eq!(error.reason(), "forbidden_address");
    assert!(server.requests().is_empty());
}
