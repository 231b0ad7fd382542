//! The language of the filter: `model:claude state:error cost>0.1 text`.
//!
//! Terms are separated by blanks, and all of them must be true. `field:value` asks whether the field has the value in
//! it, without regard to case; `field>number` and its kin compare; a bare word is looked for in all names and in the
//! text; `-` before a term turns it round. `"…"` keeps blanks in a value.

#[cfg(test)]
mod tests;

use crate::model::{Outcome, Stream};

/// Terms of a filter that are read.
const MAX_TERMS: usize = 32;

/// Which requests are shown.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Filter {
    terms: Vec<Term>,
}

#[derive(Clone, PartialEq, Debug)]
struct Term {
    is_negated: bool,
    test: Test,
}

#[derive(Clone, PartialEq, Debug)]
enum Test {
    Has(Name, String),
    Compares(Number, Sign, f64),
    Is(State),
    Anywhere(String),
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Name {
    Id,
    Model,
    Provider,
    Agent,
    Code,
    Text,
    Message,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Number {
    Cost,
    Input,
    Output,
    Cached,
    Age,
    FirstToken,
    Rate,
    Status,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Sign {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum State {
    Active,
    Ended,
    Outcome(Outcome),
}

const NAMES: [(&str, Name); 8] = [
    ("id", Name::Id),
    ("model", Name::Model),
    ("provider", Name::Provider),
    ("agent", Name::Agent),
    ("code", Name::Code),
    ("text", Name::Text),
    ("message", Name::Message),
    ("error", Name::Message),
];

const NUMBERS: [(&str, Number); 9] = [
    ("cost", Number::Cost),
    ("in", Number::Input),
    ("out", Number::Output),
    ("cached", Number::Cached),
    ("age", Number::Age),
    ("time", Number::Age),
    ("ttft", Number::FirstToken),
    ("rate", Number::Rate),
    ("status", Number::Status),
];

const STATES: [(&str, State); 10] = [
    ("active", State::Active),
    ("ended", State::Ended),
    ("waiting", State::Outcome(Outcome::Waiting)),
    ("streaming", State::Outcome(Outcome::Streaming)),
    ("completed", State::Outcome(Outcome::Completed)),
    ("done", State::Outcome(Outcome::Completed)),
    ("failed", State::Outcome(Outcome::Failed)),
    ("error", State::Outcome(Outcome::Failed)),
    ("cancelled", State::Outcome(Outcome::Cancelled)),
    ("canceled", State::Outcome(Outcome::Cancelled)),
];

const SIGNS: [(&str, Sign); 5] = [
    (">=", Sign::AtLeast),
    ("<=", Sign::AtMost),
    (">", Sign::More),
    ("<", Sign::Less),
    ("=", Sign::Equal),
];

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    ///
    /// A sentence that says which term is wrong, and what could stand there.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let words = words(text);
        if words.len() > MAX_TERMS {
            return Err(format!("more than {MAX_TERMS} terms"));
        }
        let terms = words.iter().map(|word| term(word));
        Ok(Self {
            terms: terms.collect::<Result<_, _>>()?,
        })
    }

    /// Whether a request is shown; `now` by the gateway's clock.
    pub(crate) fn shows(&self, stream: &Stream, now: i64) -> bool {
        self.terms
            .iter()
            .all(|term| term.test.holds(stream, now) != term.is_negated)
    }

    /// Whether a model is shown: only terms that a model can have are asked.
    pub(crate) fn shows_model(&self, provider: &str, model: &str) -> bool {
        self.terms.iter().all(|term| {
            let holds = match &term.test {
                Test::Has(Name::Model, part) => has(model, part),
                Test::Has(Name::Provider, part) => has(provider, part),
                Test::Anywhere(part) => has(model, part) || has(provider, part),
                Test::Has(..) | Test::Compares(..) | Test::Is(_) => return true,
            };
            holds != term.is_negated
        })
    }
}

/// Splits at blanks that are not between quotes; the quotes stay.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut is_quoted = false;
    for c in text.chars() {
        is_quoted ^= c == '"';
        if c.is_whitespace() && !is_quoted {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
        } else {
            word.push(c);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn term(word: &str) -> Result<Term, String> {
    let (is_negated, word) = match word.strip_prefix(['-', '!']) {
        Some(rest) if !rest.is_empty() => (true, rest),
        _ => (false, word),
    };
    let test = test(word)?;
    Ok(Term { is_negated, test })
}

fn test(word: &str) -> Result<Test, String> {
    let anywhere = || Ok(Test::Anywhere(value(word)));
    if word.starts_with('"') {
        return anywhere();
    }
    let Some(at) = word.find([':', '<', '>', '=']) else {
        return anywhere();
    };
    let (field, rest) = word.split_at(at);
    let field = field.to_ascii_lowercase();
    if let Some(rest) = rest.strip_prefix(':') {
        return named(&field, rest);
    }
    let Some((sign, rest)) = SIGNS
        .iter()
        .find_map(|(sign, kind)| Some((*kind, rest.strip_prefix(sign)?)))
    else {
        return anywhere();
    };
    match of(&NUMBERS, &field) {
        Some(number) => Ok(Test::Compares(number, sign, amount(number, rest)?)),
        // A name that has to be just this is not worth another sign.
        None if matches!(sign, Sign::Equal) => named(&field, rest),
        None => Err(format!(
            "{field:?} is no number; those are: {}",
            list(&NUMBERS)
        )),
    }
}

fn named(field: &str, rest: &str) -> Result<Test, String> {
    let value = value(rest);
    if field == "state" {
        return match of(&STATES, &value) {
            Some(state) => Ok(Test::Is(state)),
            None => Err(format!("state is one of: {}", list(&STATES))),
        };
    }
    if let Some(name) = of(&NAMES, field) {
        return Ok(Test::Has(name, value));
    }
    match of(&NUMBERS, field) {
        Some(number) => Ok(Test::Compares(number, Sign::Equal, amount(number, rest)?)),
        None => Err(format!(
            "no field {field:?}; there are: state {} {}",
            list(&NAMES),
            list(&NUMBERS)
        )),
    }
}

/// A value without its quotes, in small letters.
fn value(text: &str) -> String {
    text.replace('"', "").to_lowercase()
}

/// Reads a number with its unit. Times are in seconds.
fn amount(number: Number, text: &str) -> Result<f64, String> {
    let text = text.trim_start_matches('$');
    let units: &[(&str, f64)] = match number {
        Number::Age | Number::FirstToken => {
            &[("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3_600.0)]
        }
        Number::Cost | Number::Status => &[],
        _ => &[("k", 1_000.0), ("M", 1_000_000.0)],
    };
    let (digits, unit) = units
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))
        .unwrap_or((text, 1.0));
    match digits.parse::<f64>() {
        Ok(amount) if amount.is_finite() => Ok(amount * unit),
        _ => Err(format!("{text:?} is no number")),
    }
}

fn of<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    let (_, found) = table.iter().find(|(known, _)| *known == name)?;
    Some(*found)
}

fn list<T>(table: &[(&str, T)]) -> String {
    let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
    names.join(" ")
}

fn has(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(part)
}

impl Test {
    fn holds(&self, stream: &Stream, now: i64) -> bool {
        match self {
            Self::Has(name, part) => name.of(stream).is_some_and(|text| has(text, part)),
            // What is not known is neither more nor less.
            Self::Compares(number, sign, bound) => number
                .of(stream, now)
                .is_some_and(|amount| sign.holds(amount, *bound)),
            Self::Is(State::Active) => stream.summary.is_active(),
            Self::Is(State::Ended) => !stream.summary.is_active(),
            Self::Is(State::Outcome(outcome)) => stream.outcome() == *outcome,
            Self::Anywhere(part) => [
                Name::Id,
                Name::Model,
                Name::Provider,
                Name::Agent,
                Name::Code,
                Name::Message,
                Name::Text,
            ]
            .iter()
            .any(|name| name.of(stream).is_some_and(|text| has(text, part))),
        }
    }
}

impl Name {
    fn of(self, stream: &Stream) -> Option<&str> {
        let summary = &stream.summary;
        match self {
            Self::Id => Some(stream.id().as_str()),
            Self::Model => Some(stream.model()),
            Self::Provider => summary.provider.as_deref(),
            Self::Agent => summary.agent_type.as_deref(),
            Self::Code => summary.detail.error_code.as_deref(),
            Self::Text => Some(&summary.text),
            Self::Message => stream.message(),
        }
    }
}

impl Number {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a double holds more digits than anybody compares"
    )]
    fn of(self, stream: &Stream, now: i64) -> Option<f64> {
        let summary = &stream.summary;
        let whole = match self {
            Self::Cost => return Some(summary.cost_usd?.dollars()),
            Self::Age => return Some(stream.duration(now) as f64 / 1_000.0),
            Self::FirstToken => return Some(stream.first_token()?.0 as f64 / 1_000.0),
            Self::Rate => return Some(stream.rate(now)?.0 as f64 / 1_000.0),
            Self::Input => summary.input_tokens?,
            Self::Output => stream.output()?.0,
            Self::Cached => summary.detail.cached_input_tokens?,
            Self::Status => u64::from(summary.detail.http_status?),
        };
        Some(whole as f64)
    }
}

impl Sign {
    fn holds(self, amount: f64, bound: f64) -> bool {
        match self {
            Self::Less => amount < bound,
            Self::AtMost => amount <= bound,
            Self::Equal => (amount - bound).abs() <= f64::EPSILON * bound.abs(),
            Self::AtLeast => amount >= bound,
            Self::More => amount > bound,
        }
    }
}
