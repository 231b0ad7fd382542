//! `cargo xtask bench`: our hub beside other servers, under the same load, in rounds.
//!
//! Each round runs every server of a cell once, one after the other, so that what else the machine does hits all of
//! them; figures are medians over the rounds, and ratios are taken within a round. Where there are two processors, the
//! server has the first and the load generator the second.

mod cell;
mod figures;
mod load;
mod nchan;
mod plot;
mod server;
mod table;

use std::fs;
use std::path::Path;

use crate::build;
use crate::command::find;
use cell::{CELLS, Cell};
use figures::Results;
use server::{Pins, Programs, Server};

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BenchRequest {
    pub(crate) n_rounds: usize,
    /// Names of cells; all where there is none.
    pub(crate) only: Vec<String>,
    /// A tenth of the load, to see that everything works.
    pub(crate) is_quick: bool,
}

impl BenchRequest {
    const ROUNDS: usize = 5;
    const QUICK_ROUNDS: usize = 2;
    const MAX_ROUNDS: usize = 100;

    /// Reads the words after `bench`; the error is one line for the user.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let (mut n_rounds, mut only, mut is_quick) = (None, Vec::new(), false);
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let (option, value) = match word.split_once('=') {
                Some((option, value)) => (option, Some(value)),
                None => (word, None),
            };
            match option {
                "--quick" if value.is_none() => is_quick = true,
                "--rounds" | "--only" => {
                    let value = value.or_else(|| words.next());
                    let value = value.ok_or_else(|| format!("{option} needs a value"))?;
                    if option == "--only" {
                        only.push(known(value)?);
                    } else {
                        n_rounds = Some(rounds(value)?);
                    }
                }
                _ => return Err(format!("unknown option '{word}'")),
            }
        }
        let usual = if is_quick {
            Self::QUICK_ROUNDS
        } else {
            Self::ROUNDS
        };
        Ok(Self {
            n_rounds: n_rounds.unwrap_or(usual),
            only,
            is_quick,
        })
    }

    fn cells(&self) -> impl Iterator<Item = &'static Cell> {
        let is_meant =
            |cell: &&Cell| self.only.is_empty() || self.only.iter().any(|name| name == cell.name);
        CELLS.iter().filter(is_meant)
    }
}

fn known(name: &str) -> Result<String, String> {
    if CELLS.iter().any(|cell| cell.name == name) {
        return Ok(name.to_owned());
    }
    let names: Vec<&str> = CELLS.iter().map(|cell| cell.name).collect();
    Err(format!("unknown cell '{name}': {}", names.join(", ")))
}

fn rounds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n_rounds @ 1..=BenchRequest::MAX_ROUNDS) => Ok(n_rounds),
        _ => Err(format!(
            "--rounds {text}: 1 to {}",
            BenchRequest::MAX_ROUNDS
        )),
    }
}

/// The load generator and the servers, with one set of features, so that nothing is built twice.
const BUILD: [&str; 10] = [
    "build",
    "--release",
    "-p",
    "events-server",
    "-p",
    "events-tests",
    "--bin",
    "events",
    "--bench",
    "servers",
];

/// Builds, measures, and writes `target/bench/table.md` and `target/bench/plot.svg`.
///
/// # Errors
///
/// One line: what could not be built, which server did not start, or which load could not be put on it.
pub(crate) fn run(root: &Path, request: &BenchRequest) -> Result<(), String> {
    let folder = root.join("target/bench");
    fs::create_dir_all(&folder).map_err(|error| cannot("make", &folder, &error))?;
    let [events, servers] = build::executables(root, &BUILD, ["events", "servers"])?;
    let programs = Programs {
        events,
        servers,
        nchan: nchan::module(),
        folder: folder.clone(),
    };
    let mut notes = Vec::new();
    let n_processors = std::thread::available_parallelism().map_or(1, usize::from);
    let pins = if n_processors >= 2 && find("taskset").is_some() {
        notes.push("Server and load generator have a processor each.".to_owned());
        Some(Pins)
    } else {
        notes.push(
            "Server and load generator share processors, since there is one, or no taskset: read ratios only."
                .to_owned(),
        );
        None
    };
    if programs.nchan.is_none() {
        notes.push("nchan is not installed (nginx and its module), and left out.".to_owned());
    }
    let mut all = Vec::new();
    for cell in request.cells() {
        let mut results = Results::default();
        for round in 0..request.n_rounds {
            for server in cell.servers {
                if *server == Server::Nchan && programs.nchan.is_none() {
                    continue;
                }
                let pins = pins.filter(|_| cell.is_pinned);
                let sample = measure(&programs, cell, *server, pins, request.is_quick)?;
                println!(
                    "{} {}/{} {}: {sample}",
                    cell.name,
                    round + 1,
                    request.n_rounds,
                    server.name()
                );
                results.add(*server, sample);
            }
        }
        all.push((cell, results));
        // After each cell, so that a run that is ended early leaves what it has found.
        let text = table::text(&all, request, &notes);
        write(&folder.join("table.md"), &text)?;
        write(&folder.join("plot.svg"), &plot::svg(&all))?;
    }
    println!(
        "written: {} and plot.svg",
        folder.join("table.md").display()
    );
    Ok(())
}

fn measure(
    programs: &Programs,
    cell: &Cell,
    server: Server,
    pins: Option<Pins>,
    is_quick: bool,
) -> Result<figures::Sample, String> {
    let running = server::start(programs, server, pins)?;
    load::run(programs, cell, &running, pins, is_quick)
        .map_err(|error| format!("{}, {}: {error}", cell.name, server.name()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| cannot("write", path, &error))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}

#[cfg(test)]
mod tests;
