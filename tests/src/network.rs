//! Two machines in one: network namespaces with a cable between them, in which a route can be lost.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::runtime::{Builder, Runtime};

/// Two namespaces with a cable between them; dropping it removes both, whoever is still in them.
///
/// The server's side has two addresses, so that a client can lose one and keep the other.
#[derive(Debug)]
pub struct Network {
    name: String,
}

impl Network {
    /// The server's addresses.
    pub const SERVER: [IpAddr; 2] = [
        IpAddr::V4(Ipv4Addr::new(10, 231, 77, 1)),
        IpAddr::V4(Ipv4Addr::new(10, 231, 77, 2)),
    ];

    /// Makes it; none where this user may not, or there is no `ip`.
    #[must_use]
    pub fn new() -> Option<Self> {
        let network = Self {
            name: format!("ev{:08x}", fastrand::u32(..)),
        };
        network.build().ok().map(|()| network)
    }

    fn build(&self) -> io::Result<()> {
        let (server, client) = (&*self.server(), &*self.client());
        let cable = &*format!("{}v", self.name);
        for namespace in [server, client] {
            ip(&["netns", "add", namespace])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        }
        let peer = ["peer", "name", cable, "netns", client];
        let add = ["-n", server, "link", "add", cable, "type", "veth"];
        ip(&[&add[..], &peer[..]].concat())?;
        for address in Self::SERVER {
            let address = &*format!("{address}/24");
            ip(&["-n", server, "address", "add", address, "dev", cable])?;
        }
        ip(&[
            "-n",
            client,
            "address",
            "add",
            "10.231.77.9/24",
            "dev",
            cable,
        ])?;
        for namespace in [server, client] {
            ip(&["-n", namespace, "link", "set", cable, "up"])?;
        }
        Ok(())
    }

    fn server(&self) -> String {
        format!("{}s", self.name)
    }

    fn client(&self) -> String {
        format!("{}c", self.name)
    }

    /// Does some work on the server's side, in a thread of its own.
    pub fn at_server<T, F>(&self, work: F) -> JoinHandle<io::Result<T>>
    where
        T: Send + 'static,
        F: FnOnce(&Runtime) -> io::Result<T> + Send + 'static,
    {
        within(self.server(), work)
    }

    /// Does some work on the client's side, in a thread of its own.
    pub fn at_client<T, F>(&self, work: F) -> JoinHandle<io::Result<T>>
    where
        T: Send + 'static,
        F: FnOnce(&Runtime) -> io::Result<T> + Send + 'static,
    {
        within(self.client(), work)
    }

    /// Loses everything that the client sends to an address from now on, without a word to anybody.
    ///
    /// # Errors
    ///
    /// When there is no such route to be made.
    pub fn lose_way_to(&self, address: IpAddr) -> io::Result<()> {
        let address = &*format!("{address}/32");
        ip(&["-n", &self.client(), "route", "add", "blackhole", address])
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in [self.server(), self.client()] {
            // The cable goes with them. Nobody is left to tell if that fails.
            drop(ip(&["netns", "delete", &namespace]));
        }
    }
}

fn ip(arguments: &[&str]) -> io::Result<()> {
    let output = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("ip {arguments:?}: {text}")))
}

/// Starts a thread whose sockets, and whose processes' sockets, are in a namespace.
fn within<T, F>(namespace: String, work: F) -> JoinHandle<io::Result<T>>
where
    T: Send + 'static,
    F: FnOnce(&Runtime) -> io::Result<T> + Send + 'static,
{
    std::thread::spawn(move || {
        let link = File::open(format!("/run/netns/{namespace}"))?;
        move_into_link_name_space(link.as_fd(), Some(LinkNameSpaceType::Network))?;
        // One thread: those of a larger runtime might be made elsewhere.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        work(&runtime)
    })
}
