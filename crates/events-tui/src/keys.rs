//! What keys mean.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::column::View;

/// What the keys go to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Mode {
    /// One of the lists.
    #[default]
    List,
    /// One request.
    Detail,
    /// The line in which a filter is written.
    Filter,
    /// The menu of columns.
    Sort,
    /// The help.
    Help,
}

/// A way to move in what is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
}

/// What a key asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// The key means nothing here.
    Nothing,
    Quit,
    Help,
    Move(Step),
    /// The first half of `gg`.
    Prefix,
    /// Sorts by the column to the left or to the right.
    ColumnLeft,
    ColumnRight,
    Invert,
    SortMenu,
    /// Opens what is chosen, or takes what was written.
    Accept,
    Back,
    EditFilter,
    Pause,
    Follow,
    Panel,
    Show(View),
    ClearEnded,
    CopyId,
    WidenWindow,
    NarrowWindow,
    Redraw,
    Type(char),
    Erase,
    EraseWord,
    EraseAll,
}

/// The keys and what they do, for the help.
pub(crate) const HELP: [(&str, &str); 20] = [
    ("1 2 3 4", "Active, Recent, Models, Errors"),
    ("j k ↓ ↑", "move"),
    ("gg G PgUp PgDn", "first, last, a page (also Ctrl-u Ctrl-d)"),
    ("Enter Esc", "open: live text and numbers; back"),
    ("h l ← → i", "sort by the next column; turn the order round"),
    ("s", "menu of columns to sort by"),
    ("space p", "pause the picture; nothing is missed meanwhile"),
    ("f", "follow the newest request, or the end of the text"),
    (
        "Tab + -",
        "next panel; longer or shorter window of the charts",
    ),
    ("c y", "clear what has ended; copy the request's id"),
    ("Ctrl-l ? q", "draw again; help; quit (also Ctrl-c)"),
    ("/", "filter: all terms must be true; Esc drops it"),
    ("", "model:x provider:x agent:x id:x text:x code:x error:x"),
    (
        "",
        "state:active|ended|waiting|streaming|done|failed|cancelled",
    ),
    ("", "cost>0.1 in>1k out>1k cached>0 rate<5 status=429"),
    ("", "age>30s ttft>2s word \"two words\" -model:x"),
    ("● ◌", "streaming; waiting for the first token"),
    ("✓ ✗ ⊘", "completed; failed; cancelled, the client left"),
    ("!", "an alert is about this request"),
    ("~ -", "a guess; not known"),
];

/// Says what a key asks for; `is_prefixed` after the first `g`.
pub(crate) fn action(mode: Mode, is_prefixed: bool, key: KeyEvent) -> Action {
    if key.kind == KeyEventKind::Release {
        return Action::Nothing;
    }
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match (key.code, is_control) {
        (KeyCode::Char('c'), true) => return Action::Quit,
        (KeyCode::Char('l'), true) => return Action::Redraw,
        _ => {}
    }
    match mode {
        Mode::Filter => writing(key.code, is_control),
        Mode::Sort => menu(key.code, is_prefixed, is_control),
        Mode::Help => match key.code {
            KeyCode::Esc | KeyCode::Enter | KeyCode::Char('?' | 'q') => Action::Back,
            _ => Action::Nothing,
        },
        Mode::List | Mode::Detail => reading(mode, is_prefixed, key.code, is_control),
    }
}

fn writing(code: KeyCode, is_control: bool) -> Action {
    match (code, is_control) {
        (KeyCode::Enter, _) => Action::Accept,
        (KeyCode::Esc, _) => Action::Back,
        (KeyCode::Char('u'), true) => Action::EraseAll,
        (KeyCode::Char('w'), true) => Action::EraseWord,
        (KeyCode::Char('h'), true) | (KeyCode::Backspace, _) => Action::Erase,
        (KeyCode::Char(c), false) => Action::Type(c),
        _ => Action::Nothing,
    }
}

fn menu(code: KeyCode, is_prefixed: bool, is_control: bool) -> Action {
    match code {
        KeyCode::Enter | KeyCode::Char(' ') => Action::Accept,
        KeyCode::Esc | KeyCode::Char('q' | 's') => Action::Back,
        KeyCode::Char('i') => Action::Invert,
        code => moving(code, is_prefixed, is_control).unwrap_or(Action::Nothing),
    }
}

fn moving(code: KeyCode, is_prefixed: bool, is_control: bool) -> Option<Action> {
    let step = match (code, is_control) {
        (KeyCode::Char('u'), true) | (KeyCode::PageUp, _) => Step::PageUp,
        (KeyCode::Char('d'), true) | (KeyCode::PageDown, _) => Step::PageDown,
        (KeyCode::Char('k'), false) | (KeyCode::Up, _) => Step::Up,
        (KeyCode::Char('j'), false) | (KeyCode::Down, _) => Step::Down,
        (KeyCode::Char('g'), false) if !is_prefixed => return Some(Action::Prefix),
        (KeyCode::Char('g'), false) | (KeyCode::Home, _) => Step::First,
        (KeyCode::Char('G'), false) | (KeyCode::End, _) => Step::Last,
        _ => return None,
    };
    Some(Action::Move(step))
}

fn reading(mode: Mode, is_prefixed: bool, code: KeyCode, is_control: bool) -> Action {
    if let Some(action) = moving(code, is_prefixed, is_control) {
        return action;
    }
    let is_list = mode == Mode::List;
    match code {
        _ if is_control => Action::Nothing,
        KeyCode::Char('q') => Action::Quit,
        KeyCode::Char('?') => Action::Help,
        KeyCode::Esc => Action::Back,
        KeyCode::Char(' ' | 'p') => Action::Pause,
        KeyCode::Char('f') => Action::Follow,
        KeyCode::Tab => Action::Panel,
        KeyCode::Char('1') => Action::Show(View::Active),
        KeyCode::Char('2') => Action::Show(View::Recent),
        KeyCode::Char('3') => Action::Show(View::Models),
        KeyCode::Char('4') => Action::Show(View::Errors),
        KeyCode::Char('y') => Action::CopyId,
        KeyCode::Char('+' | '=') => Action::WidenWindow,
        KeyCode::Char('-') => Action::NarrowWindow,
        KeyCode::Char('h') | KeyCode::Left if is_list => Action::ColumnLeft,
        KeyCode::Char('l') | KeyCode::Right if is_list => Action::ColumnRight,
        KeyCode::Left | KeyCode::Char('h') => Action::Back,
        KeyCode::Char('i') if is_list => Action::Invert,
        KeyCode::Char('s') if is_list => Action::SortMenu,
        KeyCode::Char('/') if is_list => Action::EditFilter,
        KeyCode::Char('c') if is_list => Action::ClearEnded,
        KeyCode::Enter if is_list => Action::Accept,
        _ => Action::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(mode: Mode, code: KeyCode) -> Action {
        action(mode, false, KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn control(mode: Mode, c: char) -> Action {
        let key = KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
        action(mode, false, key)
    }

    #[test]
    fn control_c_quits_wherever_one_is() {
        for mode in [
            Mode::List,
            Mode::Detail,
            Mode::Filter,
            Mode::Sort,
            Mode::Help,
        ] {
            assert_eq!(control(mode, 'c'), Action::Quit, "{mode:?}");
        }
    }

    #[test]
    fn letters_are_written_into_the_filter_and_do_nothing_else() {
        for c in "q?1 cyg/".chars() {
            assert_eq!(plain(Mode::Filter, KeyCode::Char(c)), Action::Type(c));
        }
        assert_eq!(control(Mode::Filter, 'u'), Action::EraseAll);
        assert_eq!(plain(Mode::Filter, KeyCode::Backspace), Action::Erase);
    }

    #[test]
    fn g_needs_a_second_one() {
        let key = KeyEvent::new(KeyCode::Char('g'), KeyModifiers::NONE);
        assert_eq!(action(Mode::List, false, key), Action::Prefix);
        assert_eq!(action(Mode::List, true, key), Action::Move(Step::First));
        let shifted = KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT);
        assert_eq!(
            action(Mode::Detail, false, shifted),
            Action::Move(Step::Last)
        );
    }

    #[test]
    fn a_key_that_is_let_go_does_nothing() {
        let mut key = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
        key.kind = KeyEventKind::Release;
        assert_eq!(action(Mode::List, false, key), Action::Nothing);
    }

    #[test]
    fn q_leaves_the_help_and_not_the_program() {
        assert_eq!(plain(Mode::Help, KeyCode::Char('q')), Action::Back);
        assert_eq!(plain(Mode::Sort, KeyCode::Char('q')), Action::Back);
        assert_eq!(plain(Mode::List, KeyCode::Char('q')), Action::Quit);
        assert_eq!(plain(Mode::Detail, KeyCode::Char('q')), Action::Quit);
        assert_eq!(plain(Mode::Detail, KeyCode::Char('s')), Action::Nothing);
    }
}
