//! The names of streams and subjects.

use events_core::UserId;
use sha2::{Digest as _, Sha256};

/// Letters and digits that mean the same in every case and stand in any token.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// What this log is called in the server.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// The stream of records.
    pub(crate) stream: String,
    /// The stream of checkpoints.
    pub(crate) checkpoints: String,
    prefix: String,
    salt: String,
}

impl Names {
    pub(crate) fn new(stream: &str, prefix: &str, salt: &str) -> Self {
        Self {
            stream: stream.to_owned(),
            checkpoints: format!("{stream}_CP"),
            prefix: prefix.to_owned(),
            salt: salt.to_owned(),
        }
    }

    /// A user's token. The id itself may hold anything, and need not be readable in the server's monitoring.
    fn user_token(&self, user: &UserId) -> String {
        token(&[self.salt.as_bytes(), user.as_str().as_bytes()])
    }

    /// Where a user's records are.
    pub(crate) fn of_user(&self, user: &UserId) -> String {
        format!("{}.{}", self.prefix, self.user_token(user))
    }

    pub(crate) fn of_all_users(&self) -> String {
        format!("{}.*", self.prefix)
    }

    /// Where live events of a user pass by.
    pub(crate) fn live(&self, user: &UserId) -> String {
        format!("{}-live.{}", self.prefix, self.user_token(user))
    }

    pub(crate) fn all_live(&self) -> String {
        format!("{}-live.*", self.prefix)
    }

    /// The head of a part of a user's state.
    pub(crate) fn head(&self, user: &UserId, part: &str) -> String {
        let (user, part) = (self.user_token(user), token(&[part.as_bytes()]));
        format!("{}-cp.{user}.head.{part}", self.prefix)
    }

    pub(crate) fn all_heads(&self, user: &UserId) -> String {
        format!("{}-cp.{}.head.*", self.prefix, self.user_token(user))
    }

    /// One piece of a state that is too large for one message.
    pub(crate) fn piece(&self, user: &UserId, generation: &str, number: usize) -> String {
        let user = self.user_token(user);
        format!("{}-cp.{user}.piece.{generation}.{number}", self.prefix)
    }

    /// All pieces of one state.
    pub(crate) fn pieces(&self, user: &UserId, generation: &str) -> String {
        let user = self.user_token(user);
        format!("{}-cp.{user}.piece.{generation}.*", self.prefix)
    }

    /// The pieces of all states of a user.
    pub(crate) fn all_pieces(&self, user: &UserId) -> String {
        format!("{}-cp.{}.piece.>", self.prefix, self.user_token(user))
    }

    pub(crate) fn all_states(&self) -> String {
        format!("{}-cp.>", self.prefix)
    }
}

/// 128 bits of a hash, as a token of a subject.
pub(crate) fn token(parts: &[&[u8]]) -> String {
    base32(&hash(parts)[..16])
}

/// A hash of several byte strings, that differs when they are divided differently.
pub(crate) fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn base32(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut bits, mut n_bits) = (0_u32, 0);
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        n_bits += 8;
        while n_bits >= 5 {
            n_bits -= 5;
            out.push(char::from(ALPHABET[(bits >> n_bits) as usize & 31]));
        }
    }
    if n_bits > 0 {
        out.push(char::from(ALPHABET[(bits << (5 - n_bits)) as usize & 31]));
    }
    out
}
