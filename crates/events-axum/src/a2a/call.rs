//! One call of JSON-RPC 2.0, as it stands in a body.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::Fault;

/// The longest id that is repeated to the client, in bytes of JSON.
const MAX_ID: usize = 1_024;

/// A call whose id is kept as the text it came as: clients compare it strictly, and no number may change.
#[derive(Debug)]
pub(super) struct Call {
    /// The JSON of the id; `null` if there is none.
    pub(super) id: String,
    pub(super) method: String,
    pub(super) params: Map<String, Value>,
}

/// Why a body is no call, and the JSON of the id as far as it can be told.
type NoCall = (String, Fault);

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

impl Call {
    pub(super) fn read(body: &[u8]) -> Result<Self, NoCall> {
        let unknown = |fault| ("null".to_owned(), fault);
        let json: &RawValue =
            serde_json::from_slice(body).map_err(|error| unknown(Fault::parse(error)))?;
        if json.get().starts_with('[') {
            let why = "Batches are not supported: send one request at a time";
            return Err(unknown(Fault::invalid_request(why)));
        }
        let members: Members<'_> = serde_json::from_str(json.get()).map_err(|error| {
            unknown(Fault::invalid_request(format!(
                "The request is no JSON-RPC 2.0 object: {error}"
            )))
        })?;
        let id = members.id.map_or("null", RawValue::get);
        // The answer repeats it: half a surrogate pair or 1e999, which the grammar allows, would make strict readers
        // refuse all of the answer.
        let is_id = |value: Value| value.is_string() || value.is_number() || value.is_null();
        if id.len() > MAX_ID || !serde_json::from_str(id).is_ok_and(is_id) {
            let why =
                "The id must be a string, a number or null, readable, and of at most 1024 bytes";
            return Err(unknown(Fault::invalid_request(why)));
        }
        let invalid = |why: &str| (id.to_owned(), Fault::invalid_request(why));
        if text(members.jsonrpc).as_deref() != Some("2.0") {
            return Err(invalid(r#"The member jsonrpc must be "2.0""#));
        }
        let method = text(members.method).ok_or_else(|| invalid("The method must be a string"))?;
        let params = match members.params {
            None => Map::new(),
            Some(params) => serde_json::from_str(params.get()).map_err(|_not_an_object| {
                let fault = Fault::invalid_params("The params must be an object");
                (id.to_owned(), fault)
            })?,
        };
        Ok(Self {
            id: id.to_owned(),
            method: method.into_owned(),
            params,
        })
    }

    /// Makes what stands before each result; a brace ends it.
    pub(super) fn before_result(&self) -> Bytes {
        format!(r#"{{"jsonrpc":"2.0","id":{},"result":"#, self.id).into()
    }
}

fn text(json: Option<&RawValue>) -> Option<Cow<'_, str>> {
    serde_json::from_str::<String>(json?.get())
        .ok()
        .map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer_to(body: &str) -> (String, Result<String, String>) {
        match Call::read(body.as_bytes()) {
            Ok(call) => (call.id, Ok(call.method)),
            Err((id, fault)) => (id, Err(format!("{fault:?}"))),
        }
    }

    #[test]
    fn ids_of_every_kind_are_kept_as_they_came() {
        for id in [
            "1",
            "-7",
            "1.50",
            "12345678901234567890123",
            r#""a\u00e9\n""#,
            "null",
            r#""""#,
        ] {
            let body = format!(
                r#" {{"params":{{"id":"t"}},"id": {id} ,"method":"GetTask","jsonrpc":"2.0"}}"#
            );
            assert_eq!(answer_to(&body), (id.to_owned(), Ok("GetTask".to_owned())));
        }
        let none = r#"{"jsonrpc":"2.0","method":"GetTask"}"#;
        assert_eq!(answer_to(none).0, "null");
    }

    #[test]
    fn what_is_no_call_is_refused_for_its_reason() {
        for (body, id, word) in [
            ("{", "null", "-32700"),
            ("\"\u{7f}", "null", "-32700"),
            ("[]", "null", "Batches"),
            (
                r#"[{"jsonrpc":"2.0","id":1,"method":"m"}]"#,
                "null",
                "Batches",
            ),
            ("7", "null", "-32600"),
            (
                r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#,
                "null",
                "-32600",
            ),
            (
                r#"{"jsonrpc":"2.0","id":true,"method":"m"}"#,
                "null",
                "-32600",
            ),
            (
                r#"{"jsonrpc":"2.0","id":"\ud800","method":"m"}"#,
                "null",
                "readable",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1e999,"method":"m"}"#,
                "null",
                "readable",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}"#,
                "null",
                "duplicate",
            ),
            (r#"{"jsonrpc":2.0,"id":1,"method":"m"}"#, "1", "jsonrpc"),
            (r#"{"id":"x","method":"m"}"#, "\"x\"", "jsonrpc"),
            (r#"{"jsonrpc":"2.0","id":1,"method":3}"#, "1", "method"),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[]}"#,
                "1",
                "-32602",
            ),
        ] {
            let (found, answer) = answer_to(body);
            let fault = answer.expect_err(body);
            assert_eq!(found, id, "{body}");
            assert!(fault.contains(word), "{word} in {fault}");
        }
        let long = format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"m"}}"#,
            "1".repeat(2_000)
        );
        assert!(answer_to(&long).1.is_err());
    }
}
