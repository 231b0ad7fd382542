//! Labels, and the bounds of their values.

use std::{collections::HashSet, fmt};

use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder};

use crate::{GiveUp, Provider, StreamFailure, session::CLIENT_LEFT, totals::OTHER};

/// Pairs of provider and model with labels of their own.
const MAX_MODELS: usize = 64;

/// Providers with a label of their own.
const MAX_PROVIDERS: usize = 32;

/// The longest value that comes from a request, in bytes.
const MAX_VALUE: usize = 128;

/// What the conventions call an error that has no name of its own.
const OTHER_ERROR: &str = "_OTHER";

/// Errors that providers name alike, beside the statuses of HTTP.
const KNOWN_ERRORS: [&str; 16] = [
    CLIENT_LEFT,
    "no_answer",
    "incomplete_answer",
    "provider_disconnected",
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "rate_limit_exceeded",
    "api_error",
    "server_error",
    "timeout_error",
    "overloaded_error",
];

/// The reasons for not reading on; the first is about one event only.
pub(super) const GIVE_UPS: [&str; 6] = [
    OVERSIZED,
    "unknown_encoding",
    "bad_encoding",
    "too_long",
    "too_many_blocks",
    "panicked",
];

pub(super) const OVERSIZED: &str = "oversized_event";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Of {
    gen_ai_operation_name: &'static str,
    gen_ai_provider_name: String,
    gen_ai_request_model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfOutcome {
    #[prometheus(flatten)]
    pub(super) of: Of,
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfToken {
    #[prometheus(flatten)]
    pub(super) of: Of,
    pub(super) gen_ai_token_type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct OfError {
    pub(super) of: Of,
    /// Without an error the label is left out, as the conventions want it.
    pub(super) error_type: Option<String>,
}

impl EncodeLabelSet for OfError {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        self.of.encode(encoder)?;
        match &self.error_type {
            Some(error_type) => ("error_type", error_type.as_str()).encode(encoder.encode_label()),
            None => Ok(()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfReason {
    reason: &'static str,
}

impl OfReason {
    pub(super) const fn new(reason: &'static str) -> Self {
        Self { reason }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfAlert {
    pub(super) kind: &'static str,
}

/// The values that have been used: there are only so many.
#[derive(Debug, Default)]
pub(super) struct Known {
    providers: HashSet<String>,
    models: HashSet<(String, String)>,
}

impl Known {
    pub(super) fn labels(
        &mut self,
        protocol: Option<Provider>,
        vendor: Option<&str>,
        model: &str,
    ) -> Of {
        let provider = vendor.or(protocol.map(Provider::vendor)).unwrap_or(OTHER);
        let provider = provider_name(provider);
        let has_room = self.providers.len() < MAX_PROVIDERS && provider.len() <= MAX_VALUE;
        let provider = if self.providers.contains(provider) || has_room {
            self.providers.insert(provider.to_owned());
            provider
        } else {
            OTHER
        };
        let pair = (provider.to_owned(), model.to_owned());
        let has_room = self.models.len() < MAX_MODELS && model.len() <= MAX_VALUE;
        let (provider, model) = if self.models.contains(&pair) || has_room {
            self.models.insert(pair.clone());
            pair
        } else {
            (pair.0, OTHER.to_owned())
        };
        Of {
            gen_ai_operation_name: match protocol {
                Some(Provider::Gemini) => "generate_content",
                Some(_) => "chat",
                None => OTHER,
            },
            gen_ai_provider_name: provider,
            gen_ai_request_model: model,
        }
    }
}

/// The name of the conventions for a provider, where it is another than ours.
fn provider_name(vendor: &str) -> &str {
    match vendor {
        "google" => "gcp.gemini",
        "x-ai" | "xai" => "x_ai",
        "mistral" => "mistral_ai",
        "azure" => "azure.ai.openai",
        "aws" | "bedrock" => "aws.bedrock",
        other => other,
    }
}

/// Names an error by its status or by one of the known names; what providers write there is not bounded.
pub(super) fn error_type(failure: &StreamFailure, http_status: Option<u16>) -> String {
    if let Some(status @ 400..=599) = http_status {
        return status.to_string();
    }
    let named = [failure.kind.as_deref(), failure.code.as_deref()];
    let known = |name: &&str| KNOWN_ERRORS.contains(name);
    let name = named.into_iter().flatten().find(known);
    name.unwrap_or(OTHER_ERROR).to_owned()
}

pub(super) const fn of_give_up(give_up: GiveUp) -> &'static str {
    match give_up {
        GiveUp::UnknownEncoding => "unknown_encoding",
        GiveUp::BadEncoding => "bad_encoding",
        GiveUp::TooLong { .. } => "too_long",
        GiveUp::TooManyBlocks { .. } => "too_many_blocks",
        GiveUp::Panicked => "panicked",
    }
}
