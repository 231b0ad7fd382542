//! Arbitrary bytes, and fixtures with changed bytes.

use proptest::prelude::*;

use super::{event, lines_of, written};
use crate::agui::{AgUiEvent, intake::ThreadIntake};

/// Any bytes, and any fixture with some of its bytes changed.
fn mutated_fixture() -> impl Strategy<Value = Vec<u8>> {
    let texts: Vec<String> = ["valid-events.jsonl", "invalid-events.jsonl"]
        .into_iter()
        .flat_map(lines_of)
        .map(|line| line.event.as_str().to_owned())
        .collect();
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 0..6);
    (prop::sample::select(texts), edits).prop_map(|(text, edits)| {
        let mut bytes = text.into_bytes();
        for (index, byte, what) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = index.index(bytes.len());
            let punctuation = b"{}[]\",:\\/0-e.nt\xff \n";
            match what {
                0 => bytes[at] = byte,
                1 => bytes[at] = punctuation[usize::from(byte) % punctuation.len()],
                2 => drop(bytes.remove(at)),
                _ => bytes.insert(at, punctuation[usize::from(byte) % punctuation.len()]),
            }
        }
        bytes
    })
}

/// Reads anything; what is accepted is written on one line and read back as the same.
fn check_anything(bytes: &[u8]) {
    let Ok(read) = AgUiEvent::from_json(bytes) else {
        return;
    };
    let json = written(&read);
    assert!(!json.contains(['\n', '\r']), "{json}");
    assert_eq!(event(&json), read);
    assert_eq!(read.validate(), Ok(()));
    let _ = ThreadIntake::default().admit(read, &mut Vec::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check_anything(&bytes);
    }

    #[test]
    fn no_changed_fixture_makes_the_reader_panic(bytes in mutated_fixture()) {
        check_anything(&bytes);
    }
}
