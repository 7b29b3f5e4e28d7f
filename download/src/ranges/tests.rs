//! The table, to its exact edges and against the registries.

use ip_network::IpNetwork;
use ipnet::IpNet;
use proptest::prelude::*;

use super::super::AddressPolicy;
use super::*;

/// Each row: the last address that may be used before a range, the first
/// and the last of the range, and the first that may be used after it.
/// `-` where a range borders on another forbidden one. Then the kind of address
/// that people are told; two, with a bar between, where first and last differ.
pub(crate) const RANGES: &[[&str; 5]] = &[
    ["-", "0.0.0.0", "0.255.255.255", "1.0.0.0", "this network"],
    ["9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0", "private"],
    ["100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0", "carrier-grade NAT"],
    ["126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0", "loopback"],
    ["168.63.129.15", "168.63.129.16", "168.63.129.16", "168.63.129.17", "cloud metadata"],
    ["169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0", "link-local"],
    ["172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0", "private"],
    ["191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0", "protocol assignments"],
    ["192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0", "documentation"],
    ["192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0", "6to4 relay"],
    ["192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0", "private"],
    ["198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0", "benchmarking"],
    ["198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0", "documentation"],
    ["203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0", "documentation"],
    ["223.255.255.255", "224.0.0.0", "239.255.255.255", "-", "multicast"],
    ["-", "240.0.0.0", "255.255.255.254", "-", "reserved"],
    ["-", "255.255.255.255", "255.255.255.255", "-", "broadcast"],
    ["-", "::", "::1", "-", "unspecified|loopback"],
    ["-", "::2", "::ffff:ffff", "-", "IPv4-compatible"],
    ["-", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "-", "local NAT64"],
    ["-", "100::", "100::ffff:ffff:ffff:ffff", "-", "discard"],
    ["-", "100:0:0:1::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::", "not global unicast"],
    [
        "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001::",
        "2001:0:ffff:ffff:ffff:ffff:ffff:ffff",
        "-",
        "Teredo",
    ],
    ["-", "2001:10::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", "-", "ORCHID"],
    ["-", "2001:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::", "protocol assignments"],
    [
        "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:db8::",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:db9::",
        "documentation",
    ],
    [
        "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2002::",
        "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2003::",
        "6to4",
    ],
    [
        "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "3fff::",
        "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
        "3fff:1000::",
        "documentation",
    ],
    [
        "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "4000::",
        "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "-",
        "not global unicast",
    ],
    ["-", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "-", "unique local"],
    ["-", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "-", "link-local"],
    ["-", "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "-", "site-local"],
    ["-", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "-", "multicast"],
    ["192.31.195.255", "192.31.196.0", "192.31.196.255", "192.31.197.0", "AS112"],
    ["192.52.192.255", "192.52.193.0", "192.52.193.255", "192.52.194.0", "multicast relay"],
    ["192.175.47.255", "192.175.48.0", "192.175.48.255", "192.175.49.0", "AS112"],
    [
        "2620:4f:7fff:ffff:ffff:ffff:ffff:ffff",
        "2620:4f:8000::",
        "2620:4f:8000:ffff:ffff:ffff:ffff:ffff",
        "2620:4f:8001::",
        "AS112",
    ],
    ["-", "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "-", "segment routing"],
];

fn allowed(policy: &AddressPolicy, address: &str) -> bool {
    policy.check(address.parse().unwrap()).is_ok()
}

#[test]
fn ranges_are_refused_to_their_exact_edges() {
    let policy = AddressPolicy::default();

    for [before, first, last, after, _] in RANGES {
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
        assert!(policy.check(mapped.into()).is_err(), "{mapped}");
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
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
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

    for address in ["8.8.8.8", "93.184.215.14", "2606:4700::6810:85e5", "2a00:1450:4001:830::200e"] {
        assert!(allowed(&policy, address), "{address} must be allowed");
    }
}

/// <https://www.iana.org/assignments/iana-ipv4-special-registry>, every entry, as of 2025-10.
const IANA_V4: &[&str] = &[
    "0.0.0.0/8",
    "0.0.0.0/32",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.0.0/29",
    "192.0.0.8/32",
    "192.0.0.9/32",
    "192.0.0.10/32",
    "192.0.0.170/32",
    "192.0.0.171/32",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.88.99.2/32",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "255.255.255.255/32",
];

/// <https://www.iana.org/assignments/iana-ipv6-special-registry>, every entry, as of 2025-10. `::ffff:0:0/96`
/// and `64:ff9b::/96` are left out: what is in them is judged as IPv4.
const IANA_V6: &[&str] = &[
    "::1/128",
    "::/128",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001::/32",
    "2001:1::1/128",
    "2001:1::2/128",
    "2001:1::3/128",
    "2001:2::/48",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:30::/28",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
];

/// What the issue of these addresses names and IANA keeps in other lists.
const ELSEWHERE: &[&str] = &["224.0.0.0/4", "168.63.129.16/32", "::/96", "fec0::/10", "ff00::/8"];

fn networks() -> impl Iterator<Item = IpNet> {
    [IANA_V4, IANA_V6, ELSEWHERE].into_iter().flatten().map(|net| net.parse().unwrap())
}

/// The first and the last address of every entry. An address is refused as well
/// where the registry calls its use global: nobody has pictures there.
#[test]
fn everything_in_the_registries_of_special_addresses_is_refused() {
    for net in networks() {
        for address in [net.network(), net.broadcast()] {
            assert!(forbidden(stands_for(address)).is_some(), "{address} of {net}");
        }
    }
}

/// The table has nothing of its own either: outside of the registries all of
/// IPv4 and all of the global unicast space of IPv6 is public, but for ISATAP.
fn is_special(address: IpAddr) -> bool {
    let isatap = matches!(address, IpAddr::V6(v6) if matches!(v6.segments(), [.., 0 | 0x200, 0x5efe, _, _]));
    let global =
        matches!(address, IpAddr::V4(_)) || matches!(address, IpAddr::V6(v6) if v6.octets()[0] >> 5 == 1);
    isatap || !global || networks().any(|net| net.contains(&address))
}

/// Any address at all, and addresses close to the edge of a range.
fn addresses() -> impl Strategy<Value = IpAddr> {
    let all: Vec<IpNet> = networks().collect();
    let near = (proptest::sample::select(all), any::<bool>(), -2i128..=2).prop_map(|(net, end, step)| {
        match if end { net.broadcast() } else { net.network() } {
            IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits().wrapping_add(step as u32)).into(),
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits().wrapping_add(step as u128)).into(),
        }
    });
    let v4 = any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).into());
    let v6 = any::<u128>().prop_map(|bits| Ipv6Addr::from_bits(bits).into());
    let unicast = any::<u128>().prop_map(|bits| Ipv6Addr::from_bits(bits >> 3 | 1 << 125).into());
    prop_oneof![near, v4, v6, unicast]
}

proptest! {
    #[test]
    fn an_address_is_refused_if_and_only_if_it_is_special(address in addresses()) {
        let judged = stands_for(address);
        prop_assert_eq!(AddressPolicy::default().check(address).is_err(), judged != address || is_special(judged), "{}", address);
    }

    #[test]
    fn an_allowed_ipv4_address_in_ipv6_is_judged_as_ipv4(bits: u32) {
        let policy = AddressPolicy::new(vec!["::/0".parse().unwrap()], &[]);
        let v4 = Ipv4Addr::from_bits(bits);
        let nat64 = Ipv6Addr::from_bits(0x64_ff9b << 96 | u128::from(bits));

        let refused = policy.check(v4.into()).is_err();
        prop_assert_eq!(policy.check(v4.to_ipv6_mapped().into()).is_err(), refused);
        prop_assert_eq!(policy.check(nat64.into()).is_err(), refused);
    }

    #[test]
    fn an_allowed_network_lets_its_own_addresses_pass_and_no_others(address in addresses(), other in addresses()) {
        let (judged, beside) = (stands_for(address), stands_for(other));
        let policy = AddressPolicy::new(vec![judged.into()], &[]);

        prop_assert!(policy.check(address).is_ok());
        prop_assert!(beside == judged || policy.check(other).is_err() == (beside != other || is_special(beside)));
    }
}

/// Why the table is our own: of addresses that lead inside, or nowhere, a kept library takes these for global.
#[test]
fn a_library_takes_addresses_for_global_that_the_table_refuses() {
    for address in [
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b:1::7f00:1",
        "2001::7f00:1",
        "2002:7f00:1::",
        "2a00::200:5efe:7f00:1",
        "3fff::1",
        "224.0.0.1",
    ] {
        let address: IpAddr = address.parse().unwrap();
        assert!(forbidden(stands_for(address)).is_some(), "{address}");
        assert!(IpNetwork::from(address).is_global(), "the library refuses {address} too");
    }
}
