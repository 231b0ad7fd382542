//! The terminal screen of running LLM streams: what `top` is for processes.
//!
//! ```no_run
//! use events_client::{Client, StreamKind, Subscribe};
//! use events_tui::{Options, run};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let address = "http://127.0.0.1:4000";
//! let client = Client::new(address)?;
//! let stream = client.subscribe(Subscribe::to(StreamKind::Llm))?;
//! let end = run(stream, &Options::new(address, true), std::future::pending()).await?;
//! println!("{end:?}");
//! # Ok(())
//! # }
//! ```
//!
//! From the outside in: `run` is the loop, `screen` owns the terminal, `feed` reads the stream, `keys` says what a key
//! means, `app` is the state of the screen, `view` draws it, `model` is what is known of all requests.
//!
//! # What this crate does not do
//!
//! It asks a hub for one stream and for nothing else, and changes nothing there. It counts no tokens: what is reported
//! is shown, and what is guessed from the length of texts is marked by `~`. It keeps nothing on disk.
//!
//! # Invariants
//!
//! 1. The terminal is given back as it was: after quitting, after an error, and before a panic is told.
//! 2. No text of a model, an error or a name reaches the terminal before `text` has made it harmless.
//! 3. Memory is bounded: the number of requests, of models and of alerts, and the length of each text.
//! 4. Nothing is drawn more often than eight times a second, but for keys; and nothing that comes in waits for it.
//! 5. A stream that is lost leaves the last picture, and says so.
//! 6. What is not known is `-`, never zero; a state is told by a sign, never by its colour alone.

mod app;
mod column;
mod feed;
mod filter;
mod keys;
mod model;
mod number;
mod run;
#[cfg(test)]
mod sample;
mod screen;
mod text;
mod view;

pub use feed::Over;
pub use run::{End, Options, run};
