//! Classes of IP addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Instance metadata and credential services of the large clouds (IPv4).
const METADATA_V4: [Ipv4Addr; 6] = [
    Ipv4Addr::new(169, 254, 169, 254), // EC2, GCE, Azure, OpenStack, Oracle and others
    Ipv4Addr::new(169, 254, 170, 2),   // ECS task credentials
    Ipv4Addr::new(169, 254, 170, 23),  // EKS pod identity
    Ipv4Addr::new(168, 63, 129, 16),   // Azure wire server
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba Cloud
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle classic
];

/// The same over IPv6.
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// Names under which metadata services answer.
const METADATA_NAMES: [&str; 6] = [
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "instance-data",
    "instance-data.ec2.internal",
];

/// Whether `name` (lower case, without trailing dot) is a metadata service.
pub(crate) fn is_metadata_name(name: &str) -> bool {
    METADATA_NAMES.contains(&name)
}

/// Whether the address, or the IPv4 address inside it, is a metadata service.
pub(crate) fn is_metadata(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => METADATA_V4.contains(&v4),
        IpAddr::V6(v6) => {
            METADATA_V6.contains(&v6) || embedded_v4(v6).is_some_and(|v4| METADATA_V4.contains(&v4))
        }
    }
}

/// Whether the address is an ordinary public unicast address.
///
/// `Ipv4Addr::is_global` is not stable; the list follows the special-purpose registries (RFC 6890 and its updates).
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_public_v4(v4),
        // An address that carries an IPv4 address is as public as that one, and only then.
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => is_public_v4(v4),
            None => is_public_v6(v6),
        },
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = a == 0
        || ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || ip.is_multicast()
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b));
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let seg = ip.segments();
    // Only 2000::/3 is assigned for global unicast.
    let global_unicast = (seg[0] & 0xe000) == 0x2000;
    let documentation = (seg[0] == 0x2001 && seg[1] == 0xdb8) || (seg[0] & 0xfff0) == 0x3ff0;
    let benchmarking_or_orchid =
        seg[0] == 0x2001 && (seg[1] == 2 || (seg[1] & 0xfff0) == 0x10 || (seg[1] & 0xfff0) == 0x20);
    global_unicast && !documentation && !benchmarking_or_orchid
}

/// The IPv4 address that a mapped, compatible, NAT64, 6to4 or Teredo address leads to.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let seg = ip.segments();
    let v4 = |hi: u16, lo: u16| {
        let [a, b] = hi.to_be_bytes();
        let [c, d] = lo.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    if let Some(mapped) = ip.to_ipv4_mapped() {
        return Some(mapped);
    }
    let nat64 = seg[0] == 0x64 && seg[1] == 0xff9b;
    let compatible = seg[..6] == [0; 6] && ip != Ipv6Addr::LOCALHOST && ip != Ipv6Addr::UNSPECIFIED;
    // RFC 2765 form ::ffff:0:a.b.c.d
    let translated = seg[..4] == [0; 4] && seg[4] == 0xffff && seg[5] == 0;
    if nat64 || compatible || translated {
        return Some(v4(seg[6], seg[7]));
    }
    if seg[0] == 0x2002 {
        return Some(v4(seg[1], seg[2]));
    }
    if seg[0] == 0x2001 && seg[1] == 0 {
        return Some(v4(!seg[6], !seg[7]));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_and_special_addresses() {
        for public in [
            "8.8.8.8",
            "1.1.1.1",
            "100.128.0.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(public.parse().expect("address")), "{public}");
        }
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "192.0.0.8",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "::7f00:1",
        ] {
            assert!(!is_public(special.parse().expect("address")), "{special}");
        }
    }

    #[test]
    fn metadata_addresses_in_every_clothing() {
        for metadata in [
            "169.254.169.254",
            "169.254.170.2",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::",
        ] {
            assert!(is_metadata(metadata.parse().expect("address")), "{metadata}");
        }
        assert!(!is_metadata("169.254.1.1".parse().expect("address")));
        assert!(is_metadata_name("metadata.google.internal"));
    }
}
