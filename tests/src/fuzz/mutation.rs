//! Inputs that are nearly right.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use fastrand::Rng;
use serde_json::Value;

use super::{Example, MAX_INPUT};

/// Texts that have broken readers of something: numbers at an edge, ends of lines, halves of characters, names that
/// mean something to a path, a query or a language.
const HOSTILE: &[&[u8]] = &[
    b"",
    b"null",
    b"true",
    b"-0",
    b"0",
    b"-1",
    b"1e400",
    b"1e-400",
    b"0.1",
    b"1.0",
    b"1E5",
    b"9007199254740993",
    b"18446744073709551615",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"99999999999999999999999999999999999999.5",
    b"NaN",
    b"Infinity",
    b"[]",
    b"{}",
    b"\"\"",
    b"[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":",
    b"]}",
    b",",
    b",,",
    b":",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\\udc00\\ud800",
    b"\\u2028",
    b"\\n",
    b"\0",
    b"\r",
    b"\n",
    b"\r\n",
    b"\n\n",
    b"\r\r",
    b"\xE2\x80\xA8",
    b"\xEF\xBB\xBF",
    b"\xC3",
    b"\xFF",
    b"\xED\xA0\x80",
    b"\xF0\x9F\x92\xA5",
    b"\xF4\x90\x80\x80",
    b"\x7F",
    b"\xC2\x85",
    b"\t",
    b" ",
    b"id:",
    b"data:",
    b"data: ",
    b"event: ",
    b"event:gap",
    b"retry: 1",
    b": ",
    b"data: [DONE]\n\n",
    b"__proto__",
    b"constructor",
    b"toString",
    b"../",
    b"..%2f",
    b"%00",
    b"%0d%0a",
    b"%",
    b"%zz",
    b"&",
    b"=",
    b"+",
    b"?",
    b"#",
    b";",
    b"*",
    b">",
    b"$ref",
    b"~0",
    b"~1",
    b"~2",
    b"/",
    b"/-",
    b"/0",
    b"/01",
    b"' OR 1=1 --",
    b"${jndi:x}",
    b"<script>",
    b"{{7*7}}",
    b"%s%n",
    b".",
    b"..",
    b"a.b.c",
    b"type",
    b"id",
    b"timestamp",
    b"threadId",
    b"1.2.3",
    b"0.0.0",
];

/// Members whose values are taken from one example for another.
const MAX_WORDS: usize = 2_000;

/// Makes inputs of examples.
#[derive(Debug)]
pub struct Mutator {
    random: Rng,
    examples: Vec<Vec<u8>>,
    /// Names of members in the examples.
    names: Vec<String>,
    /// Scalars in the examples, as JSON.
    scalars: Vec<Value>,
}

/// Returns a number that stands for some bytes, the same in each run.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// The line's text before its JSON, and the JSON; the text is a field's name in an event stream.
fn json_of(line: &[u8]) -> Option<(&[u8], Value)> {
    let at = line.iter().position(|byte| matches!(byte, b'{' | b'['))?;
    let (before, json) = line.split_at(at);
    Some((before, serde_json::from_slice(json).ok()?))
}

impl Mutator {
    /// Takes the examples and what they are made of.
    #[must_use]
    pub fn new(seed: u64, examples: &[Example]) -> Self {
        let (mut names, mut scalars) = (BTreeSet::new(), BTreeSet::new());
        for example in examples {
            for line in example.bytes.split(|byte| *byte == b'\n') {
                if let Some((_, json)) = json_of(line) {
                    harvest(&json, &mut names, &mut scalars);
                }
            }
        }
        let scalar = |text: String| serde_json::from_str(&text).ok();
        Self {
            random: Rng::with_seed(seed),
            examples: examples.iter().map(|one| one.bytes.clone()).collect(),
            names: names.into_iter().take(MAX_WORDS).collect(),
            scalars: scalars
                .into_iter()
                .filter_map(scalar)
                .take(MAX_WORDS)
                .collect(),
        }
    }

    /// Makes the next input: an example with one to a few changes.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.any_example().to_vec();
        let mut n_changes = 1;
        while n_changes < 8 && self.random.bool() {
            n_changes += 1;
        }
        for _ in 0..n_changes {
            match self.random.u8(..10) {
                0..=4 => self.change_json(&mut input),
                5 => self.change_lines(&mut input),
                6 => self.splice(&mut input),
                7 | 8 => self.insert_hostile(&mut input),
                _ => self.change_bytes(&mut input),
            }
            input.truncate(MAX_INPUT);
        }
        input
    }

    fn any_example(&mut self) -> &[u8] {
        &self.examples[self.random.usize(..self.examples.len())]
    }

    fn hostile(&mut self) -> &'static [u8] {
        HOSTILE[self.random.usize(..HOSTILE.len())]
    }

    /// Draws a range, mostly a short one.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.random.usize(..=length);
        let longest = if self.random.u8(..4) == 0 { length } else { 16 };
        start..(start + self.random.usize(..=longest)).min(length)
    }

    fn change_bytes(&mut self, input: &mut Vec<u8>) {
        let range = self.range(input.len());
        match self.random.u8(..5) {
            0 => drop(input.drain(range)),
            1 => {
                let piece = input[range.clone()].to_vec();
                let times = self.random.usize(1..=20);
                input.splice(range.start..range.start, piece.repeat(times));
            }
            2 => input.truncate(range.start),
            3 => {
                if let Some(byte) = input.get_mut(range.start) {
                    *byte ^= 1 << self.random.u8(..8);
                }
            }
            _ => {
                let byte = self.random.u8(..);
                input.splice(range.clone(), range.map(|_| byte));
            }
        }
    }

    fn insert_hostile(&mut self, input: &mut Vec<u8>) {
        let text = self.hostile();
        let mut range = self.range(input.len());
        if self.random.bool() {
            range.end = range.start;
        }
        input.splice(range, text.iter().copied());
    }

    /// Puts a piece of another example into this one.
    fn splice(&mut self, input: &mut Vec<u8>) {
        let other = self.any_example().to_vec();
        let lines: Vec<_> = other.split_inclusive(|byte| *byte == b'\n').collect();
        let piece = if self.random.bool() && !lines.is_empty() {
            lines[self.random.usize(..lines.len())]
        } else {
            &other[self.range(other.len())]
        };
        let range = self.range(input.len());
        input.splice(range.start..range.start, piece.iter().copied());
    }

    fn change_lines(&mut self, input: &mut Vec<u8>) {
        let mut lines: Vec<Vec<u8>> = input
            .split_inclusive(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        if lines.is_empty() {
            return;
        }
        let (at, other) = (
            self.random.usize(..lines.len()),
            self.random.usize(..lines.len()),
        );
        match self.random.u8(..4) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(other, lines[at].clone()),
            2 => lines.swap(at, other),
            _ => lines.truncate(at + 1),
        }
        *input = lines.concat();
    }

    /// Changes one value in the JSON of one line, if there is one.
    fn change_json(&mut self, input: &mut Vec<u8>) {
        let lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
        let at = self.random.usize(..lines.len());
        let Some((before, mut json)) = json_of(lines[at]) else {
            return self.insert_hostile(input);
        };
        let before = before.to_vec();
        let mut n_before = self.random.usize(..count(&json));
        self.change_value(&mut json, &mut n_before);
        let line = [before, json.to_string().into_bytes()].concat();
        let mut changed = lines;
        changed[at] = &line;
        *input = changed.join(&b'\n');
    }

    /// Changes the value that so many others stand before; tells whether it has.
    fn change_value(&mut self, value: &mut Value, n_before: &mut usize) -> bool {
        if *n_before == 0 {
            self.change_here(value);
            return true;
        }
        *n_before -= 1;
        match value {
            Value::Array(elements) => elements
                .iter_mut()
                .any(|element| self.change_value(element, n_before)),
            Value::Object(members) => members
                .values_mut()
                .any(|member| self.change_value(member, n_before)),
            _ => false,
        }
    }

    fn change_here(&mut self, value: &mut Value) {
        match value {
            Value::Object(members) if self.random.u8(..4) != 0 => {
                let keys: Vec<String> = members.keys().cloned().collect();
                let key = keys.get(self.random.usize(..=keys.len())).cloned();
                match (self.random.u8(..3), key) {
                    (0, Some(key)) => drop(members.remove(&key)),
                    (1, Some(key)) => {
                        let moved = members.remove(&key).unwrap_or_default();
                        let name = self.name();
                        members.insert(name, moved);
                    }
                    _ => {
                        let (name, scalar) = (self.name(), self.scalar());
                        members.insert(name, scalar);
                    }
                }
            }
            Value::Array(elements) if self.random.u8(..4) != 0 => {
                let at = self.random.usize(..=elements.len());
                match (self.random.u8(..3), elements.get(at).cloned()) {
                    (0, Some(_)) => drop(elements.remove(at)),
                    (1, Some(element)) => elements.insert(at, element),
                    _ => elements.insert(at, self.scalar()),
                }
            }
            Value::String(text) if self.random.bool() => {
                let hostile = String::from_utf8_lossy(self.hostile()).into_owned();
                match self.random.u8(..3) {
                    0 => *text = hostile,
                    1 => text.push_str(&hostile),
                    _ => *text = text.repeat(self.random.usize(..100)),
                }
            }
            _ => {
                let inner = std::mem::take(value);
                *value = match self.random.u8(..6) {
                    0 => Value::Array(vec![inner]),
                    1 => nested(inner, self.random.usize(..300)),
                    _ => self.scalar(),
                };
            }
        }
    }

    fn name(&mut self) -> String {
        if self.names.is_empty() || self.random.u8(..8) == 0 {
            return String::from_utf8_lossy(self.hostile()).into_owned();
        }
        self.names[self.random.usize(..self.names.len())].clone()
    }

    fn scalar(&mut self) -> Value {
        match self.random.u8(..4) {
            0 => serde_json::from_slice(self.hostile()).unwrap_or(Value::Null),
            1 => String::from_utf8_lossy(self.hostile()).into_owned().into(),
            _ if self.scalars.is_empty() => Value::Null,
            _ => self.scalars[self.random.usize(..self.scalars.len())].clone(),
        }
    }
}

/// Puts a value into so many arrays: readers that call themselves run out of stack.
fn nested(value: Value, depth: usize) -> Value {
    (0..depth).fold(value, |inner, _| Value::Array(vec![inner]))
}

fn count(value: &Value) -> usize {
    let inner: usize = match value {
        Value::Array(elements) => elements.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    };
    inner + 1
}

fn harvest(value: &Value, names: &mut BTreeSet<String>, scalars: &mut BTreeSet<String>) {
    match value {
        Value::Array(elements) => elements
            .iter()
            .for_each(|element| harvest(element, names, scalars)),
        Value::Object(members) => {
            for (name, member) in members {
                names.insert(name.clone());
                harvest(member, names, scalars);
            }
        }
        scalar => {
            let text = scalar.to_string();
            if text.len() < 200 {
                scalars.insert(text);
            }
        }
    }
}
