//! The program `events`.

use std::process::ExitCode;

fn main() -> ExitCode {
    events_server::run(std::env::args_os(), std::env::vars_os())
}
