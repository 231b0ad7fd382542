//! One proxied connection: its switches, its counters and the way it ends.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::faults::{Direction, Faults};
use super::pump::pump;

/// How long a cut connection is read to its end, so that its close is a FIN and not an RST.
const LINGER: Duration = Duration::from_secs(5);

/// What a proxy has counted since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted.
    pub n_accepted: u64,
    /// Connections that are open now.
    pub n_open: u64,
    /// Connections that the proxy ended with a FIN.
    pub n_cut: u64,
    /// Connections that ended with an RST: by a switch, refused, or because one side broke.
    pub n_reset: u64,
    /// Connections that found no server.
    pub n_unreachable: u64,
    /// Bytes forwarded from clients to servers.
    pub n_bytes_up: u64,
    /// Bytes forwarded from servers to clients.
    pub n_bytes_down: u64,
}

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Both sides are through, or one broke it.
    Peers,
    Cut,
    Reset,
    Unreachable,
}

/// What a connection's switches say.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) faults: Faults,
    /// Once half open, always half open: nobody learns of such a connection's death.
    was_half_open: bool,
    requested: Option<End>,
    pub(super) ended: Option<End>,
}

/// The switches of one connection.
#[derive(Debug, Clone)]
pub struct ConnectionHandle {
    state: watch::Sender<State>,
}

impl Counters {
    pub(super) fn count_end(&mut self, end: End) {
        self.n_open -= 1;
        match end {
            End::Peers => {}
            End::Cut => self.n_cut += 1,
            End::Reset => self.n_reset += 1,
            End::Unreachable => self.n_unreachable += 1,
        }
    }

    pub(super) fn count_bytes(&mut self, direction: Direction, n_bytes: u64) {
        match direction {
            Direction::Up => self.n_bytes_up += n_bytes,
            Direction::Down => self.n_bytes_down += n_bytes,
        }
    }
}

impl State {
    pub(super) fn new(faults: Faults) -> Self {
        let was_half_open = faults.is_half_open;
        Self {
            faults,
            was_half_open,
            requested: None,
            ended: None,
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.was_half_open
    }
}

impl ConnectionHandle {
    pub(super) fn new(state: watch::Sender<State>) -> Self {
        Self { state }
    }

    /// Replaces this connection's faults.
    pub fn set_faults(&self, faults: Faults) {
        self.state.send_modify(|state| {
            state.was_half_open |= faults.is_half_open;
            state.faults = faults;
        });
    }

    /// Ends the connection with a FIN to both sides.
    pub fn cut(&self) {
        self.state
            .send_modify(|state| state.requested = Some(End::Cut));
    }

    /// Ends the connection with an RST to both sides.
    pub fn reset(&self) {
        self.state
            .send_modify(|state| state.requested = Some(End::Reset));
    }

    /// Whether the connection is still there.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state.borrow().ended.is_none()
    }
}

/// Serves a connection to its end; the sockets that are left are for [`close`].
pub(super) async fn run(
    mut client: TcpStream,
    target: SocketAddr,
    state: &watch::Sender<State>,
    counters: &watch::Sender<Counters>,
) -> (End, Vec<TcpStream>) {
    if state.borrow().faults.is_refusing {
        return (End::Reset, vec![client]);
    }
    let Ok(mut server) = TcpStream::connect(target).await else {
        return (End::Unreachable, vec![client]);
    };
    // Slices are only seen as such when nothing puts them together again.
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = pump(
            Direction::Up,
            from_client,
            to_server,
            state.subscribe(),
            counters,
        );
        let down = pump(
            Direction::Down,
            from_server,
            to_client,
            state.subscribe(),
            counters,
        );
        tokio::select! {
            biased;
            end = requested(state.subscribe()) => end,
            end = both(up, down) => end,
        }
    };
    (end, vec![client, server])
}

/// Closes the sockets in the way that the end demands.
pub(super) async fn close(end: End, sockets: Vec<TcpStream>) {
    match end {
        End::Cut => {
            let mut closing = JoinSet::new();
            for socket in sockets {
                closing.spawn(finish(socket));
            }
            while closing.join_next().await.is_some() {}
        }
        End::Reset | End::Unreachable => sockets.into_iter().for_each(reset),
        End::Peers => {}
    }
}

/// Waits for both directions to end; a fault or an error in one ends both.
async fn both(
    up: impl Future<Output = std::io::Result<Option<End>>>,
    down: impl Future<Output = std::io::Result<Option<End>>>,
) -> End {
    let mut up = std::pin::pin!(up);
    let mut down = std::pin::pin!(down);
    let (first, is_up_left) = tokio::select! {
        first = &mut up => (first, false),
        first = &mut down => (first, true),
    };
    let last = match first {
        Ok(None) if is_up_left => up.await,
        Ok(None) => down.await,
        first => first,
    };
    match last {
        Ok(Some(end)) => end,
        // What broke one side breaks the other, in the way that sockets break.
        Err(_) => End::Reset,
        Ok(None) => End::Peers,
    }
}

async fn requested(mut state: watch::Receiver<State>) -> End {
    match state.wait_for(|state| state.requested.is_some()).await {
        Ok(state) => state.requested.unwrap_or(End::Peers),
        Err(_) => End::Peers,
    }
}

/// Closes with a FIN: what still comes in has to be read, or the kernel sends an RST instead.
async fn finish(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let drain = async {
        let mut scrap = [0; 4096];
        while stream.read(&mut scrap).await.is_ok_and(|n_read| n_read > 0) {}
    };
    drop(tokio::time::timeout(LINGER, drain).await);
}

/// Closes with an RST.
fn reset(stream: TcpStream) {
    drop(stream.set_zero_linger());
    drop(stream);
}
