//! The gateway between real sockets.

mod bounds;
mod client;
mod detach;
mod failures;
mod headers;
mod leaving;
mod passing;
mod provider;
mod publishing;
mod requests;
mod runs;
mod secrets;
mod secure;
mod stopping;
mod world;
