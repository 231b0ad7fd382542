//! Faults that the model test plants to prove that it sees them. Outside tests there are none.

/// One way in which the event path can be wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// A returning reader goes straight to live events; nobody checks what it missed meanwhile.
    SkipHandOver = 1,
    /// A woken reader gets the event from the publisher and once more from the log.
    DeliverFromPublish = 2,
    /// A log that is made anew counts from the beginning.
    ReuseSequence = 3,
    /// The flusher takes a user out of its queue and wakes nobody.
    ForgetUser = 4,
    /// A flusher that has found nothing to do lets go of its queue before it says that it waits.
    SleepLate = 5,
    /// A new reader's cursor is taken before its place.
    PrimeEarly = 6,
    /// The flusher takes a reader out of its queue and does not wake him.
    ForgetReader = 7,
}

impl crate::store::Inner {
    #[cfg(test)]
    pub(crate) fn has_fault(&self, fault: Fault) -> bool {
        self.fault.load(std::sync::atomic::Ordering::Relaxed) == fault as u8
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the signature of the test build")]
    pub(crate) const fn has_fault(&self, _fault: Fault) -> bool {
        false
    }
}
