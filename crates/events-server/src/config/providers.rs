//! The keys of one provider: their names have the provider's name in the middle.

use events_llm::{
    Provider,
    gateway::{AcceptEncoding, ProviderConfig},
};

use super::{LlmSettings, Settings};

/// What the keys of all providers begin with.
pub(super) const PREFIX: &str = "llm.providers.";

/// One setting of a provider: `base_url` of the provider `up` is `llm.providers.up.base_url` in the file,
/// `EVENTS_LLM__PROVIDERS__UP__BASE_URL` in the environment and `--llm.providers.up.base_url` on the command line.
#[derive(Clone, Copy, Debug)]
pub struct ProviderKey {
    /// Its last part.
    pub name: &'static str,
    /// What it is for, one line.
    pub doc: &'static str,
    /// What is legal.
    pub expected: &'static str,
    /// Sets it, or says that the text is no value.
    set: fn(&mut ProviderConfig, &str) -> Option<()>,
    show: fn(&ProviderConfig) -> String,
}

/// All settings of a provider, in the order of the help.
pub static PROVIDER_KEYS: [ProviderKey; 6] = [
    ProviderKey {
        name: "base_url",
        doc: "where the provider is: scheme, host, and the beginning of the path",
        expected: "an address such as \"https://api.example.com\", without a name, password, query or fragment",
        set: |provider, text| is_base_url(text).then(|| text.clone_into(&mut provider.base_url)),
        show: |provider| provider.base_url.clone(),
    },
    ProviderKey {
        name: "protocol",
        doc: "the protocol of answers whose path does not tell it",
        expected: "\"anthropic\", \"openai-chat\", \"openai-responses\", \"gemini\", \"ollama\", or nothing",
        set: |provider, text| {
            provider.protocol = match text {
                "" => None,
                name => Some(Provider::from_name(name)?),
            };
            Some(())
        },
        show: |provider| {
            provider
                .protocol
                .map_or_else(String::new, |protocol| protocol.to_string())
        },
    },
    ProviderKey {
        name: "vendor",
        doc: "who serves the models, for prices and screens; else the protocol's own vendor",
        expected: "a name of 1 to 64 bytes, or nothing",
        set: |provider, text| {
            let is_legal = text.len() <= 64 && !text.chars().any(char::is_control);
            is_legal.then(|| provider.vendor = (!text.is_empty()).then(|| text.to_owned()))
        },
        show: |provider| provider.vendor.clone().unwrap_or_default(),
    },
    ProviderKey {
        name: "accept_encoding",
        doc: "whether requests for a stream ask for an answer that is not compressed",
        expected: "\"identity\" or \"as_sent\"",
        set: |provider, text| {
            provider.accept_encoding = match text {
                "identity" => AcceptEncoding::IdentityForStreams,
                "as_sent" => AcceptEncoding::AsSent,
                _ => return None,
            };
            Some(())
        },
        show: |provider| {
            let text = match provider.accept_encoding {
                AcceptEncoding::IdentityForStreams => "identity",
                AcceptEncoding::AsSent => "as_sent",
            };
            text.to_owned()
        },
    },
    ProviderKey {
        name: "inject_stream_usage",
        doc: "whether streamed Chat Completions are made to report their tokens; their clients see one chunk more",
        expected: "true or false",
        set: |provider, text| {
            provider.inject_stream_usage = text.parse().ok()?;
            Some(())
        },
        show: |provider| provider.inject_stream_usage.to_string(),
    },
    ProviderKey {
        name: "http2",
        doc: "whether HTTP/2 is offered to a provider behind TLS",
        expected: "true or false",
        set: |provider, text| {
            provider.http2 = text.parse().ok()?;
            Some(())
        },
        show: |provider| provider.http2.to_string(),
    },
];

impl ProviderKey {
    /// Shows the value of a provider, in a form that is read back as the same.
    #[must_use]
    pub fn show(&self, provider: &ProviderConfig) -> String {
        (self.show)(provider)
    }

    /// Shows the default.
    #[must_use]
    pub fn default_text(&self) -> String {
        self.show(&ProviderConfig::new(""))
    }
}

/// Sets the key of a provider by its whole name; `None` if there is no such key.
pub(super) fn set(
    settings: &mut Settings,
    key: &str,
    text: &str,
) -> Option<Result<(), &'static str>> {
    let (name, last) = key.strip_prefix(PREFIX)?.split_once('.')?;
    let key = PROVIDER_KEYS.iter().find(|key| key.name == last)?;
    if !is_name(name) {
        return Some(Err(NAME_EXPECTED));
    }
    let LlmSettings { providers, .. } = &mut settings.llm;
    if providers.len() >= MAX_PROVIDERS && !providers.contains_key(name) {
        return Some(Err("at most 256 providers"));
    }
    let provider = providers.entry(name.to_owned());
    let provider = provider.or_insert_with(|| ProviderConfig::new(""));
    Some((key.set)(provider, text).ok_or(key.expected))
}

/// The most providers.
const MAX_PROVIDERS: usize = 256;

const NAME_EXPECTED: &str =
    "a provider's name of 1 to 64 of a-z, 0-9, '-' and '_', and not \"streams\"";

/// Whether a name can stand in a path, in a key and in a variable. `/llm/streams` is something else.
fn is_name(name: &str) -> bool {
    let is_legal = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
    };
    (1..=64).contains(&name.len()) && name.bytes().all(is_legal) && name != "streams"
}

/// Whether a text is the beginning of an address. A name or password in it would be shown and not be sent.
fn is_base_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://");
    let Some(rest) = rest.or_else(|| text.strip_prefix("http://")) else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    let is_legal = |c: char| {
        c.is_ascii_graphic() && !matches!(c, '?' | '#' | '"' | '\\' | '<' | '>' | '`' | '{' | '}')
    };
    !host.is_empty() && !authority.contains('@') && text.len() <= 500 && text.chars().all(is_legal)
}
