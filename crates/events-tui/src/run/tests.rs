//! The loop, with keys and frames from channels and a clock that stands still.

use std::{cell::RefCell, time::Duration};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use events_client::{Client, StreamKind, Subscribe};
use events_core::ManualClock;
use futures_util::{FutureExt as _, future::pending, stream};
use ratatui::backend::TestBackend;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

use super::*;
use crate::sample::{NOW, picture, running};

/// No test takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

type Keys = mpsc::UnboundedSender<io::Result<Event>>;

fn key(code: KeyCode) -> io::Result<Event> {
    Ok(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

fn channel() -> (Keys, impl Stream<Item = io::Result<Event>>) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    (
        sender,
        stream::poll_fn(move |context| receiver.poll_recv(context)),
    )
}

fn terminal() -> Terminal<TestBackend> {
    Terminal::new(TestBackend::new(80, 24)).unwrap()
}

fn options() -> Options {
    Options::new("http://h:1", true)
}

fn event(data: &str) -> Result<Item, Error> {
    Ok(Item::Event {
        id: None,
        event: "message".to_owned(),
        data: data.to_owned(),
    })
}

#[tokio::test(start_paused = true)]
async fn q_quits_and_what_was_shown_is_the_picture() {
    let (keys, input) = channel();
    let mut terminal = terminal();
    let active = serde_json::to_string(&events_models::StreamFeedFrame::Active(picture(vec![
        running("req_1", "claude", 3),
    ])));
    let items = [
        Ok(Item::Connected { cursor: None }),
        event(&active.unwrap()),
        // What is not understood does no harm.
        event("{"),
        event(r#"{"type":"of the future"}"#),
        Ok(Item::Skipped { bytes: 99 }),
    ];
    let items = stream::iter(items).chain(stream::pending());
    let quitting = async {
        // Long enough for a drawing, and for a second one because times go on.
        tokio::time::advance(Duration::from_secs(2)).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        keys.send(key(KeyCode::Char('q'))).unwrap();
        pending::<()>().await;
    };
    let clock = ManualClock::new(NOW);
    let options = options();
    let driving = drive(
        &mut terminal,
        |_, _| Ok(()),
        input,
        items,
        &options,
        pending(),
        &clock,
    );
    let end = tokio::select! {
        end = driving => end,
        () = quitting => unreachable!(),
    };
    assert!(matches!(end, Ok(End::Quit)), "{end:?}");
    let text = terminal.backend().to_string();
    assert!(text.contains("claude") && text.contains("lost 1"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_id_goes_to_the_clipboard_of_the_terminal() {
    let (keys, input) = channel();
    let active = events_models::StreamFeedFrame::Active(picture(vec![running("req_1", "m", 3)]));
    let items = [event(&serde_json::to_string(&active).unwrap())];
    let items = stream::iter(items).chain(stream::pending());
    let copied = RefCell::new(Vec::new());
    let copy = |_: &mut TestBackend, text: &str| {
        copied.borrow_mut().push(text.to_owned());
        keys.send(key(KeyCode::Char('q'))).unwrap();
        Ok(())
    };
    let pressing = async {
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        keys.send(key(KeyCode::Char('y'))).unwrap();
        pending::<()>().await;
    };
    let (mut terminal, clock, options) = (terminal(), ManualClock::new(NOW), options());
    let driving = drive(
        &mut terminal,
        copy,
        input,
        items,
        &options,
        pending(),
        &clock,
    );
    let end = tokio::select! {
        end = driving => end,
        () = pressing => unreachable!(),
    };
    assert!(matches!(end, Ok(End::Quit)), "{end:?}");
    assert_eq!(*copied.borrow(), ["req_1"]);
}

#[tokio::test]
async fn a_stop_a_lost_terminal_and_a_refusal_end_it_each_in_its_way() {
    let (mut terminal, clock, options) = (terminal(), ManualClock::new(NOW), options());
    let (_keys, input) = channel();
    let none = |_: &mut TestBackend, _: &str| Ok(());
    let never = stream::pending::<Result<Item, Error>>;
    let end = drive(
        &mut terminal,
        none,
        input,
        never(),
        &options,
        async {},
        &clock,
    )
    .await;
    assert!(matches!(end, Ok(End::Stopped)), "{end:?}");

    let input = stream::empty::<io::Result<Event>>();
    let end = drive(
        &mut terminal,
        none,
        input,
        never(),
        &options,
        pending(),
        &clock,
    )
    .await;
    assert!(matches!(end, Ok(End::Gone)), "{end:?}");

    let input = stream::iter([Err(io::Error::other("no"))]);
    let end = drive(
        &mut terminal,
        none,
        input,
        never(),
        &options,
        pending(),
        &clock,
    )
    .await;
    assert_eq!(end.unwrap_err().to_string(), "no");

    // The picture stays until somebody quits.
    let (keys, input) = channel();
    let items = stream::iter([Err(Error::Invalid("of a test"))]);
    let mut driving = Box::pin(drive(
        &mut terminal,
        none,
        input,
        items,
        &options,
        pending(),
        &clock,
    ));
    for _ in 0..20 {
        assert!((&mut driving).now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    keys.send(key(KeyCode::Char('q'))).unwrap();
    let end = timeout(PATIENCE, driving).await.expect("it hangs");
    assert!(matches!(end, Ok(End::Over(Over::Failed(_)))), "{end:?}");
}

/// Answers one request with the beginning of a stream.
async fn serve(listener: &TcpListener, data: &str) -> TcpStream {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(socket.read_u8().await.unwrap());
    }
    assert!(request.starts_with(b"GET /llm/streams HTTP/1.1\r\n"));
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    let answer = format!("{head}retry: 100\n\n: here\n\ndata: {data}\n\n");
    socket.write_all(answer.as_bytes()).await.unwrap();
    socket
}

#[tokio::test]
async fn a_hub_that_is_restarted_is_found_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let client = Client::new(&address).unwrap();
    let items = client.subscribe(Subscribe::to(StreamKind::Llm)).unwrap();
    let mut connections = 0;
    let mut lost = 0;
    // Seen on their way to the screen.
    let items = items.inspect(|item| match item {
        Ok(Item::Connected { .. }) => connections += 1,
        Ok(Item::Reconnecting { .. }) => lost += 1,
        _ => {}
    });
    let (keys, input) = channel();
    let serving = async {
        for (lost, id) in [(0, "req_before"), (3, "req_after")] {
            let mut active = picture(vec![running(id, "m", 3)]);
            active.lost = lost;
            let active = events_models::StreamFeedFrame::Active(active);
            let socket = serve(&listener, &serde_json::to_string(&active).unwrap()).await;
            if lost > 0 {
                // Asks what is under the cursor, until it is the new request.
                let mut again = tokio::time::interval(Duration::from_millis(20));
                loop {
                    again.tick().await;
                    keys.send(key(KeyCode::Char('y'))).unwrap();
                }
            }
            drop(socket);
        }
    };
    let (mut terminal, clock, options) = (terminal(), ManualClock::new(NOW), options());
    let copy = |_: &mut TestBackend, id: &str| {
        if id == "req_after" {
            keys.send(key(KeyCode::Char('q'))).unwrap();
        }
        Ok(())
    };
    let driving = drive(
        &mut terminal,
        copy,
        input,
        items,
        &options,
        pending(),
        &clock,
    );
    let end = timeout(PATIENCE, async {
        tokio::select! {
            end = driving => end,
            () = serving => unreachable!(),
        }
    });
    assert!(matches!(end.await.expect("it hangs"), Ok(End::Quit)));
    assert_eq!((connections, lost), (2, 1));
    let text = terminal.backend().to_string();
    assert!(
        text.contains("● connected") && text.contains("lost 3"),
        "{text}"
    );
    assert!(text.contains("1 Active 1"), "{text}");
}
