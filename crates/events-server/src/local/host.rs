//! What names this machine.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether `HOST` or `HOST:PORT` is this machine.
pub(super) fn is_loopback_authority(authority: &[u8]) -> bool {
    let Ok(authority) = std::str::from_utf8(authority) else {
        return false;
    };
    // The colons of an IPv6 address are inside its brackets.
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let Some((address, after)) = rest.split_once(']') else {
                return false;
            };
            let is_loopback = address.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback());
            return is_loopback
                && (after.is_empty() || after.strip_prefix(':').is_some_and(is_port));
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let is_loopback = host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback());
    is_loopback && port.is_none_or(is_port)
}

/// Whether `http://HOST:PORT` or `https://HOST:PORT` is a page of this machine.
pub(super) fn is_loopback_origin(origin: &[u8]) -> bool {
    let authority = origin
        .strip_prefix(b"http://")
        .or_else(|| origin.strip_prefix(b"https://"));
    authority.is_some_and(is_loopback_authority)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}
