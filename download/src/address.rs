//! Which addresses the worker may connect to.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

use super::ranges;

/// Decides which addresses may be connected to: public ones, and those that
/// were explicitly allowed.
///
/// The URLs come from strangers, so everything that a machine inside the
/// cluster can reach and the stranger cannot is refused.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    networks: Vec<IpNet>,
    hosts: HashSet<String>,
}

/// An address that the policy refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} may not be connected to ({kind})")]
pub struct ForbiddenAddress {
    /// The address as it was given.
    pub address: IpAddr,
    /// What sort of address it is, in words.
    pub kind: &'static str,
}

impl AddressPolicy {
    /// A policy that refuses what is not public, except for the addresses in
    /// `networks`. The hosts in `hosts` are trusted with whatever they lead to; a
    /// name that is not one is told by [`DownloadConfig::problems`](super::DownloadConfig::problems).
    pub fn new(networks: Vec<IpNet>, hosts: &[String]) -> Self {
        let hosts = hosts.iter().filter_map(|host| Host::parse(host).ok()).map(|host| name_of(&host));
        Self { networks, hosts: hosts.collect() }
    }

    /// A policy for hosts that are trusted: every address.
    pub(super) fn trusting() -> Self {
        let everything = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
        Self { networks: everything.into(), hosts: HashSet::new() }
    }

    /// Whether any host is trusted at all.
    pub(super) fn trusts_hosts(&self) -> bool {
        !self.hosts.is_empty()
    }

    /// Whether the host of `url` is trusted with whatever its name leads to.
    pub fn trusts(&self, url: &Url) -> bool {
        self.trusts_hosts()
            && url.host().is_some_and(|host| self.hosts.contains(name_of(&host.to_owned()).as_str()))
    }

    /// Says whether `address` may be connected to.
    ///
    /// An address that stands for an IPv4 address (IPv4-mapped, NAT64) is refused as well
    /// unless it is in an allowed network, and even then it is judged as that one: whoever
    /// allows `64:ff9b::/96` gets what is public behind it.
    ///
    /// # Errors
    ///
    /// Says what sort of address it is.
    pub fn check(&self, address: IpAddr) -> Result<(), ForbiddenAddress> {
        let judged = ranges::stands_for(address);
        if self.networks.iter().any(|net| net.contains(&judged)) {
            return Ok(());
        }
        match ranges::forbidden(judged) {
            None if judged == address || self.networks.iter().any(|net| net.contains(&address)) => Ok(()),
            None => Err(ForbiddenAddress { address, kind: "an IPv4 address in IPv6" }),
            Some(kind) => Err(ForbiddenAddress { address, kind }),
        }
    }
}

/// How a host is called: a dot at the end changes nothing of where it leads.
fn name_of(host: &Host) -> String {
    let name = host.to_string();
    name.strip_suffix('.').map_or(name.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(policy: &AddressPolicy, address: &str) -> bool {
        policy.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn an_allowed_network_overrides_and_nothing_beside_it() {
        let networks = ["10.1.0.0/16", "127.0.0.1/32", "fd00:1::/32"];
        let policy = AddressPolicy::new(networks.map(|net| net.parse().unwrap()).into(), &[]);

        for address in ["10.1.0.0", "10.1.255.255", "127.0.0.1", "fd00:1::9"] {
            assert!(allowed(&policy, address), "{address} must be allowed");
        }
        for address in ["10.0.255.255", "10.2.0.0", "127.0.0.2", "::1", "fd00:2::"] {
            assert!(!allowed(&policy, address), "{address} must be refused");
        }
    }

    /// All of IPv6 was allowed, and IPv4 must not come with it.
    #[test]
    fn a_mapped_address_is_judged_as_its_ipv4() {
        let policy = AddressPolicy::new(vec!["::/0".parse().unwrap()], &[]);
        assert!(allowed(&policy, "fd00::1"));
        assert!(!allowed(&policy, "::ffff:10.0.0.1"));
        assert!(!allowed(&policy, "64:ff9b::10.0.0.1"));
        assert!(allowed(&policy, "64:ff9b::8.8.8.8") && allowed(&policy, "::ffff:8.8.8.8"));

        let policy = AddressPolicy::new(vec!["10.0.0.0/8".parse().unwrap()], &[]);
        assert!(allowed(&policy, "::ffff:10.0.0.1"));
        assert!(allowed(&policy, "64:ff9b::10.0.0.1"));
    }

    #[test]
    fn the_error_names_the_address_and_what_it_is() {
        let error = AddressPolicy::default().check("169.254.169.254".parse().unwrap()).unwrap_err();

        assert_eq!(error.to_string(), "169.254.169.254 may not be connected to (link-local)");
    }
}
