//! The least that a server can do: one thread, epoll, no HTTP library, one write for each event and connection.
//!
//! It parses what load generators send and nothing else, keeps nothing, and resumes nobody. What it needs for a
//! delivery is what the system needs.

mod connection;
mod request;

use std::{collections::HashMap, io};

use mio::{Events, Interest, Poll, Token, net::TcpListener};
use slab::Slab;

use crate::{
    Outcome, announce,
    options::Options,
    order::{Order, write_delta, write_event},
};
use connection::Connection;
use request::Request;

/// Events of one look at the sockets.
const READY: usize = 1_024;

const LISTENER: Token = Token(usize::MAX);

const STREAM: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\
                        Connection: close\r\n\r\n:\n\n";

struct Floor {
    poll: Poll,
    listener: TcpListener,
    connections: Slab<Connection>,
    /// The streams of each user.
    streams: HashMap<String, Vec<usize>>,
    n_streams: usize,
    joins_events: bool,
    /// Connections that a write has found broken.
    broken: Vec<usize>,
}

pub(crate) fn serve(options: &Options) -> Outcome<()> {
    let mut floor = Floor {
        poll: Poll::new()?,
        listener: TcpListener::bind(options.listen)?,
        connections: Slab::new(),
        streams: HashMap::new(),
        n_streams: 0,
        joins_events: options.joins_events,
        broken: Vec::new(),
    };
    let registry = floor.poll.registry();
    registry.register(&mut floor.listener, LISTENER, Interest::READABLE)?;
    announce(floor.listener.local_addr()?);
    let mut events = Events::with_capacity(READY);
    loop {
        match floor.poll.poll(&mut events, None) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &events {
            match event.token() {
                LISTENER => floor.accept(),
                Token(index) => floor.turn(index),
            }
        }
    }
}

impl Floor {
    fn accept(&mut self) {
        while let Ok((mut socket, _address)) = self.listener.accept() {
            let entry = self.connections.vacant_entry();
            let registered = self.poll.registry().register(
                &mut socket,
                Token(entry.key()),
                Interest::READABLE | Interest::WRITABLE,
            );
            if registered.is_ok() && socket.set_nodelay(true).is_ok() {
                entry.insert(Connection::new(socket));
            }
        }
    }

    /// Reads and writes what a socket has and takes.
    fn turn(&mut self, index: usize) {
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        let is_open = connection.write_rest() && connection.read();
        if !is_open {
            self.close(index);
            return;
        }
        loop {
            let connection = &mut self.connections[index];
            match Request::take(connection.input()) {
                Ok(None) => break,
                Ok(Some(request)) => self.answer(index, &request),
                Err(()) => return self.close(index),
            }
        }
        while let Some(broken) = self.broken.pop() {
            self.close(broken);
        }
    }

    fn close(&mut self, index: usize) {
        let Some(connection) = self.connections.try_remove(index) else {
            return;
        };
        let Some(user) = connection.user() else {
            return;
        };
        self.n_streams -= 1;
        if let Some(streams) = self.streams.get_mut(user) {
            streams.retain(|stream| *stream != index);
            if streams.is_empty() {
                self.streams.remove(user);
            }
        }
    }

    fn answer(&mut self, index: usize, request: &Request) {
        if let Some(user) = request.stream_user() {
            self.n_streams += 1;
            self.streams.entry(user.to_owned()).or_default().push(index);
            let connection = &mut self.connections[index];
            connection.watch(user);
            if !connection.write(STREAM) {
                self.broken.push(index);
            }
            return;
        }
        let done = match request.path() {
            "/count" => Ok(self.n_streams.to_string()),
            "/gen" => self.generate(request.query()).map(|()| String::new()),
            path => match path.strip_prefix("/publish/agui/") {
                Some(user) => {
                    self.publish(user, request);
                    Ok(String::new())
                }
                None => Err("nothing is served at this path".to_owned()),
            },
        };
        let (status, text) = match done {
            Ok(text) => ("200 OK", text),
            Err(text) => ("400 Bad Request", text),
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        if !self.connections[index].write(answer.as_bytes()) {
            self.broken.push(index);
        }
    }

    fn publish(&mut self, user: &str, request: &Request) {
        let mut frames = Frames::default();
        if request.is_many() {
            for line in request.body().split(|byte| *byte == b'\n') {
                if !line.is_empty() {
                    frames.add(|out| out.extend_from_slice(line));
                }
            }
        } else {
            frames.add(|out| out.extend_from_slice(request.body()));
        }
        self.send(user, &frames);
    }

    fn generate(&mut self, query: &str) -> Result<(), String> {
        let order = Order::parse(query)?;
        let mut delta = String::new();
        let mut frames = Frames::default();
        for user in order.users() {
            frames.clear();
            let user = format!("{}{user}", order.prefix);
            for number in order.numbers() {
                write_delta(number, order.size, &mut delta);
                frames.add(|out| write_event(&delta, out));
            }
            self.send(&user, &frames);
        }
        Ok(())
    }

    /// Writes each frame to each stream of the user, or all frames at once.
    fn send(&mut self, user: &str, frames: &Frames) {
        let Some(streams) = self.streams.get(user) else {
            return;
        };
        let mut begin = 0;
        for end in &frames.ends {
            let is_last = *end == frames.bytes.len();
            if self.joins_events && !is_last {
                continue;
            }
            for index in streams {
                if !self.connections[*index].write(&frames.bytes[begin..*end]) {
                    self.broken.push(*index);
                }
            }
            begin = *end;
        }
    }
}

/// Events as they go over the wire.
#[derive(Default)]
struct Frames {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Frames {
    fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.extend_from_slice(b"data: ");
        write(&mut self.bytes);
        self.bytes.extend_from_slice(b"\n\n");
        self.ends.push(self.bytes.len());
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}
