//! What a user of the crate sees, over recorded answers of all providers.

mod ends;
mod fixtures;
mod money;
mod proxy;
mod reading;
mod runs;
mod tapping;
