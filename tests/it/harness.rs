//! The parts of the harness that need something from outside, tried alone.

mod browser;
mod official_client;
mod server_process;
