//! Members that no version describes.

use proptest::{prelude::*, sample::Index};
use serde_json::Value;

use super::{check_refused, event, event_as, lines_of, value, version_of, written_as};
use crate::{
    A2AEvent, ContextEvent,
    a2a::{A2AVersion, AnyJson, Message, Part, Role, Task, TaskState, TaskStatus},
};

const BOTH: [A2AVersion; 2] = [A2AVersion::V1_0, A2AVersion::V0_3];

/// Values whose text would not survive a parser.
const VALUES: [&str; 10] = [
    "18446744073709551617",
    "-123456789012345678901234567890",
    "9007199254740993",
    "1.10",
    "0.10000000000000000001",
    "1E+400",
    "-0",
    "null",
    r#"{"b":[1, 2e0],"a":{},"b":"\u00e9\/"}"#,
    r#""TASK_STATE_WORKING""#,
];

/// Names that look like known ones, or need escapes.
const NAMES: [&str; 6] = ["x", "Kind", "task_id ", "finally", "a\"\\/\n", "~1/é"];

/// Finds the objects of a fixture that the protocol describes, as JSON pointers; open data is not looked into.
fn objects(value: &Value, pointer: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.push(pointer.to_owned());
            for (name, member) in members {
                if name != "data" && name != "metadata" {
                    objects(member, &format!("{pointer}/{name}"), found);
                }
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                objects(element, &format!("{pointer}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// A valid event with members that are not described.
#[derive(Clone, Debug)]
struct Extended {
    json: String,
    version: A2AVersion,
    /// Where each stands, its name and the text of its value.
    unknown: Vec<(String, String, &'static str)>,
}

fn mark(index: usize) -> Value {
    Value::String(format!("<{index}>"))
}

fn pointers_of(json: &str) -> Vec<String> {
    let mut pointers = Vec::new();
    objects(&value(json), "", &mut pointers);
    pointers
}

fn extend(
    json: &str,
    version: A2AVersion,
    insertions: Vec<(String, &str, &'static str)>,
) -> Extended {
    let mut event = value(json);
    let mut unknown = Vec::new();
    for (index, (pointer, name, text)) in insertions.into_iter().enumerate() {
        let name = format!("{name}{index}.");
        event.pointer_mut(&pointer).unwrap()[&name] = mark(index);
        unknown.push((pointer, name, text));
    }
    let mut json = event.to_string();
    for (index, (_, _, text)) in unknown.iter().enumerate() {
        json = json.replace(&mark(index).to_string(), text);
    }
    Extended {
        json,
        version,
        unknown,
    }
}

fn fixtures() -> Vec<(String, A2AVersion)> {
    let fixtures: Vec<_> = ["1.0", "0.3"]
        .into_iter()
        .flat_map(|version| {
            lines_of(&format!("v{version}-events-valid.jsonl"))
                .into_iter()
                .map(move |line| (line.text().to_owned(), version_of(version)))
        })
        .collect();
    assert!(fixtures.len() > 130, "only {} fixtures", fixtures.len());
    fixtures
}

fn extended_fixture() -> impl Strategy<Value = Extended> {
    let insertion = (
        any::<Index>(),
        prop::sample::select(&NAMES[..]),
        prop::sample::select(&VALUES[..]),
    );
    let insertions = prop::collection::vec(insertion, 1..6);
    (prop::sample::select(fixtures()), insertions).prop_map(|((json, version), insertions)| {
        let pointers = pointers_of(&json);
        let insertions = insertions
            .into_iter()
            .map(|(at, name, text)| (at.get(&pointers).clone(), name, text))
            .collect();
        extend(&json, version, insertions)
    })
}

/// Tells where in a form a member stands that was read at a place of another.
fn moved(pointer: &str, from: A2AVersion, to: A2AVersion, event: &A2AEvent) -> String {
    // 1.0 has no object for files.
    let pointer = pointer.strip_suffix("/file").unwrap_or(pointer);
    let wrapper = format!("/{}", event.event_type());
    match (from, to) {
        (A2AVersion::V1_0, A2AVersion::V0_3) => {
            pointer.strip_prefix(&wrapper).unwrap_or("").to_owned()
        }
        (A2AVersion::V0_3, A2AVersion::V1_0) => wrapper + pointer,
        _ => pointer.to_owned(),
    }
}

/// Checks that a text has every unknown member at its place, with the text of its value.
fn check_kept(written: &str, version: A2AVersion, extended: &Extended, event: &A2AEvent) {
    let mut marked = written.to_owned();
    for (index, (_, name, text)) in extended.unknown.iter().enumerate() {
        let name = Value::from(&**name);
        let member = format!("{name}:{text}");
        assert_eq!(written.matches(&member).count(), 1, "{member} in {written}");
        marked = marked.replace(&member, &format!("{name}:{}", mark(index)));
    }
    let marked = value(&marked);
    for (index, (pointer, name, _)) in extended.unknown.iter().enumerate() {
        let pointer = moved(pointer, extended.version, version, event);
        let object = marked.pointer(&pointer).unwrap();
        assert_eq!(object.get(name), Some(&mark(index)), "{pointer} {written}");
    }
}

fn check_extended(extended: &Extended) {
    let read = event_as(&extended.json, extended.version);
    for version in BOTH {
        let written = written_as(&read, version);
        check_kept(&written, version, extended, &read);
        // Some events of 0.3 are legal there only.
        if version == A2AVersion::V1_0 && read.validate().is_err() {
            continue;
        }
        let again = event_as(&written, version);
        assert_eq!(written_as(&again, version), written);
        if version == extended.version {
            assert_eq!(again, read);
        }
    }
    let envelope = serde_json::to_string(&ContextEvent::from(read.clone())).unwrap();
    assert!(envelope.contains(&written_as(&read, A2AVersion::V1_0)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_member_that_is_not_described_is_found_again_in_both_versions(
        extended in extended_fixture(),
    ) {
        check_extended(&extended);
    }
}

#[test]
fn every_object_of_every_fixture_keeps_a_member_that_is_not_described() {
    for (json, version) in fixtures() {
        let insertions = pointers_of(&json)
            .into_iter()
            .zip(VALUES.into_iter().cycle())
            .map(|(pointer, text)| (pointer, "x", text))
            .collect();
        check_extended(&extend(&json, version, insertions));
    }
}

/// Checks what both versions make of a text.
fn check_both(json: &str, version: A2AVersion, new: &str, old: &str) {
    let read = event_as(json, version);
    assert_eq!(written_as(&read, A2AVersion::V1_0), new);
    assert_eq!(written_as(&read, A2AVersion::V0_3), old);
    // The form is stable once it has been reached.
    assert_eq!(
        written_as(&event_as(new, A2AVersion::V1_0), A2AVersion::V1_0),
        new
    );
    assert_eq!(
        written_as(&event_as(old, A2AVersion::V0_3), A2AVersion::V0_3),
        old
    );
}

#[test]
fn members_stand_behind_the_known_ones_in_their_own_order() {
    check_both(
        r#"{"z":1,"task":{"ttl":{"x":1},"id":"t","contextId":"c","status":{"seq":9,"state":1},"a":2},"v":1}"#,
        A2AVersion::V1_0,
        r#"{"task":{"id":"t","contextId":"c","status":{"state":"TASK_STATE_SUBMITTED","seq":9},"ttl":{"x":1},"a":2},"z":1,"v":1}"#,
        r#"{"kind":"task","id":"t","contextId":"c","status":{"state":"submitted","seq":9},"ttl":{"x":1},"a":2,"z":1,"v":1}"#,
    );
    let A2AEvent::Task(task) = event(r#"{"v":7,"task":{"id":"t","status":{"state":1},"w":8}}"#)
    else {
        panic!("a task");
    };
    assert_eq!(task.unknown.get("w").map(AnyJson::as_str), Some("8"));
    assert_eq!(task.beside.get("v").map(AnyJson::as_str), Some("7"));
}

#[test]
fn of_a_repeated_member_the_last_one_counts_and_null_is_kept() {
    check_both(
        r#"{"message":{"x":1,"messageId":"m","y":0,"role":1,"parts":[{"text":"t"}],"x":null}}"#,
        A2AVersion::V1_0,
        r#"{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":"t"}],"y":0,"x":null}}"#,
        r#"{"kind":"message","messageId":"m","role":"user","parts":[{"kind":"text","text":"t"}],"y":0,"x":null}"#,
    );
}

#[test]
fn what_means_something_in_the_other_version_is_not_unknown() {
    let new = r#"{"statusUpdate":{"taskId":"t","contextId":"c","status":{"state":"TASK_STATE_WORKING"}}}"#;
    let old = r#"{"kind":"status-update","taskId":"t","contextId":"c","status":{"state":"working"},"final":false}"#;
    for json in [
        r#"{"kind":"status-update","statusUpdate":{"kind":"status-update","final":true,"taskId":"t","context_id":"c","contextId":"c","status":{"state":2}}}"#,
        r#"{"task":null,"artifact_update":null,"statusUpdate":{"task_id":null,"taskId":"t","contextId":"c","status":{"state":2}}}"#,
    ] {
        check_both(json, A2AVersion::V1_0, new, old);
    }
    let with_wrappers = old.replacen('{', r#"{"status_update":{},"task":1,"context_id":"d","#, 1);
    check_both(&with_wrappers, A2AVersion::V0_3, new, old);

    let new = |part: &str| {
        format!(r#"{{"message":{{"messageId":"m","role":"ROLE_USER","parts":[{part}]}}}}"#)
    };
    let old = |part: &str| {
        format!(r#"{{"kind":"message","messageId":"m","role":"user","parts":[{part}]}}"#)
    };
    check_both(
        &new(r#"{"text":"x","kind":"text","file":{},"media_type":null,"bytes":1}"#),
        A2AVersion::V1_0,
        &new(r#"{"text":"x","bytes":1}"#),
        &old(r#"{"kind":"text","text":"x","bytes":1}"#),
    );
    check_both(
        &old(
            r#"{"kind":"file","url":1,"x":2,"file":{"uri":"u","name":"n","x":1,"text":3,"size":12345678901234567890123}}"#,
        ),
        A2AVersion::V0_3,
        &new(r#"{"url":"u","filename":"n","size":12345678901234567890123,"x":2}"#),
        &old(
            r#"{"kind":"file","file":{"uri":"u","name":"n"},"size":12345678901234567890123,"x":2}"#,
        ),
    );
    // Neither version describes a kind of artifacts and of states.
    let artifact = r#"{"artifactUpdate":{"taskId":"t","contextId":"c","artifact":{"artifactId":"a","parts":[{"text":"x"}],"kind":"report"}}}"#;
    assert_eq!(written_as(&event(artifact), A2AVersion::V1_0), artifact);
}

#[test]
fn what_stands_beside_the_event_gives_way_where_0_3_has_one_object() {
    check_both(
        r#"{"id":1,"final":2,"x":3,"task":{"id":"t","contextId":"c","status":{"state":2},"x":4,"message":5}}"#,
        A2AVersion::V1_0,
        r#"{"task":{"id":"t","contextId":"c","status":{"state":"TASK_STATE_WORKING"},"x":4,"message":5},"id":1,"final":2,"x":3}"#,
        r#"{"kind":"task","id":"t","contextId":"c","status":{"state":"working"},"x":4,"final":2}"#,
    );
    check_refused(
        r#"{"x":1,"task":{"id":"t"},"message":{}}"#,
        A2AVersion::V1_0,
        "$",
        "both",
    );
    check_refused(r#"{"x":1}"#, A2AVersion::V1_0, "$", "one member");
}

#[test]
fn what_no_reader_could_take_is_refused_by_its_name() {
    let with = |member: &str| format!(r#"{{"task":{{"id":"t","status":{{"state":1,{member}}}}}}}"#);
    check_refused(
        &with(r#""x":"\ud800""#),
        A2AVersion::V1_0,
        "$.task.status.x",
        "surrogate",
    );
    let deep = format!(r#""y":{}{}"#, "[".repeat(119), "]".repeat(119));
    check_refused(&with(&deep), A2AVersion::V1_0, "$.task.status.y", "deep");
    let long = format!(r#""a\nb{}":"\udc00""#, "c".repeat(1_000));
    let clipped = format!("$.task.status.ab{}", "c".repeat(62));
    check_refused(&with(&long), A2AVersion::V1_0, &clipped, "surrogate");
}

#[test]
fn members_that_are_added_in_rust_cannot_take_the_place_of_known_ones() {
    let mut task = Task::new("t", None, TaskStatus::new(TaskState::Working));
    assert!(task.unknown.is_empty());
    let big = AnyJson::from_json("12345678901234567890123").unwrap();
    assert_eq!(task.unknown.insert("cost", big.clone()), None);
    task.unknown.insert("b", AnyJson::null());
    let old = task.unknown.insert("cost", AnyJson::null());
    assert_eq!(old, Some(big.clone()));
    assert_eq!(task.unknown.remove("cost"), Some(AnyJson::null()));
    assert_eq!(task.unknown.remove("cost"), None);
    task.unknown.insert("cost", big);
    assert_eq!(task.unknown.len(), 2);
    let json = r#"{"task":{"id":"t","status":{"state":"TASK_STATE_WORKING"},"b":null,"cost":12345678901234567890123}}"#;
    let clean = A2AEvent::from(task.clone());
    assert_eq!(written_as(&clean, A2AVersion::V1_0), json);
    assert_eq!(clean.validate(), Ok(()));
    assert_eq!(event(json), clean);

    for (name, path) in [
        ("context_id", "$.task.context_id"),
        ("kind", "$.task.kind"),
        ("id", "$.task.id"),
    ] {
        let mut task = task.clone();
        task.unknown.insert(name, AnyJson::null());
        let event = A2AEvent::from(task);
        assert_eq!(written_as(&event, A2AVersion::V1_0), json);
        assert_eq!(event.validate().unwrap_err().path, path);
        assert_ne!(event, clean);
    }
    task.beside.insert("artifactUpdate", AnyJson::null());
    let event = A2AEvent::from(task);
    assert_eq!(written_as(&event, A2AVersion::V1_0), json);
    assert_eq!(event.validate().unwrap_err().path, "$.artifactUpdate");

    let mut part = Part::text("x");
    part.unknown.insert("raw", AnyJson::null());
    let event = A2AEvent::from(Message::new("m", Role::Agent, vec![part]));
    assert!(!written_as(&event, A2AVersion::V1_0).contains("raw"));
    assert_eq!(event.validate().unwrap_err().path, "$.message.parts[0].raw");
}

#[test]
fn open_data_is_written_in_both_versions_with_the_text_it_came_with() {
    for text in VALUES {
        for data in [
            text.to_owned(),
            format!("[{text}]"),
            format!(r#"{{"n":{text}}}"#),
        ] {
            let json = format!(
                r#"{{"message":{{"messageId":"m","role":"ROLE_USER","parts":[{{"data":{data},"metadata":{{"n":{text}}}}}],"metadata":{{"n":{text}}}}}}}"#
            );
            let read = event(&json);
            assert_eq!(written_as(&read, A2AVersion::V1_0), json);
            let old = written_as(&read, A2AVersion::V0_3);
            assert_eq!(old.matches(text).count(), 3, "{old}");
            let again = event_as(&old, A2AVersion::V0_3);
            assert_eq!(written_as(&again, A2AVersion::V1_0), json);
        }
    }
}
