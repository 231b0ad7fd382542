//! The state of the screen: what is known, and what a person has chosen to see of it.

mod actions;
mod detail;
mod filter_line;
mod list;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use events_models::StreamFeedFrame;
use ratatui::layout::Rect;

pub(crate) use detail::Detail;
pub(crate) use filter_line::FilterLine;
pub(crate) use list::{Chosen, List};

use crate::{
    column::View,
    keys::{Mode, Step},
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
