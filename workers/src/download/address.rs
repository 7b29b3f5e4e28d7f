//! Which addresses the worker may connect to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Decides which addresses may be connected to: public ones, and those that
/// were explicitly allowed.
///
/// The URLs come from strangers, so everything that a machine inside the
/// cluster can reach and the stranger cannot is refused.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    allow: Vec<IpNet>,
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
    /// A policy that refuses what is not public, except for `allow`.
    pub fn new(allow: Vec<IpNet>) -> Self {
        Self { allow }
    }

    /// Says whether `address` may be connected to.
    ///
    /// An address that stands for an IPv4 address (IPv4-mapped, NAT64) is
    /// judged as that one, by `allow` as well.
    pub fn check(&self, address: IpAddr) -> Result<(), ForbiddenAddress> {
        let judged = stands_for(address);
        if self.allow.iter().any(|net| net.contains(&judged)) {
            return Ok(());
        }
        let kind = match judged {
            IpAddr::V4(v4) => forbidden_v4(v4),
            IpAddr::V6(v6) => forbidden_v6(v6),
        };
        match kind {
            None => Ok(()),
            Some(kind) => Err(ForbiddenAddress { address, kind }),
        }
    }
}

/// The address that packets to `address` arrive at in the end.
fn stands_for(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if NAT64.contains(&v6) => {
            let [.., a, b, c, d] = v6.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        _ => address.to_canonical(),
    }
}

fn forbidden_v4(address: Ipv4Addr) -> Option<&'static str> {
    FORBIDDEN_V4.iter().find(|(net, _)| net.contains(&address)).map(|(_, kind)| *kind)
}

fn forbidden_v6(address: Ipv6Addr) -> Option<&'static str> {
    let listed = FORBIDDEN_V6.iter().find(|(net, _)| net.contains(&address));
    match listed {
        Some((_, kind)) => Some(kind),
        None if !GLOBAL_UNICAST.contains(&address) => Some("not global unicast"),
        None if is_isatap(address) => Some("ISATAP"),
        None => None,
    }
}

/// ISATAP carries an IPv4 address in the interface part, under any prefix.
fn is_isatap(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [.., 0x0000 | 0x0200, 0x5efe, _, _])
}

/// The translation prefix of IPv6-only clusters: behind it lies all of IPv4.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0], 96);

/// Everything that was ever given out. What is not in it is refused, known by
/// name or not.
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0], 3);

/// From the IANA special-purpose registry, and one cloud's odd one out.
const FORBIDDEN_V4: &[(Ipv4Net, &str)] = &[
    (v4([0, 0, 0, 0], 8), "this network"),
    (v4([10, 0, 0, 0], 8), "private"),
    (v4([100, 64, 0, 0], 10), "carrier-grade NAT"),
    (v4([127, 0, 0, 0], 8), "loopback"),
    // Azure's host agent, reached from every virtual machine at a public address.
    (v4([168, 63, 129, 16], 32), "cloud metadata"),
    // AWS, Google, Azure and others serve machine credentials at 169.254.169.254.
    (v4([169, 254, 0, 0], 16), "link-local"),
    (v4([172, 16, 0, 0], 12), "private"),
    (v4([192, 0, 0, 0], 24), "protocol assignments"),
    (v4([192, 0, 2, 0], 24), "documentation"),
    (v4([192, 88, 99, 0], 24), "6to4 relay"),
    (v4([192, 168, 0, 0], 16), "private"),
    (v4([198, 18, 0, 0], 15), "benchmarking"),
    (v4([198, 51, 100, 0], 24), "documentation"),
    (v4([203, 0, 113, 0], 24), "documentation"),
    (v4([224, 0, 0, 0], 4), "multicast"),
    (v4([255, 255, 255, 255], 32), "broadcast"),
    (v4([240, 0, 0, 0], 4), "reserved"),
];

/// Outside [`GLOBAL_UNICAST`] the list only gives names.
const FORBIDDEN_V6: &[(Ipv6Net, &str)] = &[
    (v6([0, 0, 0, 0], 128), "unspecified"),
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), "loopback"),
    (v6([0, 0, 0, 0], 96), "IPv4-compatible"),
    (v6([0x64, 0xff9b, 1, 0], 48), "local NAT64"),
    (v6([0x100, 0, 0, 0], 64), "discard"),
    (v6([0xfc00, 0, 0, 0], 7), "unique local"),
    (v6([0xfe80, 0, 0, 0], 10), "link-local"),
    (v6([0xfec0, 0, 0, 0], 10), "site-local"),
    (v6([0xff00, 0, 0, 0], 8), "multicast"),
    (v6([0x2001, 0, 0, 0], 32), "Teredo"),
    (v6([0x2001, 2, 0, 0], 48), "benchmarking"),
    (v6([0x2001, 0x10, 0, 0], 28), "ORCHID"),
    (v6([0x2001, 0x20, 0, 0], 28), "ORCHID"),
    (v6([0x2001, 0, 0, 0], 23), "protocol assignments"),
    (v6([0x2001, 0xdb8, 0, 0], 32), "documentation"),
    (v6([0x2002, 0, 0, 0], 16), "6to4"),
    (v6([0x3fff, 0, 0, 0], 20), "documentation"),
];

const fn v4(octets: [u8; 4], prefix: u8) -> Ipv4Net {
    let [a, b, c, d] = octets;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(upper: [u16; 4], prefix: u8) -> Ipv6Net {
    let [a, b, c, d] = upper;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(policy: &AddressPolicy, address: &str) -> bool {
        policy.check(address.parse().unwrap()).is_ok()
    }

    /// Each row: the last address that may be used before a range, the first
    /// and the last of the range, and the first that may be used after it.
    /// `-` where a range borders on another forbidden one.
    #[test]
    fn ranges_are_refused_to_their_exact_edges() {
        const RANGES: &[[&str; 4]] = &[
            ["-", "0.0.0.0", "0.255.255.255", "1.0.0.0"],
            ["9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"],
            ["100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"],
            ["126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"],
            ["168.63.129.15", "168.63.129.16", "168.63.129.16", "168.63.129.17"],
            ["169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"],
            ["172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"],
            ["191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"],
            ["192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"],
            ["192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"],
            ["192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"],
            ["198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"],
            ["198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"],
            ["203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"],
            ["223.255.255.255", "224.0.0.0", "239.255.255.255", "-"],
            ["-", "240.0.0.0", "255.255.255.254", "-"],
            ["-", "255.255.255.255", "255.255.255.255", "-"],
            ["-", "::", "::1", "-"],
            ["-", "::2", "::ffff:ffff", "-"],
            ["-", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "-"],
            ["-", "100::", "100::ffff:ffff:ffff:ffff", "-"],
            ["-", "100:0:0:1::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::"],
            [
                "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001::",
                "2001:0:ffff:ffff:ffff:ffff:ffff:ffff",
                "-",
            ],
            ["-", "2001:10::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", "-"],
            ["-", "2001:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::"],
            [
                "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001:db8::",
                "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001:db9::",
            ],
            [
                "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "2002::",
                "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "2003::",
            ],
            [
                "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "3fff::",
                "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
                "3fff:1000::",
            ],
            [
                "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "4000::",
                "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "-",
            ],
            ["-", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "-"],
            ["-", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "-"],
            ["-", "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "-"],
            ["-", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "-"],
        ];
        let policy = AddressPolicy::default();

        for [before, first, last, after] in RANGES {
            for address in [first, last] {
                assert!(!allowed(&policy, address), "{address} must be refused");
            }
            for address in [before, after].into_iter().filter(|edge| **edge != "-") {
                assert!(allowed(&policy, address), "{address} must be allowed");
            }
        }
    }

    /// The standard library has its own idea of most ranges; a sweep over all
    /// of IPv4, one address in some thousands, must agree with it.
    #[test]
    fn a_sweep_over_ipv4_agrees_with_the_standard_library() {
        let policy = AddressPolicy::default();

        for bits in (0..=u32::MAX).step_by(4_093) {
            let address = Ipv4Addr::from_bits(bits);
            let known = address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation()
                || address.is_multicast()
                || address.is_unspecified();

            let refused = policy.check(address.into()).is_err();
            assert!(refused || !known, "{address} must be refused");

            let mapped = address.to_ipv6_mapped();
            assert_eq!(policy.check(mapped.into()).is_err(), refused, "{mapped}");
        }
    }

    #[test]
    fn an_embedded_ipv4_address_does_not_slip_through() {
        let policy = AddressPolicy::default();

        for address in [
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::8.8.8.8",
            "2002:7f00:1::1",
            "2001:0:7f00:1::1",
            "2600::5efe:10.0.0.1",
            "2600::200:5efe:10.0.0.1",
        ] {
            assert!(!allowed(&policy, address), "{address} must be refused");
        }
    }

    #[test]
    fn public_addresses_are_allowed() {
        let policy = AddressPolicy::default();

        for address in [
            "8.8.8.8",
            "93.184.215.14",
            "2606:4700::6810:85e5",
            "2a00:1450:4001:830::200e",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            assert!(allowed(&policy, address), "{address} must be allowed");
        }
    }

    #[test]
    fn an_allowed_network_overrides_and_nothing_beside_it() {
        let networks = ["10.1.0.0/16", "127.0.0.1/32", "fd00:1::/32"];
        let policy = AddressPolicy::new(networks.map(|net| net.parse().unwrap()).into());

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
        let policy = AddressPolicy::new(vec!["::/0".parse().unwrap()]);
        assert!(allowed(&policy, "fd00::1"));
        assert!(!allowed(&policy, "::ffff:10.0.0.1"));
        assert!(!allowed(&policy, "64:ff9b::10.0.0.1"));

        let policy = AddressPolicy::new(vec!["10.0.0.0/8".parse().unwrap()]);
        assert!(allowed(&policy, "::ffff:10.0.0.1"));
        assert!(allowed(&policy, "64:ff9b::10.0.0.1"));
    }

    #[test]
    fn the_error_names_the_address_and_what_it_is() {
        let error = AddressPolicy::default().check("169.254.169.254".parse().unwrap()).unwrap_err();

        assert_eq!(error.to_string(), "169.254.169.254 may not be connected to (link-local)");
    }
}
