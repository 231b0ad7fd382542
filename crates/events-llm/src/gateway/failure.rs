//! Why there is no answer, in words that hold no secret.

use std::{error::Error, io};

use http::StatusCode;

use super::{problem::Problem, upload::UploadError};

/// No connection came about in time.
#[derive(Debug, thiserror::Error)]
#[error("no connection within the limit")]
pub(crate) struct ConnectTimeout;

/// A host's name is not known.
#[derive(Debug, thiserror::Error)]
#[error("the host's name cannot be resolved")]
pub(crate) struct UnknownHost(#[source] pub(crate) io::Error);

/// Why a request has no answer.
///
/// The words are fixed: what a foreign error says of itself may hold an address with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    UnknownHost,
    Refused,
    Unreachable,
    ConnectTimeout,
    Tls,
    AnswerTimeout,
    Reset,
    HeadTooLarge,
    BadAnswer,
    BodyTooLarge,
    BodyTimeout,
    /// The client's own body broke off.
    BodyCut,
    Other,
}

impl Failure {
    /// Tells what an error of the client was.
    pub(crate) fn of(error: &hyper_util::client::legacy::Error) -> Self {
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(cause) = next {
            if let Some(failure) = Self::of_cause(cause) {
                return failure;
            }
            next = cause.source();
        }
        if error.is_connect() {
            Self::Unreachable
        } else {
            Self::Other
        }
    }

    fn of_cause(cause: &(dyn Error + 'static)) -> Option<Self> {
        if cause.is::<ConnectTimeout>() {
            Some(Self::ConnectTimeout)
        } else if cause.is::<UnknownHost>() {
            Some(Self::UnknownHost)
        } else if cause.is::<rustls::Error>() {
            Some(Self::Tls)
        } else if let Some(upload) = cause.downcast_ref::<UploadError>() {
            Some(match upload {
                UploadError::TooLarge => Self::BodyTooLarge,
                UploadError::TimedOut => Self::BodyTimeout,
                UploadError::Client | UploadError::Answered => Self::BodyCut,
            })
        } else if let Some(error) = cause.downcast_ref::<io::Error>() {
            Self::of_io(error)
        } else {
            Self::of_http(cause.downcast_ref::<hyper::Error>()?)
        }
    }

    fn of_io(error: &io::Error) -> Option<Self> {
        if let Some(inner) = error.get_ref() {
            // An error within is not among the sources of the one around it.
            if let Some(failure) = Self::of_cause(inner) {
                return Some(failure);
            }
        }
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Some(Self::Refused),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                Some(Self::Unreachable)
            }
            io::ErrorKind::TimedOut => Some(Self::ConnectTimeout),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Some(Self::Reset),
            _ => None,
        }
    }

    fn of_http(error: &hyper::Error) -> Option<Self> {
        if error.is_parse_too_large() {
            Some(Self::HeadTooLarge)
        } else if error.is_parse() {
            Some(Self::BadAnswer)
        } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            Some(Self::Reset)
        } else {
            None
        }
    }

    /// Says for people what happened.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::UnknownHost => "the provider's host name cannot be resolved",
            Self::Refused => "the provider refused the connection",
            Self::Unreachable => "the provider cannot be reached",
            Self::ConnectTimeout => "no connection to the provider came about in time",
            Self::Tls => "no secure connection to the provider came about",
            Self::AnswerTimeout => "the provider did not answer in time",
            Self::Reset => "the provider closed the connection before it answered",
            Self::HeadTooLarge => "the head of the provider's answer is too large",
            Self::BadAnswer => "the provider's answer is no HTTP",
            Self::BodyTooLarge => "the request's body is larger than the limit",
            Self::BodyTimeout => "the request's body did not come in time",
            Self::BodyCut => "client disconnected",
            Self::Other => "the request to the provider failed",
        }
    }

    pub(crate) fn problem(self, provider: &str) -> Problem {
        let status = match self {
            Self::ConnectTimeout | Self::AnswerTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyCut => StatusCode::BAD_REQUEST,
            _ => StatusCode::BAD_GATEWAY,
        };
        Problem::new(status, format!("{} (provider {provider})", self.text()))
    }
}
