//! What a silent stream says so that proxies keep it and clients know that it lives.

use std::time::Duration;

use crate::encode::{encode_comment, encode_named};

/// The longest silence of a stream: after it a heartbeat is due. 15 seconds.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);

/// The text of a heartbeat, in both of its forms.
pub const HEARTBEAT_JSON: &str = r#"{"type":"heartbeat"}"#;

/// The event name of the form that scripts can see.
pub const HEARTBEAT_EVENT: &str = "heartbeat";

/// Appends the heartbeat that every reader ignores: `: {"type":"heartbeat"}` and a blank line.
pub fn encode_heartbeat_comment(out: &mut Vec<u8>) {
    encode_comment(HEARTBEAT_JSON, out);
}

/// Appends the heartbeat that readers see as an event named `heartbeat`. It has no id and moves no cursor.
///
/// Not for streams that an AG-UI client reads: it ignores event names and takes the data for an AG-UI event.
pub fn encode_heartbeat_event(out: &mut Vec<u8>) {
    encode_named(HEARTBEAT_EVENT, None, HEARTBEAT_JSON.as_bytes(), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_as_the_contract_has_them() {
        let mut out = Vec::new();
        encode_heartbeat_comment(&mut out);
        encode_heartbeat_event(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            ": {\"type\":\"heartbeat\"}\n\nevent: heartbeat\ndata: {\"type\":\"heartbeat\"}\n\n"
        );
    }
}
