//! A URL, and after a line break a redirect from it: what passes leads to a public address or to a name, as
//! every reader on the way understands it.

use std::net::{IpAddr, ToSocketAddrs};

use tagfleet_download::{AddressPolicy, redirected};
use url::{Host, Url};

/// Asks the policy about both.
pub fn check(bytes: &[u8]) {
    let (first, location) = match bytes.iter().position(|&byte| byte == b'\n') {
        Some(end) => (&bytes[..end], Some(&bytes[end + 1..])),
        None => (bytes, None),
    };
    let Ok(url) = Url::parse(&String::from_utf8_lossy(first)) else { return };
    check_one(&url);
    if let Some(location) = location
        && let Ok(url) = redirected(&url, location)
    {
        check_one(&url);
    }
}

fn check_one(url: &Url) {
    let policy = AddressPolicy::default();
    if policy.check_url(url).is_err() {
        return;
    }
    assert!(matches!(url.scheme(), "http" | "https"), "{url}");
    assert!(url.username().is_empty() && url.password().is_none(), "{url}");
    let literal = match url.host().expect("a URL without a host is refused") {
        Host::Ipv4(address) => Some(IpAddr::from(address)),
        Host::Ipv6(address) => Some(IpAddr::from(address)),
        Host::Domain(name) => {
            // Nobody behind us takes the name for an address, which no resolver would judge.
            assert!(name.parse::<IpAddr>().is_err(), "{url}");
            None
        }
    };
    if let Some(address) = literal {
        assert!(is_public(address), "{url} leads to {address}");
    }
    // Written down and read again it is the same.
    assert_eq!(Url::parse(url.as_str()).as_ref(), Ok(url));
    // The HTTP client reads the text again, by rules of its own.
    if let Ok(uri) = url.as_str().parse::<http::Uri>() {
        assert_eq!(uri.host(), url.host_str(), "{url}");
        assert_eq!(uri.port_u16().or(url.port_or_known_default()), url.port_or_known_default(), "{url}");
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = host.parse::<IpAddr>() {
            assert_eq!(Some(address), literal, "{url}");
            assert!((address, 80).to_socket_addrs().is_ok_and(|mut all| all.all(|one| is_public(one.ip()))));
        }
    }
}

/// As the standard library has it, which knows most of what is not public.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            !(v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.octets()[0] == 0)
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local())
        }
    }
}
