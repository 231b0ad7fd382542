use std::sync::Arc;

use bytes::Bytes;
use events_core::Epoch;
use proptest::prelude::*;

use super::*;
use crate::{Decoder, DecoderOptions, Item, SseEvent};

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    encode(&mut out);
    String::from_utf8(out).unwrap()
}

fn framed(frame: &Frame) -> String {
    encoded(|out| encode_frame(None, frame, out))
}

/// Decodes with the cuts applied, each taken modulo the length of what is left.
fn decoded(wire: &[u8], cuts: &[usize]) -> Vec<Item> {
    let options = DecoderOptions {
        comments: true,
        ..DecoderOptions::default()
    };
    let mut decoder = Decoder::new(options);
    let mut items = Vec::new();
    let mut rest = wire;
    for cut in cuts {
        let (chunk, behind) = rest.split_at(cut % (rest.len() + 1));
        items.extend(decoder.feed(chunk));
        rest = behind;
    }
    items.extend(decoder.feed(rest));
    items
}

/// What a reader sees of a payload: text, with LF for each line break.
fn seen(payload: &[u8]) -> String {
    String::from_utf8_lossy(payload)
        .replace("\r\n", "\n")
        .replace('\r', "\n")
}

#[test]
fn what_is_written_around_a_payload_is_what_a_frame_has_around_it() {
    let envelope = || events_core::Envelope {
        protocol: "agui",
        thread: Some(Arc::from("t")),
    };
    let id = Some(EventId::new(Epoch::generate(), 7, 9));
    for frame in [
        Frame::json("{}"),
        Frame::json("{}").named("n"),
        Frame::json("{}").named("n").wrapped(envelope()),
    ] {
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        assert!(encode_around(id, &frame, &mut head, &mut tail));
        head.extend_from_slice(b"{}");
        head.extend(tail);
        let whole = encoded(|out| encode_frame(id, &frame, out));
        assert_eq!(String::from_utf8(head).unwrap(), whole);
    }
    let broken = Frame::json("1\n2");
    assert!(!encode_around(
        None,
        &broken,
        &mut Vec::new(),
        &mut Vec::new()
    ));
}

#[test]
fn a_payload_s_line_breaks_are_lines() {
    for (payload, wire) in [
        ("", "data: \n\n"),
        ("a\r\nb\rc\nd", "data: a\ndata: b\ndata: c\ndata: d\n\n"),
        ("\n", "data: \ndata: \n\n"),
        ("\r\n\r", "data: \ndata: \ndata: \n\n"),
        ("a\n\rb", "data: a\ndata: \ndata: b\n\n"),
        (
            "\0\u{2028}\u{2029}\u{85}",
            "data: \0\u{2028}\u{2029}\u{85}\n\n",
        ),
        ("\u{feff}: x", "data: \u{feff}: x\n\n"),
    ] {
        assert_eq!(framed(&Frame::json(payload)), wire);
    }
}

#[test]
fn nothing_can_inject_a_field() {
    let frame = Frame::json("x\nid: 2").named("a\r\nid: 1\n\ndata: y");
    assert_eq!(
        framed(&frame),
        "event: a  id: 1  data: y\ndata: x\ndata: id: 2\n\n"
    );
    let comment = encoded(|out| encode_comment("a\rid: 3\n\n", out));
    assert_eq!(comment, ": a\n: id: 3\n: \n: \n\n");
    for id in ["a\nb", "a\rb", "a\0b"] {
        let named = encoded(|out| encode_named("gap", Some(id), b"{}", out));
        assert_eq!(named, "event: gap\ndata: {}\n\n");
    }
    let envelope = Envelope {
        protocol: "agui",
        thread: Some(Arc::from("t\",\n\\\u{1}é")),
    };
    assert_eq!(
        framed(&Frame::json("{}").wrapped(envelope)),
        "data: {\"protocol\":\"agui\",\"thread\":\"t\\\",\\n\\\\\\u0001é\",\"event\":{}}\n\n"
    );
}

#[test]
fn an_envelope_without_a_thread_names_none() {
    let envelope = Envelope {
        protocol: "system",
        thread: None,
    };
    let wire = framed(&Frame::json("{}").wrapped(envelope));
    assert_eq!(wire, "data: {\"protocol\":\"system\",\"event\":{}}\n\n");
}

#[test]
fn the_head_of_a_stream_is_retry_comment_and_cursor() {
    let id = EventId::before_first(Epoch::from_bits(31));
    let head = encoded(|out| {
        encode_retry(2_500, out);
        encode_comment("hello", out);
        encode_id_only(id, out);
    });
    assert_eq!(head, "retry: 2500\n\n: hello\n\nid: 0000000v.0.0\n\n");
}

proptest! {
    #[test]
    fn a_frame_is_decoded_to_what_was_encoded(
        id in prop::option::of((any::<u64>(), any::<u64>(), any::<u32>())),
        name in "[a-z \u{e9}]{0,8}",
        data in prop_oneof![
            prop::collection::vec(prop::sample::select(&b"\r\n\0: a\xc3\xa9\xff"[..]), 0..60),
            prop::collection::vec(any::<u8>(), 0..60),
        ],
        thread in prop::option::of(".{0,12}"),
        is_wrapped: bool,
        cuts in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let id = id.map(|(epoch, seq, tag)| EventId::new(Epoch::from_bits(epoch), seq, tag));
        let mut frame = Frame::json(data.clone());
        frame.event = Some(&*name.clone().leak());
        let mut payload = data;
        if is_wrapped {
            let thread_json = thread
                .as_ref()
                .map(|thread| format!(",\"thread\":{}", serde_json::to_string(thread).unwrap()));
            let head = format!("{{\"protocol\":\"agui\"{},\"event\":", thread_json.unwrap_or_default());
            payload = [head.as_bytes(), &payload, b"}"].concat();
            frame = frame.wrapped(Envelope { protocol: "agui", thread: thread.map(Arc::from) });
        }
        let mut wire = Vec::new();
        encode_frame(id, &frame, &mut wire);
        encode_frame(None, &Frame::json("end"), &mut wire);
        prop_assert!(!wire.contains(&b'\r'));
        let id: Option<Arc<str>> = id.map(|id| Arc::from(id.to_string()));
        let event = if name.is_empty() { "message".to_owned() } else { name };
        prop_assert_eq!(decoded(&wire, &cuts), [
            Item::Event(SseEvent {
                event: event.into(),
                data: seen(&payload),
                id: id.clone(),
                last_event_id: id.clone(),
            }),
            Item::Event(SseEvent {
                event: "message".into(),
                data: "end".to_owned(),
                id: None,
                last_event_id: id,
            }),
        ]);
    }

    #[test]
    fn names_ids_and_comments_stay_in_their_field(
        name in "([\r\n\0:d]|data|id){0,6}",
        id in "[\r\n\0a: ]{0,6}",
        comment in "([\r\n\0: ]|data: x|id: y){0,6}",
        data in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut wire = Vec::new();
        encode_comment(&comment, &mut wire);
        encode_named(&name, Some(&id), &data, &mut wire);
        let items = decoded(&wire, &[]);
        let (comments, events): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|item| matches!(item, Item::Comment(_)));
        let comments: Vec<String> = comments
            .into_iter()
            .map(|item| match item {
                Item::Comment(line) => line,
                _ => unreachable!(),
            })
            .collect();
        prop_assert_eq!(comments.join("\n"), seen(comment.as_bytes()));
        let is_id_usable = !id.contains(['\r', '\n', '\0']);
        let id = is_id_usable.then(|| Arc::from(id));
        let name = name.replace(['\r', '\n'], " ");
        prop_assert_eq!(events, [Item::Event(SseEvent {
            event: if name.is_empty() { "message".into() } else { name.into() },
            data: seen(&data),
            last_event_id: id.clone().filter(|id: &Arc<str>| !id.is_empty()),
            id,
        })]);
    }
}

#[test]
fn a_shared_payload_is_written_as_it_is() {
    let payload = Bytes::from(vec![b'x'; 1 << 16]);
    let mut out = Vec::new();
    encode_frame(None, &Frame::json(payload.clone()), &mut out);
    assert_eq!(out.len(), payload.len() + "data: \n\n".len());
}
