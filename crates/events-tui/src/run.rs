//! The loop: keys and frames come in, and now and then everything is drawn.

#[cfg(test)]
mod tests;

use std::{future::Future, io, pin::pin, time::Duration};

use crossterm::event::{Event, EventStream};
use events_client::{Error, Item};
use events_core::{Clock, SystemClock};
use futures_util::{Stream, StreamExt as _};
use ratatui::{Terminal, backend::Backend};
use tokio::time::{Instant, sleep_until};

use crate::{
    app::{App, Effect},
    feed::{Feed, Over},
    screen::{self, Screen},
    view,
};

/// The least time between two drawings for frames of the feed: 8 a second.
const FRAME: Duration = Duration::from_millis(125);
/// The same after a key, which somebody waits for.
const KEY_FRAME: Duration = Duration::from_millis(15);
/// How often the picture is drawn although nothing has happened: times go on.
const IDLE: Duration = Duration::from_secs(1);

/// How the screen looks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The address of the hub, as people are shown it.
    pub address: String,
    /// Whether colours may be used.
    pub is_colourful: bool,
}

impl Options {
    /// Makes the options for the hub at this address, which is shown and must have no password in it.
    #[must_use]
    pub fn new(address: impl Into<String>, is_colourful: bool) -> Self {
        Self {
            address: address.into(),
            is_colourful,
        }
    }
}

/// How a screen was left.
#[derive(Debug)]
#[non_exhaustive]
pub enum End {
    /// Somebody pressed `q`.
    Quit,
    /// The future for stopping was done.
    Stopped,
    /// The terminal is gone.
    Gone,
    /// The stream was over before somebody pressed `q`; the last picture stayed until then.
    Over(Over),
}

/// Takes the terminal that is the standard output, shows the stream of all requests until somebody quits or `stop` is
/// done, and gives the terminal back.
///
/// `stream` is a subscription to [`events_client::StreamKind::Llm`]; while it reconnects, the last picture stays.
/// Must be called within a tokio runtime with time.
///
/// # Errors
///
/// What the system says if the terminal cannot be read, written or set up.
///
/// # Cancel safety
///
/// Dropping the future gives the terminal back.
pub async fn run(
    stream: impl Stream<Item = Result<Item, Error>>,
    options: &Options,
    stop: impl Future<Output = ()>,
) -> io::Result<End> {
    let mut screen = Screen::take()?;
    let input = EventStream::new();
    let copy = |backend: &mut _, text: &str| screen::copy(backend, text);
    drive(
        &mut screen.terminal,
        copy,
        input,
        stream,
        options,
        stop,
        &SystemClock,
    )
    .await
}

/// The loop itself, on any terminal.
async fn drive<B>(
    terminal: &mut Terminal<B>,
    mut copy: impl FnMut(&mut B, &str) -> io::Result<()>,
    input: impl Stream<Item = io::Result<Event>>,
    stream: impl Stream<Item = Result<Item, Error>>,
    options: &Options,
    stop: impl Future<Output = ()>,
    clock: &dyn Clock,
) -> io::Result<End>
where
    B: Backend<Error: Send + Sync + 'static>,
{
    let (mut input, mut stream, mut stop) = (pin!(input), pin!(stream), pin!(stop));
    let mut app = App::new(&options.address, options.is_colourful, clock.now_ms());
    let mut feed = Feed::default();
    let mut over = None;
    let mut drawn = Instant::now();
    let mut due = drawn;
    loop {
        tokio::select! {
            biased;
            () = &mut stop => return Ok(End::Stopped),
            // Before the stream, which may bring more than can be drawn.
            () = sleep_until(due) => {
                app.tick(clock.now_ms());
                draw(terminal, &mut app)?;
                drawn = Instant::now();
                due = drawn + IDLE;
            }
            event = input.next() => {
                let Some(event) = event else {
                    return Ok(End::Gone);
                };
                app.tick(clock.now_ms());
                let effect = match event? {
                    Event::Key(key) => app.key(key),
                    Event::Paste(text) => {
                        app.paste(&text);
                        Effect::None
                    }
                    Event::Resize(..) => Effect::None,
                    _ => continue,
                };
                match effect {
                    Effect::Quit => return Ok(over.map_or(End::Quit, End::Over)),
                    Effect::Copy(text) => copy(terminal.backend_mut(), &text)?,
                    Effect::Redraw => terminal.clear().map_err(io::Error::other)?,
                    Effect::None => {}
                }
                due = due.min(drawn + KEY_FRAME);
            }
            item = stream.next(), if over.is_none() => {
                app.tick(clock.now_ms());
                over = feed.take(item, &mut app);
                due = due.min(drawn + FRAME);
            }
        }
    }
}

fn draw<B>(terminal: &mut Terminal<B>, app: &mut App) -> io::Result<()>
where
    B: Backend<Error: Send + Sync + 'static>,
{
    let drawn = terminal.draw(|frame| {
        let area = frame.area();
        app.settle(area);
        view::draw(app, area, frame.buffer_mut());
    });
    drawn.map(drop).map_err(io::Error::other)
}
