//! Which events differ, and how.

use super::{differs, to_v0_0_59};
use crate::agui::tests::{event, lines_of};

#[test]
fn exactly_what_an_older_client_refuses_differs() {
    let mut n_different = 0;
    for line in lines_of("valid-events.jsonl") {
        let event = event(line.event.as_str());
        let form = to_v0_0_59(event.clone()).unwrap();
        assert_eq!(differs(&event), form != event, "{}", line.name);
        assert_eq!(Some(!differs(&event)), line.in_0_0_59, "{}", line.name);
        assert!(!differs(&form), "{}", line.name);
        form.validate().unwrap();
        n_different += usize::from(differs(&event));
    }
    assert!(n_different >= 5);
}

#[test]
fn an_input_gets_tools_and_context_and_keeps_what_it_has() {
    let start = event(
        r#"{"type":"RUN_STARTED","threadId":"t","runId":"r","input":{"threadId":"t","runId":"r","context":[{"description":"d","value":"v"}],"messages":[{"role":"user","id":"u","content":[{"type":"image","source":{"type":"file","value":"f"}}]}]}}"#,
    );
    assert!(differs(&start));
    let form = serde_json::to_value(to_v0_0_59(start)).unwrap();
    assert_eq!(form["input"]["tools"], serde_json::json!([]));
    assert_eq!(form["input"]["context"][0]["value"], "v");
    assert_eq!(
        form["input"]["messages"][0]["content"][0]["text"],
        r#"{"type":"image","source":{"type":"file","value":"f"}}"#
    );
}
