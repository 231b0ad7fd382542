//! A hub in this process, and writers that are read line by line.

use std::{
    io::{self, ErrorKind, Write},
    net::SocketAddr,
    time::Duration,
};

use events_client::Client;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::super::Console;
use crate::{Hub, Mode, Settings, stop_channel};

/// No test takes longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Running {
    pub(super) url: String,
    /// Dropping it ends the hub.
    _tasks: JoinSet<()>,
}

pub(super) async fn hub() -> Running {
    let settings = Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..Settings::default()
    };
    let mode = Mode::Dev { plays_demo: false };
    let hub = Hub::bind(mode, &settings).await.unwrap();
    let (_stop, stop_requests) = stop_channel();
    let (ready, is_ready) = oneshot::channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let running = hub.run(stop_requests, |address| ready.send(address).unwrap());
        running.await.unwrap();
    });
    Running {
        url: format!("http://{}", is_ready.await.unwrap()),
        _tasks: tasks,
    }
}

impl Running {
    pub(super) fn client(&self) -> Client {
        Client::new(&self.url).unwrap()
    }
}

/// A writer whose lines are waited for.
pub(super) struct Wire {
    sender: mpsc::UnboundedSender<String>,
    unfinished: Vec<u8>,
}

pub(super) fn wire() -> (Wire, mpsc::UnboundedReceiver<String>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let unfinished = Vec::new();
    (Wire { sender, unfinished }, receiver)
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            if *byte == b'\n' {
                let line = String::from_utf8(std::mem::take(&mut self.unfinished)).unwrap();
                self.sender
                    .send(line)
                    .map_err(|_unread| ErrorKind::BrokenPipe)?;
            } else {
                self.unfinished.push(*byte);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) async fn take(
    lines: &mut mpsc::UnboundedReceiver<String>,
    n_lines: usize,
) -> Vec<String> {
    let mut taken = Vec::new();
    for _ in 0..n_lines {
        taken.push(lines.recv().await.expect("a line"));
    }
    taken
}

pub(super) fn console<'a>(out: &'a mut dyn Write, notes: &'a mut dyn Write) -> Console<'a> {
    Console {
        out,
        notes,
        is_terminal: false,
        is_colourful: false,
    }
}
