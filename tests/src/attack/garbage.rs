//! Heads that never end, and requests that are none.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::line::Line;
use super::{Tally, connect, count, pace};
use crate::resume::rest;

/// Connections over which garbage comes at the same time.
pub(super) const SOURCES: usize = 32;
/// The time between two bytes of a head.
const PAUSE: Duration = Duration::from_millis(900);

/// Sends a head byte by byte, again and again.
pub(super) async fn speak_slowly(address: SocketAddr, number: usize, tally: Arc<Tally>) {
    loop {
        let Ok(mut stream) = connect(address, 4, None).await else {
            rest(PAUSE).await;
            continue;
        };
        let begun = format!("GET /agui?user=slow-{number} HTTP/1.1\r\nhost: x\r\nx-slow: ");
        let mut said = stream.write_all(begun.as_bytes()).await;
        let mut answer = [0; 512];
        while said.is_ok() {
            match timeout(PAUSE, stream.read(&mut answer)).await {
                // Nothing is answered yet.
                Err(_elapsed) => said = stream.write_all(b"x").await,
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) => break,
            }
        }
        count(&tally.n_given_up);
        let _gone = stream.set_zero_linger();
    }
}

/// Sends garbage at a rate, or as fast as it is answered.
pub(super) async fn throw(address: SocketAddr, number: usize, rate: usize, tally: Arc<Tally>) {
    if rate == 0 {
        return;
    }
    let source = u8::try_from(5 + number % 8).unwrap_or(5);
    let mut line = Line::new(address, source);
    let mut random = fastrand::Rng::with_seed(number as u64);
    let (mut ticks, n_due) = pace(rate);
    for n_sent in 0.. {
        if n_sent % n_due == 0 {
            ticks.tick().await;
        }
        let request = request(&mut random, address);
        if let Ok(200..400) = line.ask(&request).await {
            count(&tally.n_taken);
        }
        count(&tally.n_garbage);
    }
}

/// Draws a request. All are refused: some as no HTTP, after which the connection is closed, some for what they ask.
fn request(random: &mut fastrand::Rng, address: SocketAddr) -> Vec<u8> {
    let host = format!("host: {address}\r\n");
    let number = random.u32(..);
    let text = match random.usize(..12) {
        0 => {
            let mut bytes: Vec<u8> = (0..random.usize(16..200)).map(|_| random.u8(..)).collect();
            bytes.extend_from_slice(b"\r\n\r\n");
            return bytes;
        }
        1 => format!("GET /agui HTTP/9.{number}\r\n{host}\r\n"),
        2 => format!("GET /agui?user=a HTTP/1.1\r\n{host}a b: {number}\r\n\r\n"),
        3 => format!("POST /agui HTTP/1.1\r\n{host}content-length: {number}x\r\n\r\n"),
        4 => format!("GET /{number} HTTP/1.1\r\n{host}\r\n"),
        5 => format!("DELETE /agui?user=a{number} HTTP/1.1\r\n{host}\r\n"),
        6 => format!("GET /agui?user= HTTP/1.1\r\n{host}\r\n"),
        7 => format!("GET /agui/threads/{number}?user=g HTTP/1.1\r\n{host}\r\n"),
        8 => post(&host, "agui", &format!(r#"{{"type":"NO_SUCH_{number}"}}"#)),
        9 => post(&host, "system", &format!(r#"{{"type":[{number}"#)),
        10 => post(&host, "a2a", &"[".repeat(200)),
        _ => post(&host, &format!("stream{number}"), "{}"),
    };
    text.into_bytes()
}

fn post(host: &str, stream: &str, body: &str) -> String {
    format!(
        "POST /publish/{stream}/garbage?user=garbage HTTP/1.1\r\n{host}content-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_of_many_kinds() {
        let mut random = fastrand::Rng::with_seed(1);
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let first_words = |_| {
            let request = request(&mut random, address);
            request[..6.min(request.len())].to_vec()
        };
        let kinds: std::collections::BTreeSet<Vec<u8>> = (0..500).map(first_words).collect();
        assert!(kinds.len() > 20, "{}", kinds.len());
    }
}
