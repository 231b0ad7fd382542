//! One direction of a connection.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

use super::connection::{Counters, End, State};
use super::faults::Direction;

/// Bytes read at once; small, so that a stall takes effect quickly.
const BUFFER: usize = 16 * 1024;

/// Moves bytes one way until their source ends (which is passed on) or a fault ends the connection.
///
/// `None`: the source has ended, the other direction may go on.
pub(super) async fn pump(
    direction: Direction,
    mut source: impl AsyncRead + Unpin,
    mut sink: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
    counters: &watch::Sender<Counters>,
) -> io::Result<Option<End>> {
    let mut buffer = vec![0; BUFFER];
    let mut n_done = 0_u64;
    loop {
        let is_ready = wait_while_stalled(direction, &mut state).await;
        if !is_ready {
            return Ok(None);
        }
        // A change of the faults interrupts the wait for bytes, never a read that has happened.
        let n_read = tokio::select! {
            biased;
            changed = state.changed() => {
                if changed.is_err() {
                    return Ok(None);
                }
                continue;
            }
            n_read = source.read(&mut buffer) => n_read?,
        };
        if n_read == 0 {
            sink.shutdown().await?;
            return Ok(None);
        }
        let delay = state.borrow().faults.delay;
        tokio::time::sleep(delay).await;
        let mut waiting = buffer.get(..n_read).unwrap_or_default();
        while !waiting.is_empty() {
            if !wait_while_stalled(direction, &mut state).await {
                return Ok(None);
            }
            let faults = state.borrow().faults.clone();
            let n_piece = faults.piece(direction, waiting.len(), n_done);
            let (piece, rest) = waiting.split_at(n_piece);
            sink.write_all(piece).await?;
            sink.flush().await?;
            waiting = rest;
            n_done += n_piece as u64;
            counters.send_modify(|counters| counters.count_bytes(direction, n_piece as u64));
            if direction == Direction::Down
                && faults.down_limit().is_some_and(|limit| n_done >= limit)
            {
                let is_reset = faults.reset_after.is_some_and(|limit| n_done >= limit);
                return Ok(Some(if is_reset { End::Reset } else { End::Cut }));
            }
            tokio::time::sleep(faults.rest(n_piece)).await;
            // A sliced stream gives other tasks, the reader among them, a turn after each piece.
            tokio::task::yield_now().await;
        }
    }
}

/// Waits until the direction may move; `false` when the proxy is gone.
async fn wait_while_stalled(direction: Direction, state: &mut watch::Receiver<State>) -> bool {
    state
        .wait_for(|state| !state.is_dead() && !state.faults.is_stalled(direction))
        .await
        .is_ok()
}
