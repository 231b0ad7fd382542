//! How places in a user's log and sequences of the stream become each other.
//!
//! An append is one message, or a few neighbouring ones; its records share the sequence of its last message. The last
//! record has the highest index of all, so the last place of every append is known from its sequence alone, and a
//! number that is no last place is never taken for one.

/// Bits of a place that number the records of an append.
const INDEX_BITS: u32 = 16;

/// How many records one append can have.
pub(crate) const MAX_RECORDS: usize = 1 << INDEX_BITS;

/// The place of the last record of the append that ends with this message.
pub(crate) const fn end_of(sequence: u64) -> u64 {
    (sequence << INDEX_BITS) | (MAX_RECORDS as u64 - 1)
}

/// The sequence of the message that ended the append of this place; 0 for the place 0, before the first.
pub(crate) const fn sequence_of(place: u64) -> u64 {
    place >> INDEX_BITS
}

/// Whether an append can have ended at this place. Before the first record there is an end too.
pub(crate) const fn is_end(place: u64) -> bool {
    place == 0 || end_of(sequence_of(place)) == place
}

/// The place up to which a stream that begins with this sequence has let go of records; 0 if of none.
pub(crate) const fn floor_of(first_sequence: u64) -> u64 {
    match first_sequence {
        0 | 1 => 0,
        later => end_of(later - 1),
    }
}
