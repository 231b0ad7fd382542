//! How many connections there may be, and what each may take.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Bounds of connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Connections over all clients. There are never more than the limit of open files allows. Further clients wait in
    /// the queue of the system.
    pub connections: usize,
    /// Connections of one address; a further one is closed. All clients behind one proxy have one address.
    pub per_address: usize,
    /// The largest head of a request, in bytes. It is also what is buffered of an answer before its source waits.
    pub head_bytes: usize,
    /// How long a client may take to send the head of a request, and to send anything at all.
    pub head_time: Duration,
    /// How long sent bytes may stay unacknowledged before the system gives the client up. Only on Linux.
    pub unacknowledged: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            per_address: 10_000,
            head_bytes: 32 << 10,
            head_time: Duration::from_secs(10),
            unacknowledged: Duration::from_secs(25),
        }
    }
}

impl ConnectionLimits {
    /// Requests of one HTTP/2 connection at the same time.
    pub(crate) const HTTP2_STREAMS: u32 = 16;
    /// The largest head of a request over HTTP/2, in bytes, as it counts there.
    pub(crate) const HTTP2_HEAD_BYTES: u32 = 16 << 10;
    /// Streams of HTTP/2 that a client has reset and we have not looked at yet; one more ends the connection
    /// (CVE-2023-44487).
    pub(crate) const HTTP2_RESETS: usize = 20;
    /// Streams of one HTTP/2 connection that we had to reset, such as for a malformed head; one more ends it.
    pub(crate) const HTTP2_ERRORS: usize = 64;
    /// What an HTTP/2 client may send before it is read, in bytes.
    pub(crate) const HTTP2_WINDOW: u32 = 64 << 10;

    /// What a connection takes beside its buffers, in bytes: tasks, timers, tables. An idle stream was measured at 12 KiB with hyper, and at 1 KiB when it has its socket.
    const BASE: usize = 48 << 10;

    /// Returns how many connections there can be at the same time in this process.
    #[must_use]
    pub fn most(&self) -> usize {
        self.connections.min(max_connections())
    }

    /// Computes the most bytes that a connection takes by itself, without what is written on it.
    #[must_use]
    pub const fn connection_bytes(&self) -> usize {
        // Read, and waiting to be written.
        let http1 = 2 * self.head_bytes;
        let heads = Self::HTTP2_STREAMS as usize * Self::HTTP2_HEAD_BYTES as usize;
        let http2 = heads + 2 * Self::HTTP2_WINDOW as usize;
        Self::BASE + if http1 > http2 { http1 } else { http2 }
    }
}

/// Counts the connections of each address.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A place of an address, free again when it is dropped.
#[derive(Debug)]
pub(super) struct AddressPlace {
    addresses: Addresses,
    address: IpAddr,
}

impl Addresses {
    /// Takes a place, if the address has fewer than `most`.
    pub(super) fn take(&self, address: IpAddr, most: usize) -> Option<AddressPlace> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let n_connections = counts.entry(address).or_default();
        if *n_connections >= most {
            return None;
        }
        *n_connections += 1;
        Some(AddressPlace {
            addresses: self.clone(),
            address,
        })
    }
}

impl AddressPlace {
    /// Returns the address.
    pub(super) const fn address(&self) -> IpAddr {
        self.address
    }
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        let counts = &self.addresses.0;
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(n_connections) = counts.get_mut(&self.address) {
            *n_connections -= 1;
            if *n_connections == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// What is left for files, logs, engines and providers, in percent, and at most.
const RESERVE_PERCENT: u64 = 20;
const MOST_RESERVED: u64 = 800;

/// A process without a limit of its own stops here.
const UNLIMITED: u64 = 1_000_000;

/// Returns how many connections fit into the limit of open files (`ulimit -n`).
fn max_connections() -> usize {
    of_open_files(open_files())
}

#[cfg(unix)]
fn open_files() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
const fn open_files() -> Option<u64> {
    None
}

fn of_open_files(limit: Option<u64>) -> usize {
    let limit = limit.unwrap_or(UNLIMITED).min(UNLIMITED);
    let reserve = (limit * RESERVE_PERCENT / 100).min(MOST_RESERVED);
    usize::try_from(limit - reserve)
        .unwrap_or(usize::MAX)
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_places_and_gets_them_back() {
        let addresses = Addresses::default();
        let take = |last| addresses.take(IpAddr::from([127, 0, 0, last]), 2);
        let (first, second) = (take(1), take(1));
        assert!(first.is_some() && second.is_some() && take(1).is_none());
        assert!(take(2).is_some());
        drop(first);
        assert!(take(1).is_some());
        drop(second);
        assert!(addresses.0.lock().unwrap().is_empty());
    }

    #[test]
    fn a_fifth_of_the_open_files_is_kept_but_no_more_than_is_of_use() {
        assert_eq!(of_open_files(Some(1_024)), 820);
        assert_eq!(of_open_files(Some(256)), 205);
        assert_eq!(of_open_files(Some(0)), 1);
        assert_eq!(of_open_files(Some(20_000)), 19_200);
        assert_eq!(of_open_files(None), 999_200);
        assert_eq!(of_open_files(Some(u64::MAX)), 999_200);
    }
}
