//! An AG-UI agent without a model: it answers whoever asks, so that there is one behind a new hub.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use events_axum::Problem;
use events_models::{
    AgUiEvent, AgUiEventBuilder as Make, Message, MessageRole, RunAgentInput, agui::UserContent,
};
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use tokio::time::sleep;

/// The name of the agent in paths.
pub(crate) const AGENT: &str = "demo";

/// The largest input that is read, in bytes.
const MAX_INPUT: usize = 4 << 20;

/// The longest part of a question that is repeated, in characters.
const MAX_ECHO: usize = 120;

/// The agent: a POST of a `RunAgentInput` is answered with the events of a run.
pub(crate) fn agent() -> Router {
    Router::new().route("/", post(answer))
}

async fn answer(request: Request) -> Response {
    let body = to_bytes(request.into_body(), MAX_INPUT).await;
    let input = RunAgentInput::from_json(&body.unwrap_or_default());
    let input = match input {
        Ok(input) => input,
        Err(invalid) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Problem::new(status, invalid.to_string()).into_response();
        }
    };
    let paced = stream::iter(events(&input)).then(async |event| {
        sleep(Duration::from_millis(fastrand::u64(30..=90))).await;
        let mut frame = b"data: ".to_vec();
        // Every event has a JSON form.
        let _is_written = event.write_json(&mut frame);
        frame.extend_from_slice(b"\n\n");
        Ok::<_, Infallible>(Bytes::from(frame))
    });
    (
        [(header::CONTENT_TYPE, "text/event-stream")],
        Body::from_stream(paced),
    )
        .into_response()
}

/// A run: a tool that counts the words of the question, some state, and an answer word by word.
fn events(input: &RunAgentInput) -> Vec<AgUiEvent> {
    let question = question(input);
    let n_words = question.split_whitespace().count();
    let (thread, run) = (input.thread_id.clone(), input.run_id.clone());
    let (call, message) = (format!("{run}-call"), format!("{run}-answer"));
    let arguments = json!({ "text": question }).to_string();
    let mut events = vec![
        Make::run_started(thread.clone(), run.clone(), None),
        Make::step_started("count"),
        Make::tool_call_start(call.clone(), "count_words", None),
        Make::tool_call_args(call.clone(), arguments),
        Make::tool_call_end(call.clone()),
        Make::tool_call_result(format!("{run}-result"), call, n_words.to_string()),
        Make::step_finished("count"),
        Make::state_snapshot(json!({ "words": n_words })),
        Make::text_message_start(message.clone(), MessageRole::Assistant),
    ];
    let answer = format!(
        "You said \"{question}\", which has {n_words} words. I am the demo agent of this hub: I have no model, and what \
         I say goes into your log before it goes to you. Reload the page, open another tab, or end the client that \
         asked: the run goes on."
    );
    for word in answer.split_inclusive(' ') {
        events.push(Make::text_message_content(message.clone(), word));
    }
    events.push(Make::text_message_end(message));
    events.push(Make::run_finished(thread, run, None));
    events
}

/// The text of the last message of the user, on one line.
fn question(input: &RunAgentInput) -> String {
    let text = input
        .messages
        .iter()
        .rev()
        .find_map(|message| match message {
            Message::User(message) => match &message.content {
                UserContent::Text(text) => Some(text.as_str()),
                UserContent::Parts(_) => None,
            },
            _ => None,
        });
    let text = text.unwrap_or("nothing");
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(MAX_ECHO).collect()
}

#[cfg(test)]
mod tests {
    use events_models::agui::intake::ThreadIntake;

    use super::*;

    #[test]
    fn the_answer_is_a_whole_run_and_repeats_the_question() {
        let input = br#"{"threadId":"t","runId":"r","messages":[{"id":"q","role":"user","content":"how many\nwords?"}]}"#;
        let input = RunAgentInput::from_json(input).unwrap();
        let mut order = ThreadIntake::default();
        let mut log = Vec::new();
        for event in events(&input) {
            order.admit(event, &mut log).unwrap();
        }
        assert!(order.order().is_finished());
        let mut json = Vec::new();
        for event in &log {
            event.write_json(&mut json).unwrap();
        }
        let text = String::from_utf8(json).unwrap();
        assert!(
            text.contains("how many words?") && text.contains("\"words\":3"),
            "{text}"
        );
    }
}
