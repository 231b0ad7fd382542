//! The lock of the event path: the standard library's, and in unit tests one before which a schedule may let another
//! thread go first.

#[cfg(not(test))]
pub(crate) use std::sync::{Mutex, MutexGuard};

#[cfg(test)]
pub(crate) use scheduled::{IS_SCHEDULED, Mutex, MutexGuard};

#[cfg(test)]
mod scheduled {
    use std::{
        cell::Cell,
        sync::{LockResult, TryLockError},
    };

    pub(crate) use std::sync::MutexGuard;

    thread_local! {
        /// Whether a schedule decides who goes on; all its threads are one thread of the machine.
        pub(crate) static IS_SCHEDULED: Cell<bool> = const { Cell::new(false) };
    }

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
            while IS_SCHEDULED.get() {
                shuttle::thread::yield_now();
                // Who waits for a thread that cannot go on would wait for ever.
                match self.0.try_lock() {
                    Ok(guard) => return Ok(guard),
                    Err(TryLockError::Poisoned(poisoned)) => return Err(poisoned),
                    Err(TryLockError::WouldBlock) => {}
                }
            }
            self.0.lock()
        }
    }
}
