//! For whom a prelude is made.

use crate::agui::RunAgentInput;

/// The two generations of official clients that are in use.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum Generation {
    /// Those that speak AG-UI 1.0.
    #[default]
    V1_0,
    /// Those before it; 0.0.59 was the last.
    V0_0_59,
}

impl Generation {
    /// Tells the generation of a client by its request: since 1.0 they declare the version that they speak.
    #[must_use]
    pub fn of(input: &RunAgentInput) -> Self {
        let declared = input.protocol_version.as_deref().unwrap_or_default();
        let major = declared.split('.').next().unwrap_or_default();
        if major.parse().is_ok_and(|major: u32| major >= 1) {
            Self::V1_0
        } else {
            Self::V0_0_59
        }
    }
}

/// What is known of a client that joins.
#[derive(Clone, Copy, Default, Debug)]
pub struct Reader<'a> {
    /// The client's request, if it has made one: it names the messages that the client holds, and the ids to
    /// answer with if the thread is not known.
    pub input: Option<&'a RunAgentInput>,
    /// The form in which the client reads events.
    pub generation: Generation,
}

impl<'a> Reader<'a> {
    /// Describes a client by the request that it has made.
    #[must_use]
    pub fn of(input: &'a RunAgentInput) -> Self {
        Self {
            input: Some(input),
            generation: Generation::of(input),
        }
    }
}
