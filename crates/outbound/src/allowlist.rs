//! Hosts and networks that an operator opened for addresses supplied by users.

use std::net::IpAddr;

use crate::policy::OutboundError;

/// One opened destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowEntry {
    /// `model-box.lan` or `model-box.lan:8080`; a leading `*.` stands for any name below.
    Host {
        /// Lower case, without trailing dot and without the wildcard.
        name: String,
        /// `*.name`: the names below, not the name itself.
        wildcard: bool,
        /// Only this port, else any.
        port: Option<u16>,
    },
    /// `10.1.0.0/16`, `fd12::/64` or a single address.
    Network {
        /// An address in the network.
        base: IpAddr,
        /// Number of leading bits that count.
        prefix: u8,
    },
}

/// The operator's list; empty by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowlist {
    entries: Vec<AllowEntry>,
}

impl Allowlist {
    /// Reads entries such as `host`, `host:port`, `*.domain`, an address or a network in CIDR form.
    ///
    /// Commas and white space separate entries, so that one environment variable can be passed as it is.
    ///
    /// # Errors
    /// [`OutboundError::AllowEntry`] names the entry that cannot be read: an operator's typing error must not silently
    /// close or open something.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, OutboundError> {
        let entries = entries
            .into_iter()
            .flat_map(|text| text.split(|c: char| c == ',' || c.is_whitespace()))
            .filter(|text| !text.is_empty())
            .map(parse_entry)
            .collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// Whether `name` is opened on `port`; `None` when no entry speaks of the name.
    pub(crate) fn host(&self, name: &str, port: Option<u16>) -> Option<bool> {
        let mut named = false;
        for entry in &self.entries {
            let AllowEntry::Host {
                name: entry_name,
                wildcard,
                port: entry_port,
            } = entry
            else {
                continue;
            };
            let matches = if *wildcard {
                name.strip_suffix(entry_name.as_str())
                    .is_some_and(|head| head.ends_with('.'))
            } else {
                name == entry_name
            };
            if matches {
                if entry_port.is_none() || port.is_none() || *entry_port == port {
                    return Some(true);
                }
                named = true;
            }
        }
        named.then_some(false)
    }

    /// Whether an entry names the address or a network around it.
    pub(crate) fn address(&self, ip: IpAddr) -> bool {
        self.entries.iter().any(|entry| match entry {
            AllowEntry::Network { base, prefix } => in_network(ip, *base, *prefix),
            AllowEntry::Host { .. } => false,
        })
    }
}

fn parse_entry(text: &str) -> Result<AllowEntry, OutboundError> {
    let bad = || OutboundError::AllowEntry {
        entry: text.to_owned(),
    };
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(AllowEntry::Network {
            base: ip,
            prefix: bits(ip),
        });
    }
    if let Some((base, prefix)) = text.split_once('/') {
        let base: IpAddr = base.parse().map_err(|_| bad())?;
        let prefix: u8 = prefix.parse().map_err(|_| bad())?;
        if prefix > bits(base) {
            return Err(bad());
        }
        return Ok(AllowEntry::Network { base, prefix });
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.parse().map_err(|_| bad())?)),
        None => (text, None),
    };
    let (name, wildcard) = match name.strip_prefix("*.") {
        Some(rest) => (rest, true),
        None => (name, false),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let valid = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if !valid {
        return Err(bad());
    }
    Ok(AllowEntry::Host { name, wildcard, port })
}

fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn in_network(ip: IpAddr, base: IpAddr, prefix: u8) -> bool {
    match (ip.to_canonical(), base) {
        (IpAddr::V4(ip), IpAddr::V4(base)) => {
            let shift = 32 - u32::from(prefix.min(32));
            (u64::from(u32::from(ip)) >> shift) == (u64::from(u32::from(base)) >> shift)
        }
        (IpAddr::V6(ip), IpAddr::V6(base)) => {
            let shift = 128 - u32::from(prefix.min(128));
            u128::from(ip).checked_shr(shift).unwrap_or(0) == u128::from(base).checked_shr(shift).unwrap_or(0)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_match_hosts_ports_and_networks() {
        let list = Allowlist::parse([
            "Box.lan, *.corp.example",
            "gpu:8000",
            "10.1.0.0/16",
            "fd12::/64",
            "127.0.0.1",
        ])
        .expect("list");
        assert_eq!(list.host("box.lan", Some(80)), Some(true));
        assert_eq!(list.host("a.corp.example", None), Some(true));
        assert_eq!(list.host("corp.example", None), None);
        assert_eq!(list.host("evilcorp.example", None), None);
        assert_eq!(list.host("gpu", Some(8000)), Some(true));
        assert_eq!(list.host("gpu", Some(22)), Some(false));
        assert!(list.address("10.1.200.3".parse().expect("ip")));
        assert!(!list.address("10.2.0.1".parse().expect("ip")));
        assert!(list.address("::ffff:10.1.0.9".parse().expect("ip")));
        assert!(list.address("fd12::9".parse().expect("ip")));
        assert!(!list.address("fd13::9".parse().expect("ip")));
        assert!(list.address("127.0.0.1".parse().expect("ip")));
    }

    #[test]
    fn unreadable_entries_are_named() {
        for bad in ["10.0.0.0/99", "http://x/", "x:notaport", "*."] {
            let error = Allowlist::parse([bad]).expect_err(bad);
            assert!(error.to_string().contains(bad.trim()), "{error}");
        }
    }
}
