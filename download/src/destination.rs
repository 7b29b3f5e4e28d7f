//! Which URLs may be asked for.

use std::net::IpAddr;

use url::{Host, Url};

use super::address::AddressPolicy;
use super::error::Undownloadable;

/// Ports of services that are not HTTP, where a request could do harm: those that browsers refuse
/// (<https://fetch.spec.whatwg.org/#port-blocking>), in ascending order.
const FOREIGN_PORTS: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103,
    104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514,
    515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723,
    2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

impl AddressPolicy {
    /// Refuses what must not be asked for. An address in the place of a name does
    /// not pass through the resolver, so it is judged here.
    ///
    /// # Errors
    ///
    /// [`Undownloadable::BadUrl`] or [`Undownloadable::ForbiddenAddress`].
    pub fn check_url(&self, url: &Url) -> Result<(), Undownloadable> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Undownloadable::BadUrl("the scheme is neither http nor https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Undownloadable::BadUrl("it contains credentials"));
        }
        if url.port().is_some_and(|port| FOREIGN_PORTS.binary_search(&port).is_ok()) {
            return Err(Undownloadable::BadUrl("its port belongs to another protocol"));
        }
        let literal: IpAddr = match url.host() {
            None => return Err(Undownloadable::BadUrl("it has no host")),
            Some(_) if self.trusts(url) => return Ok(()),
            Some(Host::Domain(_)) => return Ok(()),
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
        };
        Ok(self.check(literal)?)
    }
}

/// Where a `Location` header leads to, seen from `url`.
///
/// # Errors
///
/// If it is no URL.
pub fn redirected(url: &Url, location: &[u8]) -> Result<Url, Undownloadable> {
    let location =
        str::from_utf8(location).map_err(|_| Undownloadable::BadUrl("the redirect's is not UTF-8"))?;
    url.join(location).map_err(|_| Undownloadable::BadUrl("the redirect's cannot be parsed"))
}
