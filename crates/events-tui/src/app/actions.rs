//! What keys and pasted texts change.

use crossterm::event::KeyEvent;

use super::{
    App, Chosen, Detail, Effect, FilterLine, MAX_FILTER, NOTICE_MS, Panel, WINDOWS, stepped,
};
use crate::{
    column::{Column, View},
    filter::Filter,
    keys::{self, Action, Mode, Step},
    text,
};

impl App {
    /// Takes a text that was pasted.
    pub(crate) fn paste(&mut self, pasted: &str) {
        if self.mode == Mode::Filter {
            self.filter.input.push_str(&text::line(pasted));
            self.written();
        }
    }

    /// Takes a key.
    pub(crate) fn key(&mut self, key: KeyEvent) -> Effect {
        let action = keys::action(self.mode, self.is_prefixed, key);
        self.is_prefixed = action == Action::Prefix;
        self.act(action)
    }

    fn act(&mut self, action: Action) -> Effect {
        match action {
            Action::Quit => return Effect::Quit,
            Action::Redraw => return Effect::Redraw,
            Action::CopyId => return self.copy_id(),
            Action::Nothing | Action::Prefix => {}
            Action::Help => self.cover(Mode::Help),
            Action::SortMenu => {
                let sort = self.list().sort;
                self.menu = self
                    .sortable()
                    .iter()
                    .position(|known| *known == sort)
                    .unwrap_or(0);
                self.cover(Mode::Sort);
            }
            Action::Move(step) => self.step(step),
            Action::ColumnLeft => self.next_column(-1),
            Action::ColumnRight => self.next_column(1),
            Action::Invert => {
                let list = self.list_mut();
                list.is_inverted = !list.is_inverted;
            }
            Action::Accept => self.accept(),
            Action::Back => self.back(),
            Action::EditFilter => {
                self.filter.input.clone_from(&self.filter.text);
                self.filter.before.clone_from(&self.filter.text);
                self.cover(Mode::Filter);
            }
            Action::Pause => {
                self.frozen = match self.frozen.take() {
                    Some(_) => None,
                    None => Some((Box::new(self.live.clone()), self.our_now)),
                };
            }
            Action::Follow => self.follow(),
            Action::Panel => self.next_panel(),
            Action::Show(view) => {
                self.close_detail();
                self.view = view;
            }
            Action::ClearEnded => {
                self.live.clear_ended(self.our_now);
                if let Some((frozen, at)) = &mut self.frozen {
                    frozen.clear_ended(*at);
                }
                self.notify("cleared".to_owned());
            }
            Action::WidenWindow => self.window = (self.window + 1).min(WINDOWS.len() - 1),
            Action::NarrowWindow => self.window = self.window.saturating_sub(1),
            Action::Type(c) => {
                self.filter.input.push(c);
                self.written();
            }
            Action::Erase => {
                self.filter.input.pop();
                self.written();
            }
            Action::EraseWord => {
                let kept = self
                    .filter
                    .input
                    .trim_end()
                    .rfind(' ')
                    .map_or(0, |at| at + 1);
                self.filter.input.truncate(kept);
                self.written();
            }
            Action::EraseAll => {
                self.filter.input.clear();
                self.written();
            }
        }
        Effect::None
    }

    fn cover(&mut self, mode: Mode) {
        self.below = self.mode;
        self.mode = mode;
    }

    pub(super) fn notify(&mut self, text: String) {
        self.notice = Some((text, self.our_now.saturating_add(NOTICE_MS)));
    }

    pub(super) fn close_detail(&mut self) {
        self.detail = None;
        self.live.read(None);
        if self.mode == Mode::Detail {
            self.mode = Mode::List;
        }
        self.below = Mode::List;
    }

    fn step(&mut self, step: Step) {
        match (self.mode, &mut self.detail) {
            (Mode::Sort, _) => {
                let last = self.sortable().len().saturating_sub(1);
                self.menu = stepped(self.menu, step, last, last.max(1));
            }
            (Mode::Detail, Some(detail)) => detail.step(step),
            _ => {
                let last = self.rows.len().saturating_sub(1);
                let list = &mut self.lists[self.view.index()];
                list.step(step, last, &self.rows);
            }
        }
    }

    /// Columns of the view that a person can sort by.
    pub(crate) fn sortable(&self) -> Vec<Column> {
        let columns = self.view.columns().iter();
        columns.map(|(column, _)| *column).collect()
    }

    fn next_column(&mut self, step: isize) {
        let columns = self.sortable();
        let sort = self.list().sort;
        let index = columns.iter().position(|known| *known == sort).unwrap_or(0);
        let index = index.saturating_add_signed(step).min(columns.len() - 1);
        if let Some(column) = columns.get(index) {
            self.list_mut().sort_by(*column);
        }
    }

    fn accept(&mut self) {
        match self.mode {
            Mode::Filter => {
                if self.filter.error.is_none() {
                    self.mode = self.below;
                }
            }
            Mode::Sort => {
                if let Some(column) = self.sortable().get(self.menu).copied() {
                    let list = self.list_mut();
                    if list.sort == column {
                        list.is_inverted = !list.is_inverted;
                    } else {
                        list.sort_by(column);
                    }
                }
                self.mode = self.below;
            }
            _ => match self.rows.get(self.list().cursor).cloned() {
                Some(Chosen::Stream(number)) => {
                    self.live.read(Some(number));
                    self.detail = Some(Detail::new(number));
                    self.mode = Mode::Detail;
                }
                Some(Chosen::Model(provider, model)) => {
                    // A quote cannot stand in a value; what is left of the name finds it too.
                    let quoted = |name: &str| format!("\"{}\"", text::line(name).replace('"', ""));
                    let mut terms = format!("model:{}", quoted(&model));
                    if let Some(provider) = provider {
                        terms.push_str(&format!(" provider:{}", quoted(&provider)));
                    }
                    self.filter.input = terms;
                    self.written();
                    self.view = View::Active;
                }
                None => {}
            },
        }
    }

    fn back(&mut self) {
        match self.mode {
            Mode::Filter => {
                self.filter.input = std::mem::take(&mut self.filter.before);
                self.written();
                self.mode = self.below;
            }
            Mode::Sort | Mode::Help => self.mode = self.below,
            Mode::Detail => self.close_detail(),
            Mode::List => {
                self.filter = FilterLine::default();
                self.list_mut().follows = false;
            }
        }
    }

    /// Takes what was written as the filter if it is one.
    fn written(&mut self) {
        let line = &mut self.filter;
        line.input
            .truncate(text::prefix(&line.input, MAX_FILTER).len());
        match Filter::parse(&line.input) {
            Ok(filter) => {
                line.filter = filter;
                line.text = line.input.trim().to_owned();
                line.error = None;
            }
            Err(error) => line.error = Some(error),
        }
    }

    fn follow(&mut self) {
        match &mut self.detail {
            Some(detail) if self.mode == Mode::Detail => detail.follows = !detail.follows,
            _ => {
                let list = self.list_mut();
                list.follows = !list.follows;
            }
        }
    }

    fn next_panel(&mut self) {
        match &mut self.detail {
            Some(detail) if self.mode == Mode::Detail => detail.is_wide = !detail.is_wide,
            _ => {
                self.panel = match self.panel {
                    Panel::Rate => Panel::FirstTokens,
                    Panel::FirstTokens => Panel::Hidden,
                    Panel::Hidden => Panel::Rate,
                }
            }
        }
    }

    fn copy_id(&mut self) -> Effect {
        let number = match (&self.detail, self.rows.get(self.list().cursor)) {
            (Some(detail), _) => Some(detail.number),
            (None, Some(Chosen::Stream(number))) => Some(*number),
            _ => None,
        };
        let stream = number.and_then(|number| self.model().stream(number));
        let Some(id) = stream.map(|stream| text::line(stream.id().as_str())) else {
            return Effect::None;
        };
        self.notify(format!("copied {id}"));
        Effect::Copy(id)
    }
}
