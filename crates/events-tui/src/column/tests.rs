//! Columns that fit, and their order.

use events_models::{StreamState, StreamSummary};

use super::*;

fn titles(view: View, width: u16) -> String {
    let fitting = fit(view.columns(), width);
    let taken: u16 = fitting.iter().map(|(_, width)| width + 1).sum();
    assert!(taken <= width + 1, "{view:?} {width}: {fitting:?}");
    let titles: Vec<&str> = fitting.iter().map(|(column, _)| column.title()).collect();
    titles.join(" ")
}

#[test]
fn columns_are_left_out_by_rank() {
    assert_eq!(
        titles(View::Active, 80),
        "S AGE MODEL IN OUT TOK/S TTFT COST TEXT"
    );
    assert_eq!(
        titles(View::Active, 140),
        "S AGE ID AGENT PROVIDER MODEL IN CACHED OUT TOK/S LAST 8S TTFT COST TEXT"
    );
    assert_eq!(titles(View::Active, 30), "S AGE MODEL");
    assert_eq!(titles(View::Errors, 80), "S AGO MODEL HTTP CODE MESSAGE");
    assert_eq!(
        titles(View::Models, 80),
        "MODEL RUN STARTED DONE FAILED IN CACHED OUT COST"
    );
    for view in View::ALL {
        for width in 20..300 {
            titles(view, width);
        }
        // The whole width is used where there is room.
        let taken: u16 = fit(view.columns(), 140)
            .iter()
            .map(|(_, width)| width + 1)
            .sum();
        assert!(taken > 100, "{view:?} {taken}");
    }
}

#[test]
fn what_is_not_known_comes_last_whichever_way() {
    let stream = |number: u64, tokens: Option<u64>| {
        let mut summary = StreamSummary::new(format!("r{number}").into(), "m", 0);
        summary.state = StreamState::Completed;
        summary.input_tokens = tokens;
        Stream::new(number, summary, 100)
    };
    let streams = [
        stream(1, Some(5)),
        stream(2, None),
        stream(3, Some(9)),
        stream(4, None),
    ];
    let sorted = |is_inverted| {
        let mut sorted: Vec<&Stream> = streams.iter().collect();
        Column::Input.sort(&mut sorted, is_inverted, 0);
        sorted
            .iter()
            .map(|stream| stream.number)
            .collect::<Vec<_>>()
    };
    assert_eq!(sorted(false), [3, 1, 2, 4]);
    assert_eq!(sorted(true), [1, 3, 2, 4]);
}

#[test]
fn a_cell_says_what_is_guessed_and_what_is_not_known() {
    let mut summary = StreamSummary::new("r".into(), "", 0);
    summary.state = StreamState::Streaming;
    let mut stream = Stream::new(1, summary, 100);
    for column in [
        Column::Input,
        Column::Output,
        Column::Cost,
        Column::FirstToken,
        Column::Model,
    ] {
        assert_eq!(column.of(&stream, 0), "-", "{column:?}");
    }
    stream.append("12345", 400, 400, 100);
    assert_eq!(Column::Output.of(&stream, 500), "~2");
    assert_eq!(Column::FirstToken.of(&stream, 500), "~400ms");
    assert!(Column::Rate.of(&stream, 500).starts_with('~'));
    stream.summary.state = StreamState::Completed;
    stream.summary.output_tokens = Some(3);
    stream.summary.detail.time_to_first_token_ms = Some(300);
    stream.summary.detail.duration_ms = Some(1_300);
    assert_eq!(Column::Output.of(&stream, 500), "3");
    assert_eq!(Column::FirstToken.of(&stream, 500), "300ms");
    assert_eq!(Column::Rate.of(&stream, 500), "3.0");
}

#[test]
fn a_spark_line_has_its_highest_bar_where_most_was() {
    assert_eq!(spark(&[0, 1, 4, 8]), " ▁▄█");
    assert_eq!(spark(&[0, 0]), "  ");
    assert_eq!(spark(&[u64::MAX, 1]), "█▁");
}
