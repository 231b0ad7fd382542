//! Who may open a stream or publish now: the rates of users, publishers and addresses.

use std::time::Duration;

use events_core::UserId;

use crate::{
    Problem, Rate, RequestContext, StreamState,
    address::Network,
    metrics::Bound,
    publish::Target,
    rates::{Buckets, Short},
};

/// How much of each thing may be done in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Streams that a user may open, over all kinds; also those of official clients.
    pub attach: Rate,
    /// Streams that an address may open. All clients behind one proxy have one address, unless the server knows the
    /// proxy.
    pub attach_per_address: Rate,
    /// Events that may be published for a user.
    pub publish: Rate,
    /// Bytes of bodies that may be published for a user.
    pub publish_bytes: Rate,
    /// Events that a publisher, which is the subject of a token, may publish over all users.
    pub publisher: Rate,
    /// Bytes of bodies that a publisher may publish over all users.
    pub publisher_bytes: Rate,
}

impl Default for Rates {
    /// Bounds that no screen and no agent meets: they are for loops that have lost their brake. An address, and a
    /// publisher, which may be one service for all users, have none.
    fn default() -> Self {
        Self {
            attach: Rate::new(50, 1_000),
            attach_per_address: Rate::OFF,
            publish: Rate::new(100_000, 1_000_000),
            publish_bytes: Rate::new(64 << 20, 512 << 20),
            publisher: Rate::OFF,
            publisher_bytes: Rate::OFF,
        }
    }
}

impl Rates {
    /// The rate of attaching, with its default burst raised to what a user may have open on all streams, twice over:
    /// every page of his may come back at once. A burst that was set stays as it is.
    fn attach_of(&self, connections_per_user: usize) -> Rate {
        let at_once = 2 * 4 * count(connections_per_user);
        if self.attach == Self::default().attach {
            Rate::new(self.attach.per_second, self.attach.burst.max(at_once))
        } else {
            self.attach
        }
    }
}

/// The buckets under those rates. Where there are two, the first counts events and the second bytes.
#[derive(Debug)]
pub(crate) struct Admission {
    attach: Buckets<UserId, 1>,
    attach_per_address: Buckets<Network, 1>,
    publish: Buckets<UserId, 2>,
    publisher: Buckets<UserId, 2>,
}

/// What a publish request costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) n_events: u64,
    pub(crate) n_bytes: u64,
}

impl Cost {
    pub(crate) fn new(n_events: usize, n_bytes: usize) -> Self {
        Self {
            n_events: count(n_events),
            n_bytes: count(n_bytes),
        }
    }

    /// The cost of a body with one event a line.
    pub(crate) fn of_lines(body: &[u8]) -> Self {
        let n_ends = body.iter().filter(|byte| **byte == b'\n').count();
        let has_rest = body.last().is_some_and(|byte| *byte != b'\n');
        Self::new(n_ends + usize::from(has_rest), body.len())
    }

    const fn of_both(self) -> [u64; 2] {
        [self.n_events, self.n_bytes]
    }

    /// The cost of a body that is one event.
    pub(crate) fn of_one(body: &[u8]) -> Self {
        Self::new(1, body.len())
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

impl Admission {
    pub(crate) fn new(rates: &Rates, connections_per_user: usize) -> Self {
        Self {
            attach: Buckets::new([rates.attach_of(connections_per_user)]),
            attach_per_address: Buckets::new([rates.attach_per_address]),
            publish: Buckets::new([rates.publish, rates.publish_bytes]),
            publisher: Buckets::new([rates.publisher, rates.publisher_bytes]),
        }
    }

    /// The most bytes that the buckets can take, if a user's id has at most so many.
    pub(crate) const fn worst_case(user_id_bytes: usize) -> usize {
        // An id's text is shared, and counted beside a pointer here.
        let key_bytes = user_id_bytes + 16;
        Buckets::<UserId, 1>::worst_case(key_bytes)
            + 2 * Buckets::<UserId, 2>::worst_case(key_bytes)
            + Buckets::<Network, 1>::worst_case(0)
    }
}

/// The bound that a user's bucket stands for.
fn of_user(short: Short) -> (Duration, Bound) {
    let bounds = [Bound::PublishRate, Bound::PublishBytes];
    (short.wait, bounds[short.rate])
}

/// The bound that a publisher's bucket stands for.
fn of_publisher(short: Short) -> (Duration, Bound) {
    let bounds = [Bound::PublisherRate, Bound::PublisherBytes];
    (short.wait, bounds[short.rate])
}

impl StreamState {
    /// Counts a stream that is about to be opened, or refuses it.
    pub(crate) fn admit_stream(&self, context: &RequestContext) -> Result<(), Problem> {
        let admission = &self.inner.admission;
        let refused = |bound| {
            move |short: Short| {
                self.inner.metrics.hit(bound);
                let detail = "too many streams are opened in a short time";
                Problem::too_often(detail, short.wait, bound)
            }
        };
        let user = context.user_id();
        admission
            .attach
            .take(user, [1])
            .map_err(refused(Bound::AttachRate))?;
        if let Some(address) = context.address() {
            let taken = admission.attach_per_address.take(&address.into(), [1]);
            if taken.is_err() {
                admission.attach.put_back(user, [1]);
            }
            taken.map_err(refused(Bound::AttachRatePerAddress))?;
        }
        Ok(())
    }

    /// Looks whether anything may be published now, before a body is received.
    /// It has at least one event, and `n_bytes` if it says so.
    pub(crate) fn look_at_publish(
        &self,
        target: &Target,
        n_bytes: Option<u64>,
    ) -> Result<(), Problem> {
        let least = Cost {
            n_events: 1,
            n_bytes: n_bytes.unwrap_or(1),
        };
        let admission = &self.inner.admission;
        let costs = least.of_both();
        let looked = admission.publish.look(&target.user, costs);
        looked.map_err(|short| too_much(of_user(short)))?;
        let looked = admission.publisher.look(&target.publisher, costs);
        looked.map_err(|short| too_much(of_publisher(short)))
    }

    /// Counts what is about to be published, or refuses it.
    pub(crate) fn admit_publish(&self, target: &Target, cost: Cost) -> Result<(), Problem> {
        let admission = &self.inner.admission;
        let costs = cost.of_both();
        let taken = admission.publish.take(&target.user, costs);
        taken.map_err(|short| too_much(of_user(short)))?;
        let taken = admission.publisher.take(&target.publisher, costs);
        taken.map_err(|short| {
            admission.publish.put_back(&target.user, costs);
            too_much(of_publisher(short))
        })
    }

    /// Counts what a live request has sent, and tells how long nothing more of it should be read.
    pub(crate) fn owe_publish(&self, target: &Target, cost: Cost) -> Option<(Duration, Bound)> {
        let Admission {
            publish, publisher, ..
        } = &self.inner.admission;
        publish.owe(&target.user, cost.of_both());
        publisher.owe(&target.publisher, cost.of_both());
        let next = [1, 1];
        let of_user = publish.look(&target.user, next).err().map(of_user);
        let of_publisher = publisher.look(&target.publisher, next).err();
        of_user.max(of_publisher.map(self::of_publisher))
    }
}

fn too_much((wait, bound): (Duration, Bound)) -> Problem {
    let detail = match bound {
        Bound::PublishRate => "too many events are published for this user",
        Bound::PublishBytes => "too many bytes are published for this user",
        Bound::PublisherRate => "this publisher publishes too many events",
        _ => "this publisher publishes too many bytes",
    };
    Problem::too_often(detail, wait, bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_with_a_last_one_that_has_no_end() {
        for (body, n_events) in [("", 0), ("a", 1), ("a\n", 1), ("a\nb", 2), ("a\nb\n", 2)] {
            let cost = Cost::of_lines(body.as_bytes());
            assert_eq!((cost.n_events, cost.n_bytes), (n_events, count(body.len())));
        }
        assert_eq!(Cost::of_one(b"a\nb").n_events, 1);
    }
}
