//! The decoder of event streams, against the standard's steps on the whole stream at once.

use events_sse::{Decoder, DecoderOptions, Item};
use events_tests::fuzz::{Example, Fuzz, cuts, files, fixtures};
use events_tests::skip::workspace_root;

use super::{ensure, must_find};

/// Name, data, and cursor (empty for none).
type Seen = (String, String, String);

/// A larger event is passed over.
const CAP: usize = 8 << 10;

fn examples() -> Vec<Example> {
    let mut examples = files(&fixtures().join("agui/sse"));
    examples.retain(|example| example.name.ends_with(".sse"));
    let answers = workspace_root().join("crates/events-llm/tests/fixtures/llm");
    for provider in ["anthropic", "openai-chat", "gemini"] {
        examples.extend(files(&answers.join(provider)));
    }
    examples.retain(|example| example.bytes.len() < 8 << 10);
    examples
}

fn decode(chunks: &[&[u8]], max_event_bytes: usize) -> Vec<Item> {
    let mut decoder = Decoder::new(DecoderOptions {
        max_event_bytes,
        comments: true,
        unterminated: true,
    });
    let mut items = Vec::new();
    for chunk in chunks {
        items.extend(decoder.feed(chunk));
    }
    items.extend(decoder.finish());
    items
}

fn events(items: &[Item]) -> Vec<Seen> {
    let event = |item: &Item| match item {
        Item::Event(event) => {
            let id = event.last_event_id.as_deref().unwrap_or("").to_owned();
            Some((event.event.to_string(), event.data.clone(), id))
        }
        _ => None,
    };
    items.iter().filter_map(event).collect()
}

fn by_the_letter(stream: &[u8]) -> Vec<Seen> {
    let text = String::from_utf8_lossy(stream);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut text = text.replace("\r\n", "\n").replace('\r', "\n");
    // The standard throws an event away that its stream cuts; a reader of one answer wants it, and of its last line
    // only data, since half an id is a wrong one.
    let whole = text.rfind('\n').map_or(0, |at| at + 1);
    if !text[whole..].starts_with("data") {
        text.truncate(whole);
    }
    let text = text + "\n\n";
    let (mut data, mut name, mut id) = (Vec::new(), "", "");
    let mut seen = Vec::new();
    for line in text.split('\n') {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if line.is_empty() => {
                let named = if name.is_empty() { "message" } else { name };
                let whole = data.join("\n");
                if !data.is_empty() {
                    seen.push((named.to_owned(), whole, id.to_owned()));
                }
                (data, name) = (Vec::new(), "");
            }
            "data" => data.push(value),
            "event" => name = value,
            "id" if !value.contains('\0') => id = value,
            _ => {}
        }
    }
    seen
}

fn check(stream: &[u8], decode: impl Fn(&[&[u8]], usize) -> Vec<Item>) -> Result<(), String> {
    let chunks = cuts(stream);
    let read = events(&decode(&chunks, usize::MAX));
    let letter = by_the_letter(stream);
    ensure!(read == letter, "read {read:?}\nand it says {letter:?}");
    let (capped, whole) = (decode(&chunks, CAP), decode(&[stream], CAP));
    ensure!(capped == whole, "cut: {capped:?}\nwhole: {whole:?}");
    let longest = events(&capped).iter().map(|event| event.1.len()).max();
    // Bytes are counted as they come, and one that is not UTF-8 is told as the three of U+FFFD.
    ensure!(
        longest.is_none_or(|n_bytes| n_bytes <= 3 * CAP),
        "{longest:?} bytes of {CAP}"
    );
    Ok(())
}

#[test]
fn a_stream_is_read_by_the_letter_wherever_it_is_cut() {
    Fuzz::new("sse", examples()).run(|stream| check(stream, decode));
}

#[test]
fn a_decoder_that_takes_the_halves_of_a_line_end_for_two_is_found() {
    let by_halves = |chunks: &[&[u8]], cap: usize| {
        let mut kept: Vec<Vec<u8>> = Vec::new();
        for chunk in chunks {
            let is_half =
                kept.last().is_some_and(|last| last.ends_with(b"\r")) && chunk.starts_with(b"\n");
            kept.push(if is_half {
                [&b"\n"[..], chunk].concat()
            } else {
                chunk.to_vec()
            });
        }
        let chunks: Vec<&[u8]> = kept.iter().map(Vec::as_slice).collect();
        decode(&chunks, cap)
    };
    let fuzz = Fuzz::new("sse", examples());
    must_find(&fuzz, "two line ends for CR LF in two chunks", |stream| {
        check(stream, by_halves)
    });
}
