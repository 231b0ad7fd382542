//! A reader of one event stream.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::body::BodyReader;
use super::{FrameSplitter, Head, RawFrame, Request, invalid};
use crate::deadline::{PATIENCE, within};

/// An open event stream.
///
/// It reads only while one of its methods is awaited. Dropping it closes the socket.
#[derive(Debug)]
pub struct RawSse {
    head: Head,
    body: BodyReader,
    splitter: FrameSplitter,
    frames: Vec<RawFrame>,
    n_bytes: usize,
    has_ended: bool,
}

impl RawSse {
    /// Opens a stream by GET.
    ///
    /// # Errors
    ///
    /// `InvalidData` when the answer is not 200 with an event stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn connect(
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<Self> {
        Self::open(address, &Request::get(path).headers(headers)).await
    }

    /// Opens a stream by any request.
    ///
    /// # Errors
    ///
    /// As [`RawSse::connect`].
    ///
    /// # Cancel safety
    ///
    /// As [`RawSse::connect`].
    pub async fn open(address: SocketAddr, request: &Request) -> io::Result<Self> {
        let (head, body) = within("the stream's head", PATIENCE, request.begin(address)).await?;
        let content_type = head.header("content-type").unwrap_or_default();
        if head.status != 200 || !content_type.starts_with("text/event-stream") {
            return Err(invalid(format!(
                "no event stream: {} '{content_type}'",
                head.status
            )));
        }
        let splitter = FrameSplitter::default();
        Ok(Self {
            head,
            body,
            splitter,
            frames: Vec::new(),
            n_bytes: 0,
            has_ended: false,
        })
    }

    /// Returns the answer's head.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Returns all frames read so far.
    #[must_use]
    pub fn frames(&self) -> &[RawFrame] {
        &self.frames
    }

    /// Returns how many bytes of the body were read so far.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// Returns the last `id` read so far: what a client sends as `Last-Event-ID`.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.frames
            .iter()
            .rev()
            .find_map(|frame| frame.id.as_deref())
    }

    /// Reads the next block, comments and bare fields included; `None` at the stream's proper end.
    ///
    /// # Errors
    ///
    /// `TimedOut` after `limit`; `UnexpectedEof` when the stream was cut (also inside a frame);
    /// `ConnectionReset`; `InvalidData` when it is not what it should be.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next_frame(&mut self, limit: Duration) -> io::Result<Option<RawFrame>> {
        within("the next frame", limit, self.read_frame()).await
    }

    /// Reads the next frame that has data, passing over comments and bare fields.
    ///
    /// # Errors
    ///
    /// As [`RawSse::next_frame`]; `UnexpectedEof` also at the stream's proper end.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost but from the result; [`RawSse::frames`] has all.
    pub async fn next_event(&mut self, limit: Duration) -> io::Result<RawFrame> {
        let mut frames = self.read_until(limit, RawFrame::is_event).await?;
        frames.pop().ok_or_else(|| invalid("no event"))
    }

    /// Reads up to and including the first frame for which `is_wanted`, and returns all of them.
    ///
    /// # Errors
    ///
    /// As [`RawSse::next_event`]. `limit` is for the whole.
    ///
    /// # Cancel safety
    ///
    /// As [`RawSse::next_event`].
    pub async fn read_until(
        &mut self,
        limit: Duration,
        mut is_wanted: impl FnMut(&RawFrame) -> bool,
    ) -> io::Result<Vec<RawFrame>> {
        within("the wanted frame", limit, async {
            let mut frames = Vec::new();
            while let Some(frame) = self.read_frame().await? {
                let is_last = is_wanted(&frame);
                frames.push(frame);
                if is_last {
                    return Ok(frames);
                }
            }
            let text = format!(
                "the stream ended, {} frames before the wanted one",
                frames.len()
            );
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, text))
        })
        .await
    }

    /// Reads to the stream's proper end and returns the frames up to it.
    ///
    /// # Errors
    ///
    /// As [`RawSse::next_frame`]. `limit` is for the whole.
    ///
    /// # Cancel safety
    ///
    /// As [`RawSse::next_event`].
    pub async fn read_to_end(&mut self, limit: Duration) -> io::Result<Vec<RawFrame>> {
        within("the stream's end", limit, async {
            let mut frames = Vec::new();
            while let Some(frame) = self.read_frame().await? {
                frames.push(frame);
            }
            Ok(frames)
        })
        .await
    }

    /// Whether no frame comes for as long as `moment`.
    ///
    /// # Errors
    ///
    /// When the stream breaks meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn is_silent(&mut self, moment: Duration) -> io::Result<bool> {
        match self.next_frame(moment).await {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(true),
            other => other.map(|_| false),
        }
    }

    /// Closes the connection with an RST.
    ///
    /// # Errors
    ///
    /// When the socket cannot be told so.
    pub fn reset(self) -> io::Result<()> {
        self.set_reset()
    }

    /// Says that the connection is to be closed with an RST when this is dropped.
    ///
    /// # Errors
    ///
    /// When the socket cannot be told so.
    pub fn set_reset(&self) -> io::Result<()> {
        self.body.stream().set_zero_linger()
    }

    async fn read_frame(&mut self) -> io::Result<Option<RawFrame>> {
        while !self.has_ended {
            if let Some(frame) = self.splitter.next_frame()? {
                self.frames.push(frame.clone());
                return Ok(Some(frame));
            }
            match self.body.next_bytes().await? {
                Some(bytes) => {
                    self.n_bytes += bytes.len();
                    self.splitter.push(&bytes)?;
                }
                None => self.has_ended = true,
            }
        }
        let rest = self.splitter.rest();
        if rest.is_empty() {
            return Ok(None);
        }
        let text = format!("ended inside '{}'", String::from_utf8_lossy(rest));
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, text))
    }
}
