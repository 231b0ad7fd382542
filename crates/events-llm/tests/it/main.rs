//! What a user of the crate sees, over recorded answers of all providers.

#[cfg(test)]
mod bodies;
#[cfg(test)]
mod dialects;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
#[cfg(feature = "gateway")]
mod gateway;
#[cfg(test)]
mod measuring;
#[cfg(test)]
mod money;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod sockets;
#[cfg(test)]
mod tapping;
