//! What keys do to the state.

use events_models::StreamFeedFrame;
use ratatui::layout::Rect;

use super::*;
use crate::column::Column;
use crate::sample::{
    NOW, SMALL, completed, delta, failed, mixed, picture, press, running, showing,
};

fn ids(app: &App) -> Vec<String> {
    let id = |row: &Chosen| match row {
        Chosen::Stream(number) => app
            .model()
            .stream(*number)
            .unwrap()
            .id()
            .as_str()
            .to_owned(),
        Chosen::Model(_, model) => model.clone(),
    };
    app.rows.iter().map(id).collect()
}

fn under_cursor(app: &App) -> String {
    ids(app)[app.list().cursor].clone()
}

fn three() -> App {
    showing(vec![
        running("old", "b-model", 30),
        running("middle", "c-model", 20),
        running("new", "a-model", 10),
    ])
}

#[test]
fn the_cursor_stays_on_its_request_while_others_come_and_go() {
    let mut app = three();
    assert_eq!(ids(&app), ["old", "middle", "new"]);
    press(&mut app, "j", SMALL);
    assert_eq!(under_cursor(&app), "middle");
    app.apply(StreamFeedFrame::Active(picture(vec![
        running("older", "m", 60),
        running("oldest", "m", 90),
        running("middle", "c-model", 20),
    ])));
    app.settle(SMALL);
    assert_eq!(ids(&app), ["oldest", "older", "middle"]);
    assert_eq!(under_cursor(&app), "middle");
    // When it is gone, the cursor stays where it is.
    app.apply(StreamFeedFrame::Active(picture(vec![running(
        "only", "m", 1,
    )])));
    app.settle(SMALL);
    assert_eq!(under_cursor(&app), "only");
}

#[test]
fn moving_stays_within_the_list_and_scrolls_it() {
    let of = |number: i64| running(&format!("r{number:03}"), "m", 200 - number);
    let mut app = showing((0..100).map(of).collect());
    for (keys, cursor) in [
        ("k", 0),
        ("j", 1),
        ("G", 99),
        ("j", 99),
        ("gg", 0),
        ("pagedown", 12),
        ("pageup", 0),
        // One g alone does nothing, also when another key comes in between.
        ("jjg", 2),
        ("jg", 3),
    ] {
        press(&mut app, keys, SMALL);
        assert_eq!(app.list().cursor, cursor, "{keys}");
        let (offset, page) = (app.list().offset, view::list_page(&app, SMALL));
        assert!(
            (offset..offset + page).contains(&cursor),
            "{keys}: {offset}"
        );
    }
    press(&mut app, "G", SMALL);
    app.settle(Rect::new(0, 0, 80, 60));
    assert_eq!(
        app.list().offset,
        100 - view::list_page(&app, Rect::new(0, 0, 80, 60))
    );
}

#[test]
fn columns_sort_and_turn_round() {
    let mut app = three();
    press(&mut app, "i", SMALL);
    assert_eq!(ids(&app), ["new", "middle", "old"]);
    while app.list().sort != Column::Model {
        press(&mut app, "right", SMALL);
    }
    assert_eq!(ids(&app), ["new", "old", "middle"]);
    press(&mut app, "hhhhhhhhhhhh", SMALL);
    assert_eq!(app.list().sort, Column::State);
    press(&mut app, "s gg jj enter", SMALL);
    assert_eq!((app.list().sort, app.mode), (Column::Id, Mode::List));
    assert_eq!(ids(&app), ["middle", "new", "old"]);
    // The same again turns it round, and so does `i` in the menu.
    press(&mut app, "s enter", SMALL);
    assert_eq!(ids(&app), ["old", "new", "middle"]);
    press(&mut app, "s i esc", SMALL);
    assert_eq!(ids(&app), ["middle", "new", "old"]);
    // Each list has its own order.
    press(&mut app, "2", SMALL);
    assert_eq!(app.list().sort, Column::Ended);
}

#[test]
fn the_lists_have_what_their_names_say() {
    let mut app = mixed();
    for (keys, expected) in [
        ("1", &["req_0e55", "req_0f66", "req_0d44"][..]),
        ("2", &["req_0c33", "req_0b22", "req_0a11"]),
        ("3", &["claude-opus-4-5", "gpt-5.2"]),
        ("4", &["req_0c33", "req_0b22"]),
    ] {
        press(&mut app, keys, SMALL);
        assert_eq!(ids(&app), expected, "{keys}");
    }
}

#[test]
fn a_filter_holds_as_it_is_written_and_esc_brings_back_the_one_before() {
    let mut app = three();
    press(&mut app, "/ b-model", SMALL);
    assert_eq!(
        (ids(&app), app.mode),
        (vec!["old".to_owned()], Mode::Filter)
    );
    press(&mut app, "enter", SMALL);
    assert_eq!(
        (app.filter.text.as_str(), app.mode),
        ("b-model", Mode::List)
    );
    press(&mut app, "/ x", SMALL);
    assert_eq!(ids(&app), [""; 0]);
    press(&mut app, "esc", SMALL);
    assert_eq!(ids(&app), ["old"]);
    // What is wrong keeps the last that was right, and is not taken.
    press(&mut app, "/", SMALL);
    press(&mut app, "space cost>", SMALL);
    press(&mut app, "enter", SMALL);
    assert_eq!(app.mode, Mode::Filter);
    assert!(app.filter.error.is_some());
    // "cost" alone was a word that nothing has.
    assert_eq!(ids(&app), [""; 0]);
    press(&mut app, "esc", SMALL);
    assert_eq!(ids(&app), ["old"]);
    press(&mut app, "esc", SMALL);
    assert_eq!(ids(&app), ["old", "middle", "new"]);
    assert!(app.filter.error.is_none());
}

#[test]
fn a_pasted_filter_is_harmless_and_bounded() {
    let mut app = three();
    app.paste("ignored");
    press(&mut app, "/", SMALL);
    app.paste("b-\u{1b}[31mmodel\n");
    app.settle(SMALL);
    assert_eq!(app.filter.input, "b-model ");
    assert_eq!(ids(&app), ["old"]);
    app.paste(&"日".repeat(1_000));
    assert!(app.filter.input.len() <= MAX_FILTER);
}

#[test]
fn a_model_opens_as_a_filter_of_its_requests() {
    let mut app = mixed();
    press(&mut app, "3 enter", SMALL);
    assert_eq!(app.view, View::Active);
    assert_eq!(
        app.filter.text,
        "model:\"claude-opus-4-5\" provider:\"anthropic\""
    );
    assert_eq!(ids(&app), ["req_0f66", "req_0d44"]);
}

#[test]
fn a_detail_follows_its_text_until_one_scrolls() {
    let mut app = three();
    press(&mut app, "j enter", SMALL);
    assert_eq!(app.mode, Mode::Detail);
    let text = "word\n".repeat(100);
    app.apply(delta("middle", &text, NOW));
    app.settle(SMALL);
    let last = app.detail.as_ref().unwrap().offset;
    assert!(last > 50, "{last}");
    press(&mut app, "kk", SMALL);
    app.apply(delta("middle", &text, NOW));
    app.settle(SMALL);
    let detail = app.detail.as_ref().unwrap();
    assert_eq!((detail.offset, detail.follows), (last - 2, false));
    press(&mut app, "G", SMALL);
    assert!(app.detail.as_ref().unwrap().follows, "the end is followed");
    press(&mut app, "gg", SMALL);
    assert_eq!(app.detail.as_ref().unwrap().offset, 0);
    press(&mut app, "f", SMALL);
    assert!(app.detail.as_ref().unwrap().offset > last);
    press(&mut app, "esc", SMALL);
    assert_eq!((app.mode, app.detail.is_none()), (Mode::List, true));
    assert_eq!(under_cursor(&app), "middle");
}

#[test]
fn a_detail_stays_open_when_its_request_ends_and_closes_when_it_is_forgotten() {
    let mut app = three();
    press(&mut app, "j enter", SMALL);
    let mut ended = completed("middle", "c-model", 1);
    ended.text_bytes = 43;
    app.apply(StreamFeedFrame::Active(picture(vec![ended])));
    app.settle(SMALL);
    assert!(!app.detailed().unwrap().summary.is_active());
    app.live_mut().clear_ended(NOW);
    app.settle(SMALL);
    assert_eq!((app.mode, app.detail.is_none()), (Mode::List, true));
    assert_eq!(app.notice(), Some("the request is not kept any more"));
    app.tick(NOW + NOTICE_MS);
    assert_eq!(app.notice(), None);
}

#[test]
fn help_goes_back_to_where_it_was_asked_for() {
    let mut app = three();
    press(&mut app, "enter ?", SMALL);
    assert_eq!(app.mode, Mode::Help);
    press(&mut app, "q", SMALL);
    assert_eq!(app.mode, Mode::Detail);
    assert_eq!(press(&mut app, "q", SMALL), Effect::Quit);
}

#[test]
fn following_stays_on_the_newest_request() {
    let mut app = three();
    press(&mut app, "f", SMALL);
    assert_eq!(under_cursor(&app), "new");
    app.apply(StreamFeedFrame::Event(
        events_models::TuiStreamEventBuilder::started("newest", "m", None),
    ));
    app.settle(SMALL);
    assert_eq!(under_cursor(&app), "newest");
    press(&mut app, "k", SMALL);
    assert!(!app.list().follows);
}

#[test]
fn the_id_is_copied_without_what_could_do_harm() {
    let mut app = showing(vec![running("r\u{1b}]52;c;x\u{7}1", "m", 1)]);
    assert_eq!(press(&mut app, "y", SMALL), Effect::Copy("r1".to_owned()));
    assert_eq!(app.notice(), Some("copied r1"));
    assert_eq!(
        press(&mut app, "enter y", SMALL),
        Effect::Copy("r1".to_owned())
    );
    assert_eq!(press(&mut app, "esc 3 y", SMALL), Effect::None);
    assert_eq!(press(&mut crate::sample::app(), "y", SMALL), Effect::None);
}

#[test]
fn clearing_takes_away_what_has_ended_also_from_a_paused_picture() {
    let mut app = showing(vec![
        completed("done", "m", 10),
        failed("bad", 5, "no", None),
        running("on", "m", 3),
    ]);
    press(&mut app, "p c", SMALL);
    assert_eq!(app.n_in(View::Recent), 0);
    press(&mut app, "p", SMALL);
    assert_eq!((app.n_in(View::Recent), app.n_in(View::Active)), (0, 1));
    // The next picture does not bring them back, and the sums stay.
    app.apply(StreamFeedFrame::Active(picture(vec![completed(
        "done", "m", 10,
    )])));
    assert_eq!(app.n_in(View::Recent), 0);
    assert_eq!(app.model().totals.completed, 1);
}

#[test]
fn the_window_and_the_panel_have_ends() {
    let mut app = three();
    press(&mut app, "-", SMALL);
    assert_eq!(app.window(), WINDOWS[0]);
    press(&mut app, "+++++++", SMALL);
    assert_eq!(app.window(), WINDOWS[WINDOWS.len() - 1]);
    for panel in [Panel::FirstTokens, Panel::Hidden, Panel::Rate] {
        press(&mut app, "tab", SMALL);
        assert_eq!(app.panel, panel);
    }
}
