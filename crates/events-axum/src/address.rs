//! Where a request comes from.

use std::net::IpAddr;

/// The address of the client, as bounds per address count it.
///
/// An extension of requests. `serve::Server` inserts it. Behind another server insert it yourself, or those bounds are
/// not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// What is counted as one address: of IPv6 the first 64 bits, since whoever has one has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl From<ClientAddress> for Network {
    fn from(ClientAddress(address): ClientAddress) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let bits = address.to_bits() >> 64 << 64;
                IpAddr::V6(bits.into())
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_is_one_network_however_many_addresses_it_has() {
        let network = |text: &str| Network::from(ClientAddress(text.parse().unwrap()));
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
