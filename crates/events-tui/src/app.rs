//! The state of the screen: what is known, and what a person has chosen to see of it.

mod detail;
mod list;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crossterm::event::KeyEvent;
use events_models::StreamFeedFrame;
use ratatui::layout::Rect;

pub(crate) use detail::Detail;
pub(crate) use list::{Chosen, List};

use crate::{
    column::{Column, View},
    filter::Filter,
    keys::{self, Action, Mode, Step},
    model::{Model, Outcome, Stream},
    text, view,
};

/// The longest filter, in bytes.
const MAX_FILTER: usize = 256;
/// For how long a notice is shown, in milliseconds.
const NOTICE_MS: i64 = 3_000;
/// Windows of the charts, in seconds.
pub(crate) const WINDOWS: [u16; 5] = [60, 120, 300, 900, 1_800];

/// What stands below a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Panel {
    /// Tokens per second; beside it the times to the first token, where there is room.
    #[default]
    Rate,
    /// Times to the first token.
    FirstTokens,
    /// Nothing: the list has the room.
    Hidden,
}

/// What the program has to do beside drawing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    None,
    Quit,
    /// Puts a text into the clipboard of the terminal.
    Copy(String),
    /// Draws everything again, also what has not changed.
    Redraw,
}

/// A filter, and the one that is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct FilterLine {
    /// The filter that holds.
    pub(crate) filter: Filter,
    /// Its text.
    pub(crate) text: String,
    /// What is written; it holds as soon as it is right.
    pub(crate) input: String,
    /// What is wrong with it.
    pub(crate) error: Option<String>,
    /// What held before somebody began to write.
    before: String,
}

/// The state of the screen.
#[derive(Debug)]
pub(crate) struct App {
    /// The address that is shown, for people.
    pub(crate) address: String,
    pub(crate) is_colourful: bool,
    live: Model,
    /// The picture that stands still, and its time by our clock.
    frozen: Option<(Box<Model>, i64)>,
    our_now: i64,
    pub(crate) mode: Mode,
    /// What help and menus go back to.
    below: Mode,
    pub(crate) view: View,
    lists: [List; 4],
    /// What is in the list, in its order.
    pub(crate) rows: Vec<Chosen>,
    pub(crate) detail: Option<Detail>,
    pub(crate) filter: FilterLine,
    pub(crate) panel: Panel,
    window: usize,
    /// The line of the menu of columns that is chosen.
    pub(crate) menu: usize,
    is_prefixed: bool,
    notice: Option<(String, i64)>,
}

impl App {
    pub(crate) fn new(address: &str, is_colourful: bool, our_now: i64) -> Self {
        Self {
            address: text::line(address),
            is_colourful,
            live: Model::default(),
            frozen: None,
            our_now,
            mode: Mode::List,
            below: Mode::List,
            view: View::Active,
            lists: View::ALL.map(|view| List::new(view.first_sort())),
            rows: Vec::new(),
            detail: None,
            filter: FilterLine::default(),
            panel: Panel::Rate,
            window: 0,
            menu: 0,
            is_prefixed: false,
            notice: None,
        }
    }

    // === What is shown ===

    /// The picture that is shown.
    pub(crate) fn model(&self) -> &Model {
        self.frozen.as_ref().map_or(&self.live, |(model, _)| model)
    }

    /// What is known now, whether it is shown or not.
    pub(crate) const fn live(&self) -> &Model {
        &self.live
    }

    /// The same, to be changed.
    pub(crate) const fn live_mut(&mut self) -> &mut Model {
        &mut self.live
    }

    pub(crate) const fn is_paused(&self) -> bool {
        self.frozen.is_some()
    }

    /// The time by our clock, in milliseconds.
    pub(crate) const fn our_now(&self) -> i64 {
        self.our_now
    }

    /// The time of the picture, by the gateway's clock.
    pub(crate) fn now(&self) -> i64 {
        let our_now = self.frozen.as_ref().map_or(self.our_now, |(_, at)| *at);
        self.model().now(our_now)
    }

    /// The list that is shown.
    pub(crate) fn list(&self) -> &List {
        // There is a list for each view.
        self.lists.get(self.view.index()).unwrap_or(&self.lists[0])
    }

    fn list_mut(&mut self) -> &mut List {
        &mut self.lists[self.view.index()]
    }

    /// The length of the charts, in seconds.
    pub(crate) fn window(&self) -> u16 {
        WINDOWS.get(self.window).copied().unwrap_or(WINDOWS[0])
    }

    pub(crate) fn notice(&self) -> Option<&str> {
        let (text, until) = self.notice.as_ref()?;
        (self.our_now < *until).then_some(text.as_str())
    }

    /// The request whose detail is shown.
    pub(crate) fn detailed(&self) -> Option<&Stream> {
        self.model().stream(self.detail.as_ref()?.number)
    }

    /// Requests that a view has, without the filter.
    pub(crate) fn n_in(&self, view: View) -> usize {
        match view {
            View::Models => self.model().models.len(),
            view => self
                .model()
                .streams()
                .filter(|stream| is_in(view, stream))
                .count(),
        }
    }

    // === What happens ===

    /// Takes a frame of the feed.
    pub(crate) fn apply(&mut self, frame: StreamFeedFrame) {
        self.live.apply(frame, self.our_now);
    }

    /// Says what time it is, by our clock.
    pub(crate) const fn tick(&mut self, our_now: i64) {
        self.our_now = our_now;
    }

    /// Makes rows, cursors and scrolls agree with what is known and with the room there is. Drawing changes nothing.
    pub(crate) fn settle(&mut self, area: Rect) {
        self.rows = self.sorted_rows();
        let rows = std::mem::take(&mut self.rows);
        let page = view::list_page(self, area);
        self.list_mut().settle(&rows, page);
        self.rows = rows;
        if let Some(mut detail) = self.detail.take() {
            if self.model().stream(detail.number).is_some() {
                let room = view::text_room(self, &detail, area);
                if let Some(stream) = self.model().stream(detail.number) {
                    detail.settle(stream, room);
                }
                self.detail = Some(detail);
            } else {
                self.close_detail();
                self.notify("the request is not kept any more".to_owned());
            }
        }
    }

    fn sorted_rows(&self) -> Vec<Chosen> {
        let (model, now, list) = (self.model(), self.now(), self.list());
        let filter = &self.filter.filter;
        if self.view == View::Models {
            let running = running_by_model(model);
            let mut models: Vec<_> = model
                .models
                .iter()
                .filter(|sums| {
                    filter.shows_model(sums.provider.as_deref().unwrap_or_default(), &sums.model)
                })
                .map(|sums| {
                    let name = (sums.provider.as_deref(), sums.model.as_str());
                    (sums, running.get(&name).copied().unwrap_or(0))
                })
                .collect();
            list.sort.sort_models(&mut models, list.is_inverted);
            let chosen = |(sums, _): (&events_models::ModelTotals, u64)| {
                Chosen::Model(sums.provider.clone(), sums.model.clone())
            };
            return models.into_iter().map(chosen).collect();
        }
        let mut streams: Vec<&Stream> = model
            .streams()
            .filter(|stream| is_in(self.view, stream) && filter.shows(stream, now))
            .collect();
        list.sort.sort(&mut streams, list.is_inverted, now);
        let chosen = |stream: &&Stream| Chosen::Stream(stream.number);
        streams.iter().map(chosen).collect()
    }

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

    fn notify(&mut self, text: String) {
        self.notice = Some((text, self.our_now.saturating_add(NOTICE_MS)));
    }

    fn close_detail(&mut self) {
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

/// Whether a view has a request.
fn is_in(view: View, stream: &Stream) -> bool {
    match view {
        View::Active => stream.summary.is_active(),
        View::Recent => !stream.summary.is_active(),
        View::Errors => matches!(stream.outcome(), Outcome::Failed | Outcome::Cancelled),
        View::Models => false,
    }
}

/// Requests that run now, by provider and model.
pub(crate) fn running_by_model(model: &Model) -> HashMap<(Option<&str>, &str), u64> {
    let mut running = HashMap::new();
    for stream in model.streams() {
        let summary = &stream.summary;
        if summary.is_active() {
            let name = (summary.provider.as_deref(), summary.model.as_str());
            *running.entry(name).or_default() += 1;
        }
    }
    running
}

/// Moves within `0..=last`.
pub(crate) fn stepped(at: usize, step: Step, last: usize, page: usize) -> usize {
    let page = page.max(1);
    match step {
        Step::Up => at.saturating_sub(1),
        Step::Down => at.saturating_add(1),
        Step::PageUp => at.saturating_sub(page),
        Step::PageDown => at.saturating_add(page),
        Step::First => 0,
        Step::Last => last,
    }
    .min(last)
}
