//! The integration tests, in one binary.

#[cfg(test)]
mod harness;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod names;
#[cfg(test)]
mod tidy;
