//! The terminal: taken for the time of the program, and given back as it was, whatever happens.

use std::{
    io::{self, Stdout, Write},
    panic::{self, PanicHookInfo},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crossterm::{
    clipboard::CopyToClipboard,
    cursor::{Hide, Show},
    event::{DisableBracketedPaste, EnableBracketedPaste},
    execute,
    style::{Attribute, ResetColor, SetAttribute},
    terminal::{self, EnterAlternateScreen, LeaveAlternateScreen},
};
use ratatui::{Terminal, backend::CrosstermBackend};

type Hook = dyn Fn(&PanicHookInfo<'_>) + Send + Sync;

/// The terminal of the program. Dropping it gives the terminal back.
pub(crate) struct Screen {
    pub(crate) terminal: Terminal<CrosstermBackend<Stdout>>,
    /// Gives the terminal back, also if what is above cannot be made.
    _taken: Taken,
}

impl Screen {
    /// Takes the terminal: its second screen, without echo and without a cursor.
    pub(crate) fn take() -> io::Result<Self> {
        let taken = Taken::take()?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        Ok(Self {
            terminal,
            _taken: taken,
        })
    }
}

/// A terminal in our hands, with a hook that gives it back before a panic is told.
struct Taken {
    is_given_back: Arc<AtomicBool>,
    previous_hook: Arc<Hook>,
}

impl Taken {
    fn take() -> io::Result<Self> {
        let previous_hook: Arc<Hook> = Arc::from(panic::take_hook());
        let taken = Self {
            is_given_back: Arc::default(),
            previous_hook: previous_hook.clone(),
        };
        let is_given_back = taken.is_given_back.clone();
        panic::set_hook(restoring(previous_hook, move || give_back(&is_given_back)));
        terminal::enable_raw_mode()?;
        prepare(&mut io::stdout())?;
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back(&self.is_given_back);
        // A thread that panics may not change hooks; ours gives nothing back twice.
        if !std::thread::panicking() {
            let previous_hook = self.previous_hook.clone();
            panic::set_hook(Box::new(move |info| previous_hook(info)));
        }
    }
}

/// Gives the terminal back once.
fn give_back(is_given_back: &AtomicBool) {
    if !is_given_back.swap(true, Ordering::SeqCst) {
        // There is nothing left to do if the terminal is gone.
        let _gone = restore(&mut io::stdout());
        let _gone = terminal::disable_raw_mode();
    }
}

/// Makes a hook that restores first, so that the message of the panic is on a screen that stays.
fn restoring(previous: Arc<Hook>, restore: impl Fn() + Send + Sync + 'static) -> Box<Hook> {
    Box::new(move |info| {
        restore();
        previous(info);
    })
}

/// Switches to the second screen.
fn prepare(writer: &mut impl Write) -> io::Result<()> {
    execute!(writer, EnterAlternateScreen, EnableBracketedPaste, Hide)
}

/// Undoes everything that [`prepare`] and drawing have done.
fn restore(writer: &mut impl Write) -> io::Result<()> {
    execute!(
        writer,
        DisableBracketedPaste,
        ResetColor,
        SetAttribute(Attribute::Reset),
        LeaveAlternateScreen,
        Show
    )
}

/// Asks the terminal to put a text into its clipboard, by OSC 52. Many do, some have it forbidden.
pub(crate) fn copy(writer: &mut impl Write, text: &str) -> io::Result<()> {
    execute!(writer, CopyToClipboard::to_clipboard_from(text))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn everything_that_is_switched_on_is_switched_off_again() {
        let (mut on, mut off) = (Vec::new(), Vec::new());
        prepare(&mut on).unwrap();
        restore(&mut off).unwrap();
        let (on, off) = (
            String::from_utf8(on).unwrap(),
            String::from_utf8(off).unwrap(),
        );
        for (set, reset) in [
            ("\u{1b}[?1049h", "\u{1b}[?1049l"),
            ("\u{1b}[?2004h", "\u{1b}[?2004l"),
            ("\u{1b}[?25l", "\u{1b}[?25h"),
        ] {
            assert!(on.contains(set), "{on:?}");
            assert!(off.contains(reset), "{off:?}");
        }
        assert_eq!(on.matches("\u{1b}[?").count(), 3, "{on:?}");
        assert!(off.contains("\u{1b}[0m"), "{off:?}");
    }

    #[test]
    fn a_panic_is_told_after_the_terminal_was_given_back() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let told = order.clone();
        let previous: Arc<Hook> = Arc::new(move |info| {
            told.lock()
                .unwrap()
                .extend_from_slice(info.to_string().as_bytes());
        });
        let written = order.clone();
        let hook = restoring(previous, move || {
            restore(&mut *written.lock().unwrap()).unwrap();
        });
        let before = panic::take_hook();
        panic::set_hook(hook);
        let panicked = panic::catch_unwind(|| panic!("the drawing broke"));
        panic::set_hook(before);
        assert!(panicked.is_err());
        let order = String::from_utf8(order.lock().unwrap().clone()).unwrap();
        let restored = order.find("\u{1b}[?1049l").expect("it is restored");
        let told = order.find("the drawing broke").expect("it is told");
        assert!(restored < told, "{order:?}");
    }

    #[test]
    fn a_terminal_is_given_back_once() {
        let is_given_back = AtomicBool::new(true);
        // Nothing is written to the terminal of this test.
        give_back(&is_given_back);
        assert!(is_given_back.load(Ordering::SeqCst));
    }

    #[test]
    fn a_copied_text_is_wrapped_for_the_clipboard() {
        let mut written = Vec::new();
        copy(&mut written, "req_1").unwrap();
        assert_eq!(written, b"\x1b]52;c;cmVxXzE=\x1b\\");
    }
}
