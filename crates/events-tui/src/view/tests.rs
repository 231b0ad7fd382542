//! The screens, at two sizes and a time that stands still.

mod anything;

use events_models::{StreamFeedFrame, StreamState};
use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::Buffer,
    style::{Color, Style},
};

use super::*;
use crate::sample::{
    LARGE, NOW, SMALL, alert, app, completed, disconnect, failed, mixed, picture, press, running,
    showing,
};

fn drawn(app: &mut App, area: Rect) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(area.width, area.height)).unwrap();
    terminal
        .draw(|frame| {
            app.settle(frame.area());
            draw(app, frame.area(), frame.buffer_mut());
        })
        .unwrap();
    terminal
}

/// Compares both sizes with the pictures that are kept.
fn check(name: &str, app: &mut App) {
    for area in [SMALL, LARGE] {
        let terminal = drawn(app, area);
        let name = format!("{name}_{}x{}", area.width, area.height);
        insta::assert_snapshot!(name, terminal.backend());
    }
}

fn buffer_of(app: &mut App, area: Rect) -> Buffer {
    drawn(app, area).backend().buffer().clone()
}

/// The screen as lines, as a terminal would show it.
fn text_of(app: &mut App, area: Rect) -> String {
    drawn(app, area).backend().to_string()
}

#[test]
fn nothing_is_known_before_the_first_frame() {
    check(
        "connecting",
        &mut App::new("http://127.0.0.1:4000", true, NOW),
    );
}

#[test]
fn an_empty_hub_says_how_to_fill_it() {
    check("empty", &mut showing(Vec::new()));
}

#[test]
fn one_stream() {
    check(
        "one",
        &mut showing(vec![running("req_0a11", "claude-opus-4-5", 21)]),
    );
}

#[test]
fn two_hundred_streams_scroll() {
    let of = |number: i64| running(&format!("req_{number:04}"), "claude-opus-4-5", number);
    let mut app = showing((0..200).map(of).collect());
    press(&mut app, "G", SMALL);
    press(&mut app, "kk", SMALL);
    check("many", &mut app);
}

#[test]
fn wide_and_hostile_texts_stay_in_their_cells() {
    let texts = [
        "まず玉ねぎをできるだけ細かく刻んでください。それから鍋を温めます",
        "\u{1b}[2J\u{1b}]0;mine\u{7}\u{1b}[31mred\u{1b}[0m \u{9b}5A up and \u{202e}dlrow\u{202c}",
        "👩\u{200d}🚀 and 👍🏽 and ❤\u{fe0f} and e\u{301}\u{302}\u{303}\u{304}",
        "first line\nsecond line\ttabbed\r\nthird",
    ];
    let mut streams = Vec::new();
    for (number, text) in (1..).zip(texts) {
        let mut summary = running(
            &format!("日本\u{202e}{number}"),
            "模型-大型语言模型-二〇二六版",
            number,
        );
        summary.provider = Some("pro\u{1b}[1mvider".to_owned());
        summary.agent_type = Some("コック長".to_owned());
        summary.text = text.to_owned();
        streams.push(summary);
    }
    let mut app = showing(streams);
    check("wide", &mut app);
    press(&mut app, "enter", SMALL);
    check("wide_detail", &mut app);
}

#[test]
fn the_four_lists() {
    let mut app = mixed();
    check("active", &mut app);
    press(&mut app, "2", SMALL);
    check("recent", &mut app);
    press(&mut app, "3", SMALL);
    check("models", &mut app);
    press(&mut app, "4", SMALL);
    check("errors", &mut app);
}

#[test]
fn a_paused_picture_stands_still() {
    let mut app = mixed();
    press(&mut app, "space", SMALL);
    let before = text_of(&mut app, SMALL);
    app.tick(NOW + 60_000);
    app.apply(StreamFeedFrame::Active(picture(Vec::new())));
    assert_eq!(text_of(&mut app, SMALL), before);
    check("paused", &mut app);
    press(&mut app, "p", SMALL);
    assert!(text_of(&mut app, SMALL).contains("active 0"), "it goes on");
}

#[test]
fn a_filter_is_written_and_its_mistakes_are_told() {
    let mut app = mixed();
    press(&mut app, "/ model:gpt", SMALL);
    press(&mut app, "space cost>x", SMALL);
    check("filter_wrong", &mut app);
    for _ in 0.."cost>x".len() {
        app.key(crossterm::event::KeyCode::Backspace.into());
    }
    press(&mut app, "enter", SMALL);
    check("filter", &mut app);
}

#[test]
fn a_detail_has_the_text_and_the_numbers() {
    let mut app = mixed();
    press(&mut app, "j enter", SMALL);
    check("detail", &mut app);
    press(&mut app, "tab", SMALL);
    check("detail_text_only", &mut app);
    press(&mut app, "esc 2 jj enter", SMALL);
    check("detail_completed", &mut app);
    press(&mut app, "esc 4 j enter", SMALL);
    check("detail_failed", &mut app);
}

#[test]
fn an_alert_has_a_line_of_its_own() {
    let mut app = mixed();
    let raised = alert("$12.50 in the last hour, more than $10.00", true);
    app.apply(StreamFeedFrame::Alert(raised));
    check("alert", &mut app);
    app.apply(StreamFeedFrame::Alert(alert(
        "$9.00 in the last hour",
        false,
    )));
    assert!(!text_of(&mut app, SMALL).contains("cost of the hour"));
}

#[test]
fn a_lost_hub_leaves_the_last_picture() {
    let mut app = mixed();
    disconnect(&mut app);
    check("disconnected", &mut app);
}

#[test]
fn help_and_menu_lie_over_the_list() {
    let mut app = mixed();
    press(&mut app, "?", SMALL);
    check("help", &mut app);
    press(&mut app, "esc s jj", SMALL);
    check("menu", &mut app);
}

#[test]
fn the_panel_gives_way() {
    let mut app = mixed();
    press(&mut app, "tab", SMALL);
    assert!(text_of(&mut app, SMALL).contains("── time to first token"));
    press(&mut app, "tab", SMALL);
    assert!(!text_of(&mut app, SMALL).contains("──"));
    press(&mut app, "tab ++", SMALL);
    assert!(text_of(&mut app, SMALL).contains("· 5 min"));
}

#[test]
fn without_colours_every_cell_has_the_terminals_own() {
    let mut streams = vec![running("a", "m", 1), completed("b", "m", 1)];
    streams.push(failed("c", 1, "no", Some("x")));
    let mut app = App::new("http://h", false, NOW);
    app.apply(StreamFeedFrame::Active(picture(streams)));
    app.apply(StreamFeedFrame::Alert(alert("too much", true)));
    disconnect(&mut app);
    let mut n_coloured = 0;
    for keys in ["1", "2", "3", "4", "1 enter", "esc ?", "esc s", "esc"] {
        press(&mut app, keys, SMALL);
        let buffer = buffer_of(&mut app, SMALL);
        let is_own = |style: Style| {
            [style.fg, style.bg]
                .iter()
                .all(|colour| matches!(colour, None | Some(Color::Reset)))
        };
        assert!(
            buffer.content.iter().all(|cell| is_own(cell.style())),
            "{keys}"
        );
        app.is_colourful = true;
        let buffer = buffer_of(&mut app, SMALL);
        n_coloured += buffer
            .content
            .iter()
            .filter(|cell| !is_own(cell.style()))
            .count();
        app.is_colourful = false;
    }
    assert!(n_coloured > 0, "there are no colours at all");
}

#[test]
fn states_are_told_by_signs() {
    let mut app = mixed();
    for (keys, signs) in [("1", "●◌"), ("2", "✓✗⊘"), ("4", "✗⊘")] {
        press(&mut app, keys, SMALL);
        let text = text_of(&mut app, SMALL);
        for sign in signs.chars() {
            assert!(text.contains(sign), "{keys} {sign}: {text}");
        }
    }
}

#[test]
fn the_smallest_screens_are_drawn_too() {
    let mut app = mixed();
    for (width, height) in [(1, 1), (10, 3), (24, 6), (30, 10), (300, 100), (80, 7)] {
        for keys in ["1", "enter", "tab", "esc ?", "esc s", "esc /", "esc"] {
            let area = Rect::new(0, 0, width, height);
            press(&mut app, keys, area);
            drawn(&mut app, area);
        }
    }
    let line = text_of(&mut app, Rect::new(0, 0, 30, 3));
    assert!(line.contains("the terminal is too small"), "{line}");
}

#[test]
fn a_picture_that_never_streamed_is_no_number() {
    let mut waiting = running("r", "", 5);
    waiting.state = StreamState::Waiting;
    waiting.text_bytes = 0;
    waiting.text.clear();
    waiting.provider = None;
    waiting.agent_type = None;
    let mut app = app();
    app.apply(StreamFeedFrame::Active(picture(vec![waiting])));
    let text = text_of(&mut app, SMALL);
    let row = text.lines().find(|line| line.contains('◌')).unwrap();
    assert!(
        !row.contains('0') && row.matches(" - ").count() >= 5,
        "{row}"
    );
}
