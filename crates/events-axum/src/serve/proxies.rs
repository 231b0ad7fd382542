//! Proxies that are believed when they say whom a request is from.

use std::{fmt, net::IpAddr, str::FromStr};

use axum::http::{HeaderMap, HeaderName};

/// The list that proxies append to; what is not standard but what all of them write.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The most proxies that are passed over on the way to the client.
const MAX_HOPS: usize = 16;

/// Addresses, alone or with the length of a prefix (`10.0.0.0/8`), whose `X-Forwarded-For` is believed.
///
/// The client is then the last address in it that is none of these: whatever stands before that, the client may have
/// written itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Vec<Range>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    address: IpAddr,
    n_bits: u8,
}

/// A text that names no range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected addresses such as 10.0.0.0/8 or ::1, with commas between them")]
pub struct NotProxies;

impl Proxies {
    /// Tells whether an address is one of them.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|range| range.has(address))
    }

    /// Returns the client's address, for a request that comes from `peer`.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if self.0.is_empty() || !self.has(peer) {
            return peer;
        }
        let values = headers.get_all(FORWARDED_FOR).iter().rev();
        let hops = values.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        let mut client = peer;
        for hop in hops.take(MAX_HOPS) {
            // What is no address is nobody; the proxy that wrote it is the last that is known.
            let Ok(address) = hop.trim().parse::<IpAddr>() else {
                break;
            };
            client = address.to_canonical();
            if !self.has(client) {
                break;
            }
        }
        client
    }
}

impl FromStr for Proxies {
    type Err = NotProxies;

    fn from_str(text: &str) -> Result<Self, NotProxies> {
        let parts = text.split(',').map(str::trim);
        let ranges = parts.filter(|part| !part.is_empty()).map(str::parse);
        ranges.collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}/{}", range.address, range.n_bits)?;
        }
        Ok(())
    }
}

impl Range {
    fn has(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let differs = ours.to_bits() ^ theirs.to_bits();
                differs.leading_zeros() >= u32::from(self.n_bits)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let differs = ours.to_bits() ^ theirs.to_bits();
                differs.leading_zeros() >= u32::from(self.n_bits)
            }
            _ => false,
        }
    }
}

impl FromStr for Range {
    type Err = NotProxies;

    fn from_str(text: &str) -> Result<Self, NotProxies> {
        let (address, n_bits) = match text.split_once('/') {
            Some((address, n_bits)) => {
                (address, Some(n_bits.parse::<u8>().map_err(|_| NotProxies)?))
            }
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotProxies)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let n_bits = n_bits.unwrap_or(most);
        if n_bits > most {
            return Err(NotProxies);
        }
        Ok(Self { address, n_bits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(proxies: &str, peer: &str, forwarded: &[&str]) -> String {
        let proxies: Proxies = proxies.parse().unwrap();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_a_listed_proxy_is_believed_and_only_about_the_last_that_is_none() {
        let ours = "10.0.0.0/8, ::1";
        for (peer, forwarded, found) in [
            ("192.0.2.1", &["198.51.100.7"][..], "192.0.2.1"),
            ("10.1.1.1", &[], "10.1.1.1"),
            ("10.1.1.1", &["198.51.100.7"], "198.51.100.7"),
            ("::1", &["2001:db8::7"], "2001:db8::7"),
            ("::ffff:10.1.1.1", &["198.51.100.7"], "198.51.100.7"),
            // What the client wrote itself stands first.
            (
                "10.1.1.1",
                &["1.2.3.4, 198.51.100.7, 10.9.9.9"],
                "198.51.100.7",
            ),
            ("10.1.1.1", &["1.2.3.4", "198.51.100.7"], "198.51.100.7"),
            ("10.1.1.1", &["198.51.100.7, nonsense"], "10.1.1.1"),
            ("10.1.1.1", &["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
        ] {
            assert_eq!(client(ours, peer, forwarded), found, "{peer} {forwarded:?}");
        }
        assert_eq!(client("", "10.1.1.1", &["198.51.100.7"]), "10.1.1.1");
    }

    #[test]
    fn what_is_read_is_shown_and_what_is_none_is_refused() {
        let proxies: Proxies = "10.0.0.0/8,192.0.2.1, 2001:db8::/32".parse().unwrap();
        assert_eq!(proxies.to_string(), "10.0.0.0/8,192.0.2.1/32,2001:db8::/32");
        assert_eq!(proxies.to_string().parse(), Ok(proxies));
        assert_eq!("".parse(), Ok(Proxies::default()));
        for text in [
            "10.0.0.0/33",
            "proxy.example",
            "10.0.0.0/",
            "10.0.0/8",
            "::/129",
            "1.2.3.4/-1",
        ] {
            assert_eq!(text.parse::<Proxies>(), Err(NotProxies), "{text}");
        }
        let all: Proxies = "0.0.0.0/0".parse().unwrap();
        assert!(all.has([1, 2, 3, 4].into()) && !all.has("::1".parse().unwrap()));
    }
}
