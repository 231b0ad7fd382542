//! Events of all protocols: what is read is written as it was.

use events_models::{
    A2AEvent, AgUiEvent, AnalyticsEvent, RunAgentInput, SystemEvent, a2a::A2AVersion,
};
use events_tests::fuzz::{Example, Fuzz, files, fixtures, json_lines};
use serde_json::Value;

use super::{ensure, must_find};

type Write<'w> = &'w dyn Fn(Vec<u8>) -> Vec<u8>;

fn examples() -> Vec<Example> {
    let folder = fixtures();
    let mut examples = json_lines(&folder.join("agui/valid-events.jsonl"), "event");
    examples.extend(json_lines(
        &folder.join("agui/invalid-events.jsonl"),
        "event",
    ));
    examples.extend(json_lines(
        &folder.join("a2a/v1.0-events-valid.jsonl"),
        "event",
    ));
    examples.extend(json_lines(
        &folder.join("a2a/v0.3-events-valid.jsonl"),
        "event",
    ));
    let inputs: Vec<_> = examples
        .iter()
        .filter_map(|example| {
            let event: Value = serde_json::from_slice(&example.bytes).ok()?;
            let input = event.get("input")?.to_string();
            Some(Example::new(format!("{} input", example.name), input))
        })
        .collect();
    examples.extend(inputs);
    for json in [
        r#"{"type":"CONTEXT_CREATED","timestamp":"2026-06-24T12:00:00.123Z","context_id":"c","name":"n"}"#,
        r#"{"type":"PAGE_VIEW","timestamp":"2026-06-24T12:00:00Z","session_id":"s","page":"/"}"#,
    ] {
        examples.push(Example::new("ours", json));
    }
    examples.extend(files(&folder.join("a2a/cards")));
    examples
}

/// Whether everything that stands in `less` stands in `more`.
fn is_part(less: &Value, more: &Value) -> bool {
    match (less, more) {
        (Value::Object(less), Value::Object(more)) => less
            .iter()
            .all(|(name, value)| more.get(name).is_some_and(|other| is_part(value, other))),
        (Value::Array(less), Value::Array(more)) => {
            less.len() == more.len()
                && less
                    .iter()
                    .zip(more)
                    .all(|(one, other)| is_part(one, other))
        }
        // `1`, `1.0` and `1e0` are one number, and so are the zeros; digits of whole numbers count.
        (Value::Number(less), Value::Number(more)) if less.is_f64() || more.is_f64() => {
            less.as_f64() == more.as_f64()
        }
        _ => less == more,
    }
}

/// Reads, writes, reads and writes.
fn again<T: PartialEq>(
    json: &[u8],
    read: impl Fn(&[u8]) -> Option<T>,
    write: impl Fn(&T) -> Option<Vec<u8>>,
    change: Write<'_>,
) -> Result<Option<Vec<u8>>, String> {
    let Some(event) = read(json) else {
        return Ok(None);
    };
    let Some(first) = write(&event) else {
        return Err("what was read cannot be written".to_owned());
    };
    let first = change(first);
    let text = String::from_utf8_lossy(&first);
    ensure!(
        !first.contains(&b'\n') && !first.contains(&b'\r'),
        "two lines: {text}"
    );
    let Some(same) = read(&first) else {
        return Err(format!("what was written cannot be read: {text}"));
    };
    ensure!(same == event, "another event was written: {text}");
    let second = write(&same).map(change);
    ensure!(
        second.as_deref() == Some(first.as_slice()),
        "the second time it is written otherwise: {text}"
    );
    Ok(Some(first))
}

fn check(json: &[u8], change: Write<'_>) -> Result<(), String> {
    let write = |event: &AgUiEvent| {
        let mut out = Vec::new();
        event.write_json(&mut out).ok().map(|()| out)
    };
    if let Some(written) = again(json, |json| AgUiEvent::from_json(json).ok(), write, change)? {
        let values: [Result<Value, _>; 2] = [&written[..], json].map(serde_json::from_slice);
        if let [Ok(written), Ok(read)] = &values {
            ensure!(is_part(written, read), "{written} was made of {read}");
        }
    }
    let write = |event: &A2AEvent| {
        let mut out = Vec::new();
        event.write_json(&mut out).ok().map(|()| out)
    };
    again(json, |json| A2AEvent::from_json(json).ok(), write, change)?;
    let read = |json: &[u8]| {
        let event = A2AEvent::from_json_as(json, A2AVersion::V0_3).ok()?;
        // What is legal in 0.3 only is not written as 1.0.
        event.validate().is_ok().then_some(event)
    };
    let write = |event: &A2AEvent| {
        let mut out = Vec::new();
        event.write_json_v0_3(&mut out).ok().map(|()| out)
    };
    again(json, read, write, change)?;
    let write = |event: &RunAgentInput| serde_json::to_vec(event).ok();
    again(
        json,
        |json| RunAgentInput::from_json(json).ok(),
        write,
        change,
    )?;
    let write = |event: &SystemEvent| {
        let mut out = Vec::new();
        event.write_json(&mut out).ok().map(|()| out)
    };
    again(
        json,
        |json| SystemEvent::from_json(json).ok(),
        write,
        change,
    )?;
    let write = |event: &AnalyticsEvent| {
        let mut out = Vec::new();
        event.write_json(&mut out).ok().map(|()| out)
    };
    again(
        json,
        |json| AnalyticsEvent::from_json(json).ok(),
        write,
        change,
    )?;
    Ok(())
}

#[test]
fn an_event_is_written_as_it_was_read() {
    Fuzz::new("events", examples()).run(|json| check(json, &|written| written));
}

#[test]
fn a_writer_that_loses_digits_is_found() {
    let loses_digits = |written: Vec<u8>| {
        let text = String::from_utf8_lossy(&written).into_owned();
        text.replace("9007199254740993", "9007199254740992")
            .into_bytes()
    };
    let fuzz = Fuzz::new("events", examples());
    must_find(&fuzz, "a writer that loses digits", |json| {
        check(json, &loses_digits)
    });
}
