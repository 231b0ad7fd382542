//! What is measured: the cells of the table.

use super::server::Server;

/// Which figure of a load a cell is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    /// Events that readers have seen for a second of the server's processor time.
    PerCpuSecond,
    /// Microseconds from due to seen, the median.
    Latency,
    /// Resident bytes for a connection.
    Memory,
}

impl Figure {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::PerCpuSecond => "delivered for a second of the server's processor",
            Self::Latency => "p50 latency, µs",
            Self::Memory => "bytes a connection",
        }
    }
}

/// One load, and the servers it is put on.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) figure: Figure,
    /// The first is what the others are compared with; it is never one that may be missing.
    pub(super) servers: &'static [Server],
    /// Arguments of `events bench`, without the number of users and of events.
    pub(super) load: &'static str,
    pub(super) n_users: u32,
    pub(super) n_events: u32,
    /// Whether the server has to do with one processor.
    pub(super) is_pinned: bool,
}

impl Cell {
    /// A quick run has at least so many events or users, where it has more.
    const LEAST: u32 = 100;

    /// Writes the arguments of `events bench`.
    pub(super) fn arguments(&self, is_quick: bool) -> Vec<String> {
        let less = |n: u32| {
            if is_quick {
                (n / 10).max(n.min(Self::LEAST))
            } else {
                n
            }
        };
        let n_users = if self.figure == Figure::Memory {
            less(self.n_users)
        } else {
            self.n_users
        };
        let numbers = format!("--users {n_users} --events {}", less(self.n_events));
        let words = numbers.split(' ').chain(self.load.split(' '));
        words.map(str::to_owned).collect()
    }
}

const OWN: &[Server] = &[
    Server::Floor,
    Server::Plain,
    Server::Broadcaster,
    Server::Hub,
    Server::HubBody,
];
const PEERS: &[Server] = &[
    Server::Floor,
    Server::Plain,
    Server::Broadcaster,
    Server::Hub,
    Server::Nchan,
];

pub(super) const CELLS: &[Cell] = &[
    Cell {
        name: "uncoalesced",
        title: "One user, 1000 connections, one event at a time",
        figure: Figure::PerCpuSecond,
        servers: OWN,
        load: "--connections-per-user 1000 --window 1 --batch 1 --payload 200 --generator --publishers 1",
        n_users: 1,
        n_events: 150,
        is_pinned: true,
    },
    Cell {
        name: "saturated-1x1000",
        title: "One user, 1000 connections, saturated (at most 16 events behind)",
        figure: Figure::PerCpuSecond,
        servers: OWN,
        load: "--connections-per-user 1000 --window 16 --batch 4 --payload 200 --generator --publishers 1",
        n_users: 1,
        n_events: 400,
        is_pinned: true,
    },
    Cell {
        name: "saturated-1000x10",
        title: "1000 users, 10 connections each, saturated (at most 8 events behind)",
        figure: Figure::PerCpuSecond,
        servers: OWN,
        load: "--connections-per-user 10 --window 8 --batch 4 --group 100 --payload 200 --generator",
        n_users: 1_000,
        n_events: 40_000,
        is_pinned: true,
    },
    Cell {
        name: "saturated-1000x1",
        title: "1000 users, 1 connection each, saturated (at most 16 events behind)",
        figure: Figure::PerCpuSecond,
        servers: OWN,
        load: "--connections-per-user 1 --window 16 --batch 4 --group 100 --payload 200 --generator",
        n_users: 1_000,
        n_events: 200_000,
        is_pinned: true,
    },
    Cell {
        name: "post-1x1000",
        title: "One request an event: one user, 1000 connections",
        figure: Figure::PerCpuSecond,
        servers: PEERS,
        load: "--connections-per-user 1000 --window 16 --batch 1 --publishers 1",
        n_users: 1,
        n_events: 250,
        is_pinned: true,
    },
    Cell {
        name: "post-1000x10",
        title: "One request an event: 1000 users, 10 connections each",
        figure: Figure::PerCpuSecond,
        servers: PEERS,
        load: "--connections-per-user 10 --window 16 --batch 1 --publishers 16",
        n_users: 1_000,
        n_events: 20_000,
        is_pinned: true,
    },
    Cell {
        name: "post-1000x1",
        title: "One request an event: 1000 users, 1 connection each",
        figure: Figure::PerCpuSecond,
        servers: PEERS,
        load: "--connections-per-user 1 --window 16 --batch 1 --publishers 16",
        n_users: 1_000,
        n_events: 50_000,
        is_pinned: true,
    },
    Cell {
        name: "post-64",
        title: "64 events a request: 1000 users, 1 connection each",
        figure: Figure::PerCpuSecond,
        servers: &[
            Server::Floor,
            Server::FloorBatch,
            Server::Plain,
            Server::Hub,
        ],
        load: "--connections-per-user 1 --window 128 --batch 64 --publishers 16",
        n_users: 1_000,
        n_events: 320_000,
        is_pinned: true,
    },
    Cell {
        name: "rate",
        title: "2000 events a second: 1000 users, 1 connection each",
        figure: Figure::Latency,
        servers: PEERS,
        load: "--connections-per-user 1 --rate 2000/s --batch 1 --publishers 16",
        n_users: 1_000,
        n_events: 6_000,
        is_pinned: true,
    },
    Cell {
        name: "idle",
        title: "10,000 users, 1 idle connection each",
        figure: Figure::Memory,
        servers: &[
            Server::Floor,
            Server::Plain,
            Server::Hub,
            Server::HubBody,
            Server::HubAxum,
            Server::Nchan,
        ],
        load: "--connections-per-user 1 --batch 1",
        n_users: 10_000,
        n_events: 1,
        is_pinned: true,
    },
    Cell {
        name: "workers",
        title: "Two threads against one, on all processors: 1000 users, 10 connections each",
        figure: Figure::PerCpuSecond,
        servers: &[Server::Hub, Server::HubTwo, Server::Plain, Server::PlainTwo],
        load: "--connections-per-user 10 --window 8 --batch 4 --group 100 --payload 200 --generator",
        n_users: 1_000,
        n_events: 40_000,
        is_pinned: false,
    },
];
