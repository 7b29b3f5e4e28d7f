//! The addresses that are not public.
//!
//! The table is our own because no library at hand is complete: `ip_network` takes multicast, IPv4-mapped and
//! IPv4-compatible addresses, 6to4, Teredo, local NAT64, ISATAP and `3fff::/20` for global, and the standard library's
//! `is_global` is not stable. The tests show that, and hold the table against both of IANA's registries of
//! special-purpose addresses, entry by entry.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// What sort of address it is, in words; `None` if it is public.
pub(super) fn forbidden(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => forbidden_v4(v4),
        IpAddr::V6(v6) => forbidden_v6(v6),
    }
}

/// The address that packets to `address` arrive at in the end.
pub(super) fn stands_for(address: IpAddr) -> IpAddr {
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

/// IANA's special-purpose registry, multicast, and one cloud's odd one out.
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
    // Reachable from everywhere, but nobody has pictures there; each network may have one of its own.
    (v4([192, 31, 196, 0], 24), "AS112"),
    (v4([192, 52, 193, 0], 24), "multicast relay"),
    (v4([192, 175, 48, 0], 24), "AS112"),
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
    (v6([0x2620, 0x4f, 0x8000, 0], 48), "AS112"),
    (v6([0x3fff, 0, 0, 0], 20), "documentation"),
    (v6([0x5f00, 0, 0, 0], 16), "segment routing"),
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
pub(super) mod tests;
