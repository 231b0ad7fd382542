//! Whatever comes in and whatever is pressed, nothing breaks and nothing is drawn outside.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use events_models::{
    ActiveStreams, AlertKind, ModelTotals, StreamAlert, StreamDetail, StreamFeedFrame, StreamState,
    StreamSummary, StreamTotals, TuiStreamEvent, Usd,
};
use proptest::{collection::vec, prelude::*};
use ratatui::{buffer::Buffer, layout::Rect};

use crate::{app::App, sample::NOW, view};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{0,3}",
        "(?s)(.|\u{1b}|\\[|日|🚀|\u{301}|\u{200d}|\u{202e}|\n){0,30}",
        Just("日本語".repeat(60)),
        Just("x".repeat(6_000)),
    ]
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-e]",
        Just("日\u{1b}[1m".to_owned()),
        Just("i".repeat(300))
    ]
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![
        NOW - 100_000..NOW + 100_000,
        Just(i64::MIN),
        Just(i64::MAX),
        Just(0),
    ]
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..100_000, Just(u64::MAX)]
}

fn money() -> impl Strategy<Value = Usd> {
    prop_oneof![0_u128..10_u128.pow(13), Just(u128::MAX)].prop_map(Usd::from_picos)
}

fn detail() -> impl Strategy<Value = Box<StreamDetail>> {
    (
        proptest::option::of(text()),
        proptest::option::of(count()),
        proptest::option::of(count()),
        proptest::option::of(any::<u16>()),
        any::<bool>(),
    )
        .prop_map(|(text, first, second, status, partial)| {
            Box::new(StreamDetail {
                model: text.clone(),
                response_id: text.clone(),
                cached_input_tokens: first,
                cache_write_tokens: second,
                reasoning_tokens: first,
                estimated_output_tokens: second,
                finish_reason: text.clone(),
                error_code: text.clone(),
                http_status: status,
                time_to_first_token_ms: first,
                duration_ms: second,
                notice: text,
                partial,
            })
        })
}

fn totals() -> impl Strategy<Value = StreamTotals> {
    (count(), count(), money()).prop_map(|(first, second, cost_usd)| StreamTotals {
        started: first,
        completed: second,
        failed: first,
        input_tokens: second,
        cached_input_tokens: first,
        output_tokens: second,
        cost_usd,
        unpriced: first,
        unreported: second,
    })
}

fn summary() -> impl Strategy<Value = StreamSummary> {
    let state = prop_oneof![
        Just(StreamState::Waiting),
        Just(StreamState::Streaming),
        Just(StreamState::Completed),
        Just(StreamState::Failed),
    ];
    (
        id(),
        text(),
        state,
        time(),
        proptest::option::of(time()),
        count(),
        money(),
        detail(),
    )
        .prop_map(|(id, text, state, began, ended, count, cost, detail)| {
            let mut summary = StreamSummary::new(id.as_str().into(), text.clone(), began);
            summary.state = state;
            summary.agent_type = Some(text.clone());
            summary.provider = Some(text.clone());
            summary.last_event_at = ended;
            summary.ended_at = ended;
            summary.text.clone_from(&text);
            summary.text_bytes = count;
            summary.reasoning_bytes = count;
            summary.tool_calls = count;
            summary.input_tokens = Some(count);
            summary.cost_usd = Some(cost);
            summary.message = Some(text);
            summary.detail = detail;
            summary
        })
}

fn alert() -> impl Strategy<Value = StreamAlert> {
    let kind = prop_oneof![
        Just(AlertKind::StreamCost),
        Just(AlertKind::HourlyCost),
        Just(AlertKind::ErrorRate),
    ];
    (
        kind,
        any::<bool>(),
        proptest::option::of(id()),
        text(),
        time(),
    )
        .prop_map(|(kind, is_raised, id, message, timestamp)| StreamAlert {
            kind,
            is_raised,
            request_id: id.map(|id| id.as_str().into()),
            message,
            timestamp,
        })
}

fn frame() -> impl Strategy<Value = StreamFeedFrame> {
    let active = (
        (time(), time(), count()),
        vec(summary(), 0..6),
        totals(),
        vec((proptest::option::of(text()), text(), totals()), 0..4),
        vec(alert(), 0..3),
    )
        .prop_map(|((at, since, lost), streams, totals, models, alerts)| {
            StreamFeedFrame::Active(ActiveStreams {
                at,
                since,
                streams,
                totals,
                models: models
                    .into_iter()
                    .map(|(provider, model, totals)| ModelTotals {
                        provider,
                        model,
                        totals,
                    })
                    .collect(),
                alerts,
                lost,
            })
        });
    let event = (
        id(),
        text(),
        proptest::option::of(time()),
        count(),
        detail(),
        0..4,
    )
        .prop_map(|(id, text, timestamp, count, detail, kind)| {
            let request_id = id.as_str().into();
            StreamFeedFrame::Event(match kind {
                0 => TuiStreamEvent::Started {
                    request_id,
                    model: text.clone(),
                    agent_type: Some(text),
                    provider: None,
                    timestamp,
                },
                1 => TuiStreamEvent::TextDelta {
                    request_id,
                    text,
                    timestamp,
                },
                2 => TuiStreamEvent::Completed {
                    request_id,
                    input_tokens: Some(count),
                    output_tokens: None,
                    cost_usd: Some(Usd::from_picos(u128::from(count))),
                    detail,
                    timestamp,
                },
                _ => TuiStreamEvent::Error {
                    request_id,
                    message: text,
                    input_tokens: None,
                    output_tokens: Some(count),
                    cost_usd: None,
                    detail,
                    timestamp,
                },
            })
        });
    prop_oneof![
        1 => active,
        4 => event,
        1 => alert().prop_map(StreamFeedFrame::Alert),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Frame(StreamFeedFrame),
    Key(KeyCode, bool),
    Paste(String),
    Later(i64),
    Draw(u16, u16),
}

fn step() -> impl Strategy<Value = Step> {
    let named = prop_oneof![
        Just(KeyCode::Enter),
        Just(KeyCode::Esc),
        Just(KeyCode::Tab),
        Just(KeyCode::PageUp),
        Just(KeyCode::PageDown),
        Just(KeyCode::Backspace),
        Just(KeyCode::Left),
        Just(KeyCode::Right),
        Just(KeyCode::F(5)),
    ];
    let letter = proptest::sample::select(
        "jkgGhlisfp1234/?cy+-qmodel:a>1 \"日"
            .chars()
            .collect::<Vec<_>>(),
    );
    let code = prop_oneof![named, letter.prop_map(KeyCode::Char)];
    prop_oneof![
        4 => frame().prop_map(Step::Frame),
        6 => (code, proptest::bool::weighted(0.05)).prop_map(|(code, control)| Step::Key(code, control)),
        1 => text().prop_map(Step::Paste),
        1 => prop_oneof![0_i64..100_000, Just(i64::MAX / 2)].prop_map(Step::Later),
        3 => (0_u16..160, 0_u16..50).prop_map(|(width, height)| Step::Draw(width, height)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_breaks_and_nothing_is_drawn_outside(steps in vec(step(), 1..40)) {
        let mut app = App::new("http://h:1", true, NOW);
        let mut now = NOW;
        for step in steps.into_iter().chain([Step::Draw(80, 24), Step::Draw(140, 40)]) {
            match step {
                Step::Frame(frame) => app.apply(frame),
                Step::Key(code, is_control) => {
                    let modifiers = if is_control { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
                    app.key(KeyEvent::new(code, modifiers));
                }
                Step::Paste(text) => app.paste(&text),
                Step::Later(millis) => {
                    now = now.saturating_add(millis);
                    app.tick(now);
                }
                Step::Draw(width, height) => {
                    let area = Rect::new(3, 2, width, height);
                    let whole = Rect::new(0, 0, width + 7, height + 5);
                    let mut buffer = Buffer::filled(whole, ratatui::buffer::Cell::new("#"));
                    app.settle(area);
                    view::draw(&app, area, &mut buffer);
                    for y in 0..whole.height {
                        for x in 0..whole.width {
                            let symbol = buffer[(x, y)].symbol();
                            if !area.contains((x, y).into()) {
                                prop_assert_eq!(symbol, "#", "at {},{} of {:?}", x, y, area);
                            }
                            prop_assert!(!symbol.contains(char::is_control), "{:?}", symbol);
                        }
                    }
                }
            }
        }
    }
}
