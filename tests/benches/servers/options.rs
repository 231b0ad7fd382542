//! The command line.

use std::net::SocketAddr;

pub(crate) const USAGE: &str = "\
usage: servers hub|broadcaster|plain|floor [options]
  --listen ADDR       127.0.0.1:9100; port 0 takes a free one
  --workers N         threads that serve (1); the floor has one
  --batch             floor: the events of one request in one write
                      hub: the events that /gen makes for a user in one publish
  --serve ours|axum   hub, broadcaster: the serving loop of events-axum, or `axum::serve`
  --take-over BOOL    the same with `--serve ours`: whether streams leave HTTP's machinery behind (true)";

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Floor,
    Plain,
    Broadcaster,
    Hub,
}

/// How it is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) kind: Kind,
    pub(crate) listen: SocketAddr,
    pub(crate) workers: usize,
    pub(crate) joins_events: bool,
    pub(crate) is_served_by_axum: bool,
    pub(crate) takes_over: bool,
}

impl Options {
    /// Reads the words behind the program's name; the error is one line for the user.
    pub(crate) fn parse(words: &[String]) -> Result<Self, String> {
        let mut words = words.iter().map(String::as_str);
        let kind = match words.next() {
            Some("floor") => Kind::Floor,
            Some("plain") => Kind::Plain,
            Some("broadcaster") => Kind::Broadcaster,
            Some("hub") => Kind::Hub,
            other => {
                let other = other.unwrap_or_default();
                return Err(format!(
                    "unknown server '{other}': hub, broadcaster, plain or floor"
                ));
            }
        };
        let mut options = Self {
            kind,
            listen: SocketAddr::from(([127, 0, 0, 1], 9100)),
            workers: 1,
            joins_events: false,
            is_served_by_axum: false,
            takes_over: true,
        };
        while let Some(word) = words.next() {
            if word == "--batch" {
                options.joins_events = true;
                continue;
            }
            let value = words.next().ok_or_else(|| match word {
                "--listen" | "--workers" | "--serve" | "--take-over" => {
                    format!("{word} needs a value")
                }
                _ => format!("unknown option '{word}'"),
            })?;
            let bad = || format!("{word}: '{value}' is not understood");
            match word {
                "--listen" => options.listen = value.parse().map_err(|_| bad())?,
                "--workers" => options.workers = value.parse().map_err(|_| bad())?,
                "--take-over" => options.takes_over = value.parse().map_err(|_| bad())?,
                "--serve" => {
                    options.is_served_by_axum = match value {
                        "axum" => true,
                        "ours" => false,
                        _ => return Err(bad()),
                    }
                }
                _ => return Err(format!("unknown option '{word}'")),
            }
        }
        if options.workers == 0 || (kind == Kind::Floor && options.workers != 1) {
            return Err(format!(
                "--workers {}: at least one, and the floor has one",
                options.workers
            ));
        }
        if !options.listen.ip().is_loopback() {
            return Err(format!(
                "--listen {}: there are no tokens, so it must be loopback",
                options.listen
            ));
        }
        Ok(options)
    }
}
