//! One request and its answer: which failures can pass, and what the hub says about the others.

use std::time::Duration;

use reqwest::{
    RequestBuilder, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER},
};

use crate::{
    backoff::retry_after,
    error::{Cause, Problem},
};

/// How much of an error's body is read, in bytes.
const PROBLEM_BYTES: usize = 64 << 10;

/// How long the body of an error may take; without it, the status speaks for itself.
const PROBLEM_TIMEOUT: Duration = Duration::from_secs(5);

/// How much of an error's body that is no problem is shown, in characters.
const SHOWN_CHARS: usize = 200;

/// An attempt that failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// A later attempt can succeed, and not before `retry_after` if the hub says so.
    Passing {
        cause: Cause,
        retry_after: Option<Duration>,
    },
    /// The hub would refuse the same request again.
    Fatal { status: u16, problem: Box<Problem> },
}

impl Failed {
    pub(crate) const fn passing(cause: Cause) -> Self {
        Self::Passing {
            cause,
            retry_after: None,
        }
    }
}

/// Sends the request and waits, at most `head_timeout`, for the head of a successful answer.
pub(crate) async fn send(
    request: RequestBuilder,
    head_timeout: Duration,
) -> Result<Response, Failed> {
    match tokio::time::timeout(head_timeout, request.send()).await {
        Err(_elapsed) => Err(Failed::passing(Cause::TimedOut)),
        Ok(Err(error)) => Err(Failed::passing(Cause::Transport(error.without_url()))),
        Ok(Ok(response)) if response.status().is_success() => Ok(response),
        Ok(Ok(response)) => Err(failure_of(response).await),
    }
}

/// Reads the hub's account of a refusal. Whatever happens to the body, the status counts.
async fn failure_of(response: Response) -> Failed {
    let status = response.status();
    let header = |name: HeaderName| {
        let value = response.headers().get(name)?;
        value.to_str().ok()
    };
    let wait = header(RETRY_AFTER).and_then(retry_after);
    let moved_to = header(LOCATION)
        .filter(|_address| status.is_redirection())
        .map(str::to_owned);
    // A page for people says nothing in one line.
    let is_page = header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"));
    let body = tokio::time::timeout(PROBLEM_TIMEOUT, read_some(response))
        .await
        .unwrap_or_default();
    let mut problem = Box::new(problem_of(if is_page { b"" } else { &body }));
    if let Some(address) = moved_to {
        problem.detail = Some(format!("moved to {address}"));
    } else if is_page {
        problem.title = status.canonical_reason().map(str::to_owned);
    }
    let is_passing = status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        );
    let status = status.as_u16();
    if is_passing {
        Failed::Passing {
            cause: Cause::Status { status, problem },
            retry_after: wait,
        }
    } else {
        Failed::Fatal { status, problem }
    }
}

async fn read_some(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < PROBLEM_BYTES
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    body
}

fn problem_of(body: &[u8]) -> Problem {
    serde_json::from_slice(body).unwrap_or_else(|_no_problem| {
        let text: String = String::from_utf8_lossy(body)
            .trim()
            .chars()
            .take(SHOWN_CHARS)
            .collect();
        Problem {
            detail: (!text.is_empty()).then_some(text),
            ..Problem::default()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_no_problem_is_shown_in_part() {
        assert_eq!(problem_of(b"  gone\n").to_string(), "gone");
        assert_eq!(problem_of(b"").to_string(), "no reason given");
        let long = "\u{e9}".repeat(1_000);
        assert_eq!(problem_of(long.as_bytes()).to_string().chars().count(), 200);
    }

    #[test]
    fn a_rule_is_a_number_or_a_name_and_never_hides_the_line() {
        for (rule, name) in [
            ("4", Some("4")),
            ("\"order\"", Some("order")),
            ("null", None),
            ("[]", None),
        ] {
            let body = format!(r#"{{"status":422,"detail":"no","line":2,"rule":{rule}}}"#);
            let problem = problem_of(body.as_bytes());
            assert_eq!(
                (problem.rule.as_deref(), problem.line),
                (name, Some(2)),
                "{rule}"
            );
        }
    }
}
