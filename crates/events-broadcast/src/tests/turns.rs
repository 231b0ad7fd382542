//! Readers of many users: a slice of them is woken by the publish calls, the others queue for a flusher.

use std::{
    future::Future as _,
    pin::{Pin, pin},
    sync::Mutex,
    task::Wake,
};

use super::*;
use crate::{Flush, flush::SLICE};

type Woken = Arc<Mutex<Vec<usize>>>;

/// A reader's waker, which notes that it was woken.
struct Named {
    name: usize,
    woken: Woken,
}

impl Wake for Named {
    fn wake(self: Arc<Self>) {
        self.woken.lock().unwrap().push(self.name);
    }
}

/// Users with one reader each, who all wait, and a flusher that waits too.
struct World {
    numbers: Numbers,
    readers: Vec<Subscription>,
    woken: Woken,
    flush: Pin<Box<Flush>>,
}

impl World {
    /// What the flusher is called among those who were woken.
    const FLUSHER: usize = usize::MAX;

    fn new(n_users: usize) -> Self {
        let numbers = Numbers::new();
        let connect = |name| numbers.connect(&user(name), Attach::now()).unwrap();
        let mut world = Self {
            readers: (0..n_users).map(connect).collect(),
            woken: Woken::default(),
            flush: Box::pin(numbers.store().flush()),
            numbers,
        };
        (0..n_users).for_each(|name| world.wait(name));
        world.flush();
        world
    }

    fn waker(&self, name: usize) -> Waker {
        let woken = Arc::clone(&self.woken);
        Arc::new(Named { name, woken }).into()
    }

    /// Reads all that there is and waits for more.
    fn wait(&mut self, name: usize) {
        let waker = self.waker(name);
        let mut batch = Batch::default();
        let mut context = Context::from_waker(&waker);
        while self.readers[name]
            .poll_next(&mut context, &mut batch)
            .is_ready()
        {}
    }

    fn publish(&self, names: std::ops::Range<usize>) {
        for name in names {
            let delivery = self.numbers.publish(&user(name), &Number(1)).unwrap();
            assert_eq!(delivery.reached(&self.numbers).woken, 1);
        }
    }

    fn flush(&mut self) {
        let waker = self.waker(Self::FLUSHER);
        let polled = self.flush.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }

    fn take_woken(&self) -> Vec<usize> {
        std::mem::take(&mut *self.woken.lock().unwrap())
    }
}

fn user(name: usize) -> UserId {
    UserId::new(format!("user-{name}"))
}

fn names(range: std::ops::Range<usize>) -> Vec<usize> {
    range.collect()
}

#[test]
fn readers_are_woken_at_once_until_there_are_many() {
    let mut world = World::new(SLICE + 3);
    world.publish(0..SLICE);
    assert_eq!(world.take_woken(), names(0..SLICE));
    world.publish(SLICE..SLICE + 3);
    assert_eq!(world.take_woken(), [World::FLUSHER], "called once");
    world.flush();
    assert_eq!(
        world.take_woken(),
        [names(SLICE..SLICE + 3), vec![World::FLUSHER]].concat()
    );
    world.flush();
    assert!(world.take_woken().is_empty(), "nobody is due, it sleeps");
    (0..SLICE + 3).for_each(|name| world.wait(name));
    world.publish(0..SLICE);
    assert_eq!(world.take_woken(), names(0..SLICE), "a slice again");
}

#[test]
fn those_a_flusher_has_woken_run_before_more_are_woken() {
    let mut world = World::new(3 * SLICE);
    world.publish(0..SLICE + 10);
    world.take_woken();
    world.flush();
    assert_eq!(
        world.take_woken(),
        [names(SLICE..SLICE + 10), vec![World::FLUSHER]].concat()
    );
    let (first, most) = (SLICE + 10, 2 * SLICE);
    world.publish(first..most);
    assert_eq!(
        world.take_woken(),
        names(first..most),
        "what is left of a slice"
    );
    world.publish(most..3 * SLICE);
    assert!(world.take_woken().is_empty(), "it has a turn to come");
    world.flush();
    assert_eq!(
        world.take_woken(),
        [names(most..3 * SLICE), vec![World::FLUSHER]].concat()
    );
}

#[test]
fn who_has_published_gives_way_unless_readers_queue() {
    let mut world = World::new(SLICE + 1);
    let mut context = Context::from_waker(Waker::noop());
    world.publish(0..SLICE);
    let store = world.numbers.store().clone();
    let mut way = pin!(store.give_way());
    assert!(way.as_mut().poll(&mut context).is_pending());
    assert!(way.as_mut().poll(&mut context).is_ready());
    world.publish(SLICE..SLICE + 1);
    assert!(pin!(store.give_way()).poll(&mut context).is_ready());
    world.flush();
    assert!(pin!(store.give_way()).poll(&mut context).is_pending());
}

#[test]
fn nobody_overtakes_those_who_queue() {
    let mut world = World::new(3 * SLICE);
    world.publish(0..3 * SLICE);
    assert_eq!(
        world.take_woken(),
        [names(0..SLICE), vec![World::FLUSHER]].concat()
    );
    world.wait(0);
    world.publish(0..1);
    world.flush();
    assert_eq!(
        world.take_woken(),
        [names(SLICE..2 * SLICE), vec![World::FLUSHER]].concat()
    );
    world.wait(SLICE);
    world.publish(SLICE..SLICE + 1);
    world.flush();
    assert_eq!(
        world.take_woken(),
        [names(2 * SLICE..3 * SLICE), vec![World::FLUSHER]].concat()
    );
    world.flush();
    assert_eq!(world.take_woken(), [0, SLICE, World::FLUSHER]);
}

#[test]
fn who_queues_is_woken_when_the_last_flusher_goes() {
    let mut world = World::new(SLICE + 2);
    world.publish(0..SLICE + 1);
    world.take_woken();
    let numbers = world.numbers.clone();
    world.flush = Box::pin(numbers.store().flush());
    assert_eq!(world.take_woken(), [SLICE]);
    world.publish(SLICE + 1..SLICE + 2);
    assert_eq!(world.take_woken(), [SLICE + 1], "nobody else would do it");
}
