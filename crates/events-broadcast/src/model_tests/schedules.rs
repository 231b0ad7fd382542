//! The hand-over from an append to its readers, under many schedules: who goes on is drawn before each lock.
//!
//! The code is the real one; the threads, and what they wait for, are those of a schedule.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex as StdMutex, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Instant,
};

use shuttle::{Config, MaxSteps, Runner, scheduler::RandomScheduler, thread};

use super::*;
use crate::lock::IS_SCHEDULED;

const PUBLISHERS: usize = 2;
/// Appends of each publisher, the second of which are two events.
const APPENDS: usize = 2;
const READERS: usize = 3;
/// What the log ends with.
const LAST: u64 = (PUBLISHERS * (APPENDS + 1)) as u64;

/// Waits until a task has been woken; the schedule gives up when that takes for ever.
fn wait(signal: &Signal) {
    while !signal.is_set() {
        thread::yield_now();
    }
}

/// Reads to the end of the log, over as many connections as it likes; one reader in two begins with what comes.
fn read(broadcaster: &GenericBroadcaster<()>, user: &UserId, number: usize) -> ClientLog {
    let mut log = ClientLog::default();
    if number.is_multiple_of(2) {
        let epoch = broadcaster.store().epoch();
        let first = events_core::EventId::new(epoch, 0, 0);
        log.cursor = Some(first.to_string());
        log.first = Some(0);
    }
    let mut batch = Batch::default();
    loop {
        let attach = Attach::from_cursor(log.cursor.as_deref());
        let mut subscription = broadcaster.connect(user, attach).expect("below the cap");
        log.attached(&subscription);
        let signal = Signal::new();
        let waker = Waker::from(Arc::clone(&signal));
        // After two batches it is cut, and comes back.
        for _ in 0..2 {
            if is_at_end(&log) {
                return log;
            }
            signal.clear();
            match subscription.poll_next(&mut Context::from_waker(&waker), &mut batch) {
                Poll::Ready(next) => log.take(&next, &batch).expect("once and in order"),
                Poll::Pending => wait(&signal),
            }
        }
    }
}

fn is_at_end(log: &ClientLog) -> bool {
    let id = log.cursor.as_deref().and_then(|cursor| cursor.parse().ok());
    id.is_some_and(|id: events_core::EventId| id.seq == LAST)
}

/// Publishers, readers and a flusher; panics if a reader has not what it should have.
fn tell(fault: Option<Fault>, has_flusher: bool) {
    let World {
        broadcaster, user, ..
    } = World::new(fault, 1);
    let published = Arc::new(StdMutex::new(BTreeMap::new()));
    let n_reading = Arc::new(AtomicUsize::new(READERS));
    let mut others = Vec::new();
    for publisher in 0..PUBLISHERS {
        let (broadcaster, user) = (broadcaster.clone(), user.clone());
        let published = Arc::clone(&published);
        others.push(thread::spawn(move || {
            for append in 0..APPENDS {
                let n_events = 1 + usize::from(append == 1);
                let payload = |at: usize| record(publisher * 100 + append * 10 + at);
                let records: Vec<_> = (0..n_events).map(payload).collect();
                let delivery = broadcaster.store().append(&user, &records, None);
                let delivery = delivery.expect("within the bounds");
                let mut published = published.lock().unwrap_or_else(PoisonError::into_inner);
                for (id, record) in delivery.ids.iter().zip(&records) {
                    published.insert(id.seq, record.json.to_vec());
                }
            }
        }));
    }
    if has_flusher {
        let (store, n_reading) = (broadcaster.store().clone(), Arc::clone(&n_reading));
        others.push(thread::spawn(move || {
            let signal = Signal::new();
            let waker = Waker::from(Arc::clone(&signal));
            let mut flush = Box::pin(store.flush());
            while n_reading.load(SeqCst) > 0 {
                if signal.is_set() {
                    signal.clear();
                    let _never = flush.as_mut().poll(&mut Context::from_waker(&waker));
                }
                thread::yield_now();
            }
        }));
    }
    let readers: Vec<_> = (0..READERS)
        .map(|number| {
            let (broadcaster, user) = (broadcaster.clone(), user.clone());
            let n_reading = Arc::clone(&n_reading);
            thread::spawn(move || {
                let log = read(&broadcaster, &user, number);
                n_reading.fetch_sub(1, SeqCst);
                log
            })
        })
        .collect();
    let logs: Vec<_> = readers
        .into_iter()
        .map(|it| it.join().expect("no panic"))
        .collect();
    others
        .into_iter()
        .for_each(|it| it.join().expect("no panic"));
    let published = published.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(published.len() as u64, LAST);
    for log in logs {
        log.check(&published)
            .expect("everything, once and in order");
    }
    assert_eq!(broadcaster.total(), 0);
}

/// Runs as many schedules, drawn from a seed; returns how many there were before one failed, if one did.
fn explore(fault: Option<Fault>, has_flusher: bool, n_schedules: usize) -> Result<usize, usize> {
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(100_000);
    config.stack_size = 256 << 10;
    let n_told = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&n_told);
    let scheduler = RandomScheduler::new_from_seed(20_261_122, n_schedules);
    IS_SCHEDULED.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        Runner::new(scheduler, config).run(move || {
            told.fetch_add(1, SeqCst);
            tell(fault, has_flusher);
        });
    }));
    IS_SCHEDULED.set(false);
    let n_told = n_told.load(SeqCst);
    outcome.map(|()| n_told).map_err(|_panic| n_told)
}

fn must_hold(name: &str, has_flusher: bool) {
    let started = Instant::now();
    let outcome = explore(None, has_flusher, 5_000);
    let (n_told, n_findings) = match outcome {
        Ok(n_told) => (n_told, 0),
        Err(n_told) => (n_told, 1),
    };
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "soak: hand-over, {name} | {n_told} schedules | {seconds:.1} s | {n_findings} findings"
    );
    assert!(outcome.is_ok(), "the {n_told}th schedule fails");
}

fn must_be_found(fault: Fault) {
    let started = Instant::now();
    let n_told = explore(Some(fault), true, 5_000).expect_err("the fault is planted");
    let seconds = started.elapsed().as_secs_f64();
    println!("soak: planted: {fault:?} | found by schedule {n_told} | {seconds:.1} s");
}

#[test]
fn no_schedule_of_publishers_and_readers_loses_anything() {
    must_hold("woken inline", false);
}

#[test]
fn no_schedule_of_publishers_readers_and_a_flusher_loses_anything() {
    must_hold("woken by a flusher", true);
}

#[test]
fn a_flusher_that_falls_asleep_too_late_is_found() {
    must_be_found(Fault::SleepLate);
}

#[test]
fn a_flusher_that_forgets_a_reader_is_found_by_a_schedule() {
    must_be_found(Fault::ForgetReader);
}

#[test]
fn a_cursor_that_is_taken_before_the_place_is_found() {
    must_be_found(Fault::PrimeEarly);
}

#[test]
fn delivery_from_the_publish_call_is_found_by_a_schedule() {
    must_be_found(Fault::DeliverFromPublish);
}
