//! From a typed event, or its JSON, to parked connections: time and allocations of each publish.
//!
//! The event is a TEXT_MESSAGE_CONTENT of about 200 bytes in an open run; the user's ring is full. `1` means one
//! connection of the AG-UI stream and one of the context stream, `10` ten of each.
//!
//! Reference on the same class of machine, an `mpsc` channel per connection: routing to 1 + 1 takes 3.1 us with
//! 18 allocations, to 10 + 10 6.9 us with 54. Aim: a fifth of that, so 0.62 us with 3.6 and 1.4 us with 11.

use std::{
    cell::RefCell,
    task::{Context, Poll, Waker},
    time::Duration,
};

use divan::{AllocProfiler, Bencher, black_box, counter::ItemsCount};
use events_broadcast::{Attach, Batch, Limits, Next, Subscription};
use events_core::{ThreadId, UserId};
use events_models::{AgUiEvent, AgUiEventBuilder, MessageRole, agui::fold};
use events_router::{EventRouter, Item, Published, RouterConfig};
use futures_util::FutureExt;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    // Many samples of many runs: the minimum and the median then hold on a machine with neighbours.
    divan::Divan::default()
        .sample_count(500)
        .sample_size(64)
        .max_time(Duration::from_millis(1_500))
        .config_with_args()
        .main();
}

fn content() -> AgUiEvent {
    AgUiEventBuilder::text_message_content("m1", "x".repeat(110))
}

fn content_json() -> Vec<u8> {
    let mut json = Vec::new();
    content().write_json(&mut json).expect("an event is JSON");
    json
}

/// A router with one user, an open run and message, a full ring and connections.
struct Bench {
    router: EventRouter,
    user: UserId,
    subscriptions: Vec<Subscription>,
    batch: Batch,
}

impl Bench {
    fn new(n_connections: usize) -> Self {
        Self::with_ring(n_connections, Limits::default().events)
    }

    fn with_ring(n_connections: usize, events: usize) -> Self {
        let limits = Limits {
            events,
            ..Limits::default()
        };
        let router = EventRouter::new(RouterConfig {
            limits,
            ..RouterConfig::default()
        });
        let user = UserId::new("ada");
        let mut subscriptions = Vec::new();
        let _opened = [
            AgUiEventBuilder::run_started("thread", "run", None),
            AgUiEventBuilder::text_message_start("m1", MessageRole::Assistant),
        ]
        .map(|event| route(&router, &user, event));
        for _ in 0..=router.agui().store().limits().events {
            route(&router, &user, content());
        }
        for _ in 0..n_connections {
            let agui = router.agui().connect(&user, Attach::now());
            let contexts = router.contexts().connect(&user, Attach::now());
            subscriptions.extend([agui, contexts].map(|accepted| accepted.expect("there is room")));
        }
        let mut bench = Self {
            router,
            user,
            subscriptions,
            batch: Batch::default(),
        };
        bench.read();
        bench
    }

    /// Reads with every connection until all are parked, and returns how many events there were.
    fn read(&mut self) -> usize {
        let mut context = Context::from_waker(Waker::noop());
        let mut n_events = 0;
        for subscription in &mut self.subscriptions {
            while let Poll::Ready(next) = subscription.poll_next(&mut context, &mut self.batch) {
                assert_eq!(next, Next::Events, "nothing is missed or closed");
                n_events += self.batch.events.len();
            }
        }
        n_events
    }
}

fn route(router: &EventRouter, user: &UserId, event: AgUiEvent) -> Published {
    router
        .route_agui(black_box(user), event)
        .now_or_never()
        .expect("the memory log does not wait")
        .expect("the event is legal here")
}

/// Readers are behind: the first publish has woken them, and nobody reads.
#[divan::bench(args = [0, 1, 10])]
fn route_agui_unread(bencher: Bencher<'_, '_>, n_connections: usize) {
    let bench = Bench::new(n_connections);
    bencher
        .with_inputs(content)
        .bench_local_values(|event| route(&bench.router, &bench.user, event));
}

/// Every reader is parked and is woken; the reading is not measured. Each of 64 users has a router of its own, so
/// little is found in the nearest caches.
#[divan::bench(args = [1, 10])]
fn route_agui_wakes(bencher: Bencher<'_, '_>, n_connections: usize) {
    let benches: Vec<_> = (0..64)
        .map(|_| RefCell::new(Bench::with_ring(n_connections, 64)))
        .collect();
    let mut turns = benches.iter().cycle();
    bencher
        .with_inputs(|| {
            let bench = turns.next().expect("a cycle has no end");
            bench.borrow_mut().read();
            (bench, content())
        })
        .bench_local_values(|(bench, event)| {
            let bench = bench.borrow();
            let published = route(&bench.router, &bench.user, event);
            assert_eq!(published.connections(), 2 * n_connections);
            published
        });
}

/// Every reader is parked, is woken, reads the event and is parked again.
#[divan::bench(args = [1, 10])]
fn route_agui_and_read(bencher: Bencher<'_, '_>, n_connections: usize) {
    let mut bench = Bench::new(n_connections);
    bencher.with_inputs(content).bench_local_values(|event| {
        let published = route(&bench.router, &bench.user, event);
        assert_eq!(bench.read(), 2 * n_connections);
        published
    });
}

/// Lines of one request, with their thread, to one connection of each stream; nobody reads.
#[divan::bench(args = [1, 64])]
fn publish_json_lines(bencher: Bencher<'_, '_>, n_lines: usize) {
    let bench = Bench::new(1);
    let (json, thread) = (content_json(), ThreadId::new("thread"));
    bencher.counter(ItemsCount::new(n_lines)).bench_local(|| {
        let items = (0..n_lines)
            .map(|_| Item::agui(black_box(&json), Some(thread.clone())).expect("a legal event"))
            .collect();
        bench
            .router
            .publish_batch(&bench.user, items)
            .now_or_never()
            .expect("the memory log does not wait")
            .expect("the events are legal here")
    });
}

/// A router with a run in which so many deltas were published, and the run's turn.
fn with_deltas(fold_bytes: usize, n_deltas: usize) -> (EventRouter, UserId) {
    let router = EventRouter::new(RouterConfig {
        fold_bytes,
        ..RouterConfig::default()
    });
    let user = UserId::new("ada");
    begin(&router, &user, 0);
    for _ in 0..n_deltas {
        route(&router, &user, content());
    }
    (router, user)
}

/// Begins the `n`th run, in a thread of its own.
fn begin(router: &EventRouter, user: &UserId, n: usize) {
    let _begun = [
        AgUiEventBuilder::run_started(format!("thread-{n}"), format!("run-{n}"), None),
        AgUiEventBuilder::text_message_start("m1", MessageRole::Assistant),
    ]
    .map(|event| route(router, user, event));
}

/// What the fold adds to publishing a delta into a full ring. Runs are changed now and then, so that the bound of a
/// thread is never met; that is not measured.
#[divan::bench(args = [0, fold::MAX_BYTES])]
fn route_agui_folded(bencher: Bencher<'_, '_>, fold_bytes: usize) {
    let (router, user) = with_deltas(fold_bytes, Limits::default().events);
    let mut n_events = 0;
    bencher
        .with_inputs(|| {
            n_events += 1;
            if n_events % 8_192 == 0 {
                let n = n_events / 8_192;
                let _ended = [
                    AgUiEventBuilder::text_message_end("m1"),
                    AgUiEventBuilder::run_finished(
                        format!("thread-{}", n - 1),
                        format!("run-{}", n - 1),
                        None,
                    ),
                ]
                .map(|event| route(&router, &user, event));
                begin(&router, &user, n);
            }
            content()
        })
        .bench_local_values(|event| route(&router, &user, event));
}

/// Joins a thread and reads its prelude; nothing has been said since the last joiner.
#[divan::bench(args = [100, 10_000])]
fn join(bencher: Bencher<'_, '_>, n_deltas: usize) {
    let (router, user) = with_deltas(fold::MAX_BYTES, n_deltas);
    bencher.bench_local(|| read_prelude(&router, &user));
}

/// Publishes a delta and joins: the prelude is made anew.
#[divan::bench(args = [100, 10_000])]
fn join_after_a_delta(bencher: Bencher<'_, '_>, n_deltas: usize) {
    let (router, user) = with_deltas(fold::MAX_BYTES, n_deltas);
    bencher.bench_local(|| {
        route(
            &router,
            &user,
            AgUiEventBuilder::text_message_content("m1", "."),
        );
        read_prelude(&router, &user)
    });
}

fn read_prelude(router: &EventRouter, user: &UserId) -> usize {
    let mut reader = router
        .subscribe(user)
        .thread("thread-0")
        .expect("there is room");
    let mut context = Context::from_waker(Waker::noop());
    let (mut batch, mut n_events) = (Batch::default(), 0);
    while reader.poll_next(&mut context, &mut batch).is_ready() {
        n_events += batch.events.len();
    }
    n_events
}
