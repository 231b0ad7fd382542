//! Arguments that Gemini streams as values at paths.

use std::fmt;

use super::TooManyBlocks;
use crate::json::Json;

/// How many bytes of one call's values are held, the tree around them included.
const MAX_BYTES: usize = 1 << 20;

/// How deep a path may go.
const MAX_DEPTH: usize = 64;

/// The highest index of an array that is filled.
const MAX_INDEX: usize = 4_096;

/// A tree that grows by `{"jsonPath":"$.a.b[0]","stringValue":"more","willContinue":true}`.
#[derive(Debug, Default)]
pub(super) struct PartialArgs {
    root: Node,
    n_bytes: usize,
}

#[derive(Debug, Default)]
enum Node {
    #[default]
    Empty,
    /// A value that is complete, as JSON.
    Value(String),
    Text(String),
    Object(Vec<(String, Self)>),
    Array(Vec<Self>),
}

enum Step {
    Member(String),
    Index(usize),
}

impl PartialArgs {
    /// Adds one piece. A path that makes no sense is left out.
    ///
    /// # Errors
    ///
    /// The call's values are larger than is held.
    pub(super) fn add(&mut self, piece: &Json<'_>) -> Result<(), TooManyBlocks> {
        let path = piece.get("jsonPath").text().unwrap_or_default();
        let Some(steps) = steps(path) else {
            return Ok(());
        };
        let text = piece.get("stringValue").text();
        let other = ["numberValue", "boolValue", "nullValue"]
            .iter()
            .find(|name| matches!(piece, Json::Object(members) if members.iter().any(|(known, _)| known == *name)))
            .map(|name| match *name {
                "nullValue" => "null".to_owned(),
                name => piece.get(name).to_string(),
            });
        let n_new = path.len() + text.or(other.as_deref()).map_or(0, str::len);
        let mut n_nodes = 0;
        let node = self.root.at(&steps, &mut n_nodes);
        self.n_bytes = self
            .n_bytes
            .saturating_add(n_new)
            .saturating_add(n_nodes * size_of::<Node>());
        if self.n_bytes > MAX_BYTES {
            return Err(TooManyBlocks);
        }
        match (text, other, node) {
            (Some(more), _, Node::Text(known)) => known.push_str(more),
            (Some(text), _, node) => *node = Node::Text(text.to_owned()),
            (None, Some(value), node) => *node = Node::Value(value),
            (None, None, _) => {}
        }
        Ok(())
    }
}

impl Node {
    /// The node at a path, made where it is missing; counts what is made.
    fn at(&mut self, steps: &[Step], n_made: &mut usize) -> &mut Self {
        let Some((step, rest)) = steps.split_first() else {
            return self;
        };
        match step {
            Step::Member(name) => {
                if !matches!(self, Self::Object(_)) {
                    *self = Self::Object(Vec::new());
                }
                let Self::Object(members) = self else {
                    return self;
                };
                let at = members.iter().position(|(known, _)| known == name);
                let at = at.unwrap_or_else(|| {
                    members.push((name.clone(), Self::Empty));
                    *n_made += 1;
                    members.len() - 1
                });
                members[at].1.at(rest, n_made)
            }
            Step::Index(index) => {
                if !matches!(self, Self::Array(_)) {
                    *self = Self::Array(Vec::new());
                }
                let Self::Array(elements) = self else {
                    return self;
                };
                if elements.len() <= *index {
                    *n_made += index + 1 - elements.len();
                    elements.resize_with(index + 1, Self::default);
                }
                elements[*index].at(rest, n_made)
            }
        }
    }
}

/// Reads `$.a['b c'][0]`.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if steps.len() >= MAX_DEPTH {
            return None;
        }
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, next) = after.split_at(end);
            steps.push(Step::Member(name.to_owned()));
            rest = next;
        } else if let Some(after) = rest.strip_prefix('[') {
            let quote = after.chars().next().filter(|c| matches!(c, '\'' | '"'));
            if let Some(quote) = quote {
                let (name, next) = after.get(1..)?.split_once(quote)?;
                steps.push(Step::Member(name.to_owned()));
                rest = next.strip_prefix(']')?;
            } else {
                let (index, next) = after.split_once(']')?;
                let index = index.parse().ok().filter(|index| *index <= MAX_INDEX)?;
                steps.push(Step::Index(index));
                rest = next;
            }
        } else {
            return None;
        }
    }
    Some(steps)
}

impl fmt::Display for PartialArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.root {
            Node::Empty => f.write_str("{}"),
            root => root.fmt(f),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("null"),
            Self::Value(value) => f.write_str(value),
            Self::Text(text) => Json::Text(text.as_str().into()).fmt(f),
            Self::Object(members) => {
                f.write_str("{")?;
                for (index, (name, value)) in members.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(f, "{comma}{}:{value}", Json::Text(name.as_str().into()))?;
                }
                f.write_str("}")
            }
            Self::Array(elements) => {
                f.write_str("[")?;
                for (index, element) in elements.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(f, "{comma}{element}")?;
                }
                f.write_str("]")
            }
        }
    }
}
