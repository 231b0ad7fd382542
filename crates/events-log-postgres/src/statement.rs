//! What is said to the database.

use tokio_postgres::types::Type;

/// A statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    Append,
    Read,
    Save,
    Load,
    EraseSome,
    Erase,
    Heads,
    Identity,
    Sweep,
    Notify,
}

/// The statements with the schema's name in them.
#[derive(Debug)]
pub(crate) struct Statements([String; Call::COUNT]);

impl Call {
    pub(crate) const COUNT: usize = 10;

    /// The types of the parameters. They are named, so that nothing has to be asked for.
    pub(crate) const fn types(self) -> &'static [Type] {
        match self {
            Self::Append => &[
                Type::TEXT,
                Type::INT8,
                Type::INT8,
                Type::INT2_ARRAY,
                Type::INT4_ARRAY,
                Type::UUID_ARRAY,
                Type::TEXT_ARRAY,
                Type::BYTEA_ARRAY,
                Type::BYTEA_ARRAY,
            ],
            Self::Read => &[Type::TEXT, Type::INT8, Type::INT8],
            Self::Save => &[
                Type::TEXT,
                Type::TEXT_ARRAY,
                Type::INT8_ARRAY,
                Type::BYTEA_ARRAY,
            ],
            Self::Load => &[Type::TEXT],
            Self::EraseSome => &[Type::TEXT, Type::INT8],
            Self::Erase => &[
                Type::TEXT,
                Type::INT8,
                Type::INT2,
                Type::INT4,
                Type::UUID,
                Type::TEXT,
                Type::BYTEA,
                Type::BYTEA,
            ],
            Self::Heads => &[Type::TEXT_ARRAY, Type::INT8_ARRAY],
            Self::Identity | Self::Sweep => &[],
            Self::Notify => &[Type::TEXT, Type::TEXT_ARRAY],
        }
    }
}

impl Statements {
    /// Makes the statements of a schema, whose quoted name is given.
    pub(crate) fn new(schema: &str) -> Self {
        Self([
            format!("select {schema}.events_append($1, $2, $3, $4, $5, $6, $7, $8, $9)"),
            format!(
                "select seq, at_ms, channel, tag, msg_id, scope, note, body from {schema}.events_read($1, $2, $3)"
            ),
            format!("select {schema}.events_save($1, $2, $3, $4)"),
            format!("select part, seq, state from {schema}.part where user_id = $1"),
            format!("select {schema}.events_erase_some($1, $2)"),
            format!("select {schema}.events_erase($1, $2, $3, $4, $5, $6, $7, $8)"),
            format!("select user_id, seq from {schema}.events_heads($1, $2)"),
            format!("select log_id, timeline, cluster from {schema}.events_identity()"),
            format!("select {schema}.events_sweep()"),
            // All of one transaction, so that the lock of notifying commits is taken once.
            "select count(pg_notify($1, payload)) from unnest($2) payload".to_owned(),
        ])
    }

    pub(crate) fn text(&self, call: Call) -> &str {
        &self.0[call as usize]
    }
}
