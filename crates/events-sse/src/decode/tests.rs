use super::*;

fn all() -> DecoderOptions {
    DecoderOptions {
        comments: true,
        ..DecoderOptions::default()
    }
}

fn capped(max_event_bytes: usize) -> DecoderOptions {
    DecoderOptions {
        max_event_bytes,
        ..DecoderOptions::default()
    }
}

/// One line per item: name, data and cursor of events, and what else there is.
fn shown(item: Item) -> String {
    match item {
        Item::Event(event) => {
            let cursor = event.last_event_id.as_deref().unwrap_or("-");
            format!("{} {:?} {cursor}", event.event, event.data)
        }
        Item::Comment(text) => format!(": {text}"),
        Item::Retry(wait) => format!("retry {}", wait.as_millis()),
        Item::Oversized { bytes } => format!("oversized {bytes}"),
    }
}

/// Reads the stream whole, then byte by byte, and sees that both are the same.
#[track_caller]
fn check(options: DecoderOptions, stream: &[u8], expected: &[&str]) {
    let whole: Vec<String> = Decoder::new(options).feed(stream).map(shown).collect();
    assert_eq!(whole, expected, "{}", stream.escape_ascii());
    let mut decoder = Decoder::new(options);
    let mut byte_by_byte = Vec::new();
    for byte in stream.chunks(1) {
        byte_by_byte.extend(decoder.feed(byte).map(shown));
    }
    assert_eq!(
        byte_by_byte,
        expected,
        "{} byte by byte",
        stream.escape_ascii()
    );
}

#[test]
fn the_standard_s_examples_hold() {
    check(
        all(),
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
        &[": test stream", "message \"first event\" 1", "message \"second event\" -", "message \" third event\" -"],
    );
    check(
        all(),
        b"data\n\ndata\ndata\n\ndata:",
        &["message \"\" -", "message \"\\n\" -"],
    );
    check(
        all(),
        b"data:test\n\ndata: test\n\n",
        &["message \"test\" -", "message \"test\" -"],
    );
    check(
        all(),
        b"event: add\ndata: 1\n\nevent: a\n\ndata: 2\n\n",
        &["add \"1\" -", "message \"2\" -"],
    );
}

#[test]
fn every_line_end_is_one() {
    for end in ["\n", "\r", "\r\n"] {
        let stream = "data: a\ndata: b\n\ndata: c\n\n".replace('\n', end);
        check(
            all(),
            stream.as_bytes(),
            &["message \"a\\nb\" -", "message \"c\" -"],
        );
    }
    check(
        all(),
        b"data: a\r\n\rdata: b\n\r\n",
        &["message \"a\" -", "message \"b\" -"],
    );
}

#[test]
fn a_cr_at_the_end_of_a_chunk_delays_nothing() {
    let mut decoder = Decoder::new(all());
    assert_eq!(decoder.feed(b"data: a\r\n\r").count(), 1);
    assert_eq!(decoder.feed(b"\ndata: b\r\r").count(), 1);
}

#[test]
fn an_id_alone_sets_the_cursor_and_dispatches_nothing() {
    check(all(), b"id: X\n\ndata: a\n\n", &["message \"a\" X"]);
    let mut decoder = Decoder::new(all());
    assert_eq!(decoder.feed(b"id: X\n").count(), 0);
    assert_eq!(decoder.last_event_id(), None);
    assert_eq!(decoder.feed(b"\n").count(), 0);
    assert_eq!(decoder.last_event_id(), Some("X"));
    assert_eq!(decoder.feed(b"id:\n\n").count(), 0);
    assert_eq!(decoder.last_event_id(), None);
}

#[test]
fn the_cursor_never_runs_ahead_of_the_items() {
    let mut decoder = Decoder::new(all());
    let mut rest = &b"id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: c\n"[..];
    for cursor in ["1", "2"] {
        assert!(decoder.decode(&mut rest).is_some());
        assert_eq!(decoder.last_event_id(), Some(cursor));
    }
    assert_eq!(decoder.decode(&mut rest), None);
    assert_eq!(decoder.finish(), None);
    assert_eq!(decoder.last_event_id(), Some("2"));
}

#[test]
fn ids_with_nul_and_odd_retries_are_ignored() {
    check(
        all(),
        b"id: a\0b\nid: c\nid: \0\ndata: x\n\n",
        &["message \"x\" c"],
    );
    check(
        all(),
        b"retry: 15\nretry: +1\nretry: 1a\nretry:\nretry\nretry:  1\nretry: 99999999999999999999999\n",
        &["retry 15", "retry 18446744073709551615"],
    );
}

#[test]
fn unknown_fields_and_fields_in_other_letters_are_ignored() {
    check(
        all(),
        b"Data: a\ndatab: b\n data: c\nda\nevents: d\n\ndata: e\n\n",
        &["message \"e\" -"],
    );
}

#[test]
fn one_byte_order_mark_is_taken_off_at_the_start_only() {
    check(all(), b"\xEF\xBB\xBFdata: a\n\n", &["message \"a\" -"]);
    check(
        all(),
        b"\xEF\xBB\xBF\xEF\xBB\xBFdata: a\n\ndata: b\n\n",
        &["message \"b\" -"],
    );
    check(
        all(),
        b"\n\xEF\xBB\xBFdata: a\n\ndata: b\n\n",
        &["message \"b\" -"],
    );
    check(
        all(),
        b"\xEF\xBBdata: a\n\ndata: b\n\n",
        &["message \"b\" -"],
    );
    check(all(), b"\xEF\n\ndata: b\n\n", &["message \"b\" -"]);
}

#[test]
fn invalid_text_is_replaced_as_in_the_whole_stream() {
    for value in [
        &b"\xC3"[..],
        b"\xF0\x9F\x92",
        b"\xED\xA0\x80",
        b"a\xFF\xFEb",
    ] {
        let stream = [b"data: ", value, b"\ndata: \xC3\xA9\n\n"].concat();
        let data = String::from_utf8_lossy(value).into_owned() + "\n\u{e9}";
        check(all(), &stream, &[&format!("message {data:?} -")]);
    }
}

#[test]
fn comments_are_returned_only_if_asked_for() {
    let stream = b"data: a\n: inline\ndata: b\n:\n\n:x\n\n";
    check(
        all(),
        stream,
        &[": inline", ": ", "message \"a\\nb\" -", ": x"],
    );
    check(DecoderOptions::default(), stream, &["message \"a\\nb\" -"]);
}

#[test]
fn a_block_over_the_cap_is_skipped_and_reading_goes_on_behind_it() {
    // "data: 12345" is 11 bytes; held are 6 of them, with the LF.
    check(capped(11), b"data: 12345\n\n", &["message \"12345\" -"]);
    check(
        capped(10),
        b"data: 12345\n\ndata: 1\n\n",
        &["oversized 12", "message \"1\" -"],
    );
    check(
        capped(12),
        b"data: 12345\ndata: 1\n\ndata: 2\n\n",
        &["oversized 20", "message \"2\" -"],
    );
    check(
        capped(11),
        b"id: 1\ndata: 12345678\nretry: 1\ndata: x\n\ndata: 2\n\n",
        &["oversized 38", "message \"2\" 1"],
    );
    check(capped(0), b"\n\ndata\n\n\n", &["oversized 5"]);
}

#[test]
fn a_block_that_never_ends_holds_no_memory() {
    let mut decoder = Decoder::new(capped(1_000));
    for _ in 0..1_000 {
        assert_eq!(decoder.feed(&[b'x'; 1_000]).count(), 0);
        assert_eq!(decoder.feed(b"\ndata: y").count(), 0);
        assert!(decoder.line.capacity() + decoder.data.capacity() <= 4_000);
    }
}

#[test]
fn no_byte_is_searched_twice() {
    let stream = [
        &b"data: "[..],
        &[b'x'; 20_000],
        b"\n: ",
        &[b'y'; 20_000],
        b"\n\n",
    ]
    .concat();
    let mut decoder = Decoder::new(all());
    let n_items: usize = stream
        .chunks(1)
        .map(|byte| decoder.feed(byte).count())
        .sum();
    assert_eq!(n_items, 2);
    assert_eq!(decoder.cutter.n_searched, stream.len());
}

#[test]
fn an_unterminated_event_is_returned_at_the_end_only_if_asked_for() {
    for stream in ["id: 1\ndata: a", "id: 1\ndata: a\n", "id: 1\ndata: a\r"] {
        let mut decoder = Decoder::new(all());
        assert_eq!(decoder.feed(stream.as_bytes()).count(), 0);
        assert_eq!(decoder.finish(), None);
        assert_eq!(decoder.last_event_id(), None);
        let mut decoder = Decoder::new(DecoderOptions {
            unterminated: true,
            ..all()
        });
        for byte in stream.as_bytes().chunks(1) {
            assert_eq!(decoder.feed(byte).count(), 0);
        }
        assert_eq!(
            decoder.finish().map(shown).as_deref(),
            Some("message \"a\" 1")
        );
        assert_eq!(decoder.finish(), None);
    }
}

#[test]
fn half_an_id_at_the_end_is_no_cursor() {
    let mut decoder = Decoder::new(DecoderOptions {
        unterminated: true,
        ..all()
    });
    assert_eq!(decoder.feed(b"data: a\nid: 12").count(), 0);
    assert_eq!(
        decoder.finish().map(shown).as_deref(),
        Some("message \"a\" -")
    );
}

#[test]
fn the_next_stream_begins_afresh_with_the_old_cursor() {
    let mut decoder = Decoder::new(all());
    assert_eq!(
        decoder
            .feed(b"id: 1\ndata: a\n\nevent: x\nid: 2\ndata: b\r")
            .count(),
        1
    );
    assert_eq!(decoder.finish(), None);
    let items: Vec<String> = decoder
        .feed(b"\xEF\xBB\xBFdata: c\n\n")
        .map(shown)
        .collect();
    assert_eq!(items, ["message \"c\" 1"]);
    decoder.set_last_event_id("9");
    assert_eq!(decoder.last_event_id(), Some("9"));
}

#[test]
fn recorded_streams_hold_what_their_makers_meant() {
    let recorded: [(&str, &[u8], usize, usize); 9] = [
        ("plain", include_bytes!("../testdata/plain.sse"), 5, 0),
        (
            "ids",
            include_bytes!("../testdata/ids-events-retry-comments.sse"),
            5,
            0,
        ),
        (
            "multi-line",
            include_bytes!("../testdata/multi-line-data.sse"),
            2,
            0,
        ),
        (
            "unterminated",
            include_bytes!("../testdata/last-frame-unterminated.sse"),
            1,
            1,
        ),
        // The official client fails on it; by the standard it is a stream like any other.
        ("crlf", include_bytes!("../testdata/crlf.sse"), 5, 0),
        (
            "done",
            include_bytes!("../testdata/done-sentinel.sse"),
            3,
            0,
        ),
        (
            "heartbeat",
            include_bytes!("../testdata/named-heartbeat.sse"),
            3,
            0,
        ),
        (
            "cut",
            include_bytes!("../testdata/cut-inside-frame.sse"),
            2,
            1,
        ),
        (
            "comments",
            include_bytes!("../testdata/heartbeat-comments-only-gap.sse"),
            2,
            0,
        ),
    ];
    for (name, stream, n_events, n_unterminated) in recorded {
        let mut decoder = Decoder::new(DecoderOptions {
            unterminated: true,
            ..DecoderOptions::default()
        });
        let n_found = decoder
            .feed(stream)
            .filter(|item| matches!(item, Item::Event(_)))
            .count();
        assert_eq!(n_found, n_events, "{name}");
        assert_eq!(decoder.finish().iter().count(), n_unterminated, "{name}");
    }
}
