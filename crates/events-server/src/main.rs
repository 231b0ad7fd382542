//! The program `events`.

use std::process::ExitCode;

/// Events are made by one thread and freed by another, and each request frees a read buffer: what the system's
/// allocator is slowest at. ARCHITECTURE.md has the figures.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    events_server::run(std::env::args_os(), std::env::vars_os())
}
