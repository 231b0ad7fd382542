//! One socket.

use std::io::{ErrorKind, Read as _, Write as _};

use mio::net::TcpStream;

/// What may wait for a client that does not read, in bytes; then it is closed.
const MAX_WAITING: usize = 4 << 20;

/// The largest request, in bytes.
const MAX_REQUEST: usize = 8 << 20;

pub(crate) struct Connection {
    socket: TcpStream,
    input: Vec<u8>,
    /// What the socket did not take.
    rest: Vec<u8>,
    user: Option<Box<str>>,
}

impl Connection {
    pub(crate) const fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            input: Vec::new(),
            rest: Vec::new(),
            user: None,
        }
    }

    /// What has been read and not been taken.
    pub(crate) const fn input(&mut self) -> &mut Vec<u8> {
        &mut self.input
    }

    /// Becomes a stream of the user.
    pub(crate) fn watch(&mut self, user: &str) {
        self.user = Some(user.into());
        self.input = Vec::new();
    }

    pub(crate) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Reads all there is; false if the connection is over.
    pub(crate) fn read(&mut self) -> bool {
        let mut buffer = [0; 64 << 10];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return false,
                // Who reads a stream has nothing more to say.
                Ok(_) if self.user.is_some() => {}
                Ok(n_read) => self.input.extend_from_slice(&buffer[..n_read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return self.input.len() <= MAX_REQUEST;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    /// Writes, and keeps what the socket does not take; false if the connection is over.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        let n_written = if self.rest.is_empty() {
            match self.socket.write(bytes) {
                Ok(n_written) => n_written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(_) => return false,
            }
        } else {
            0
        };
        self.rest.extend_from_slice(&bytes[n_written..]);
        self.rest.len() <= MAX_WAITING
    }

    /// Writes what was kept; false if the connection is over.
    pub(crate) fn write_rest(&mut self) -> bool {
        while !self.rest.is_empty() {
            match self.socket.write(&self.rest) {
                Ok(n_written) => drop(self.rest.drain(..n_written)),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        self.rest = Vec::new();
        true
    }
}
