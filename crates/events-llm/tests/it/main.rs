//! What a user of the crate sees, over recorded answers of all providers.

mod fixtures;
mod reading;
