//! The headers of a request: media type, protocol version, and their agreement with the body (MCP
//! 2026-07-28 "Server Validation").

use std::borrow::Cow;

use base::same_bytes::same_bytes;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use thiserror::Error;

use super::message::{Message, Shape};
use super::method::Era;

/// The supported protocol versions, newest first.
pub const VERSIONS: &[&str] = &[
    MODERN_VERSION,
    "2025-11-25",
    "2025-06-18",
    "2025-03-26",
    "2024-11-05",
];
const VERSION: &str = "mcp-protocol-version";
/// The header that repeats the method (MCP 2026-07-28 "Standard Headers").
const METHOD: &str = "mcp-method";
/// The header that repeats the tool, prompt, resource or task (MCP 2026-07-28 "Standard Headers").
pub const NAME: &str = "mcp-name";
const MODERN_VERSION: &str = "2026-07-28";

/// Prefix of the headers that mirror arguments (MCP 2026-07-28 "Custom Headers").
pub const PARAM_PREFIX: &str = "mcp-param-";

/// The headers of a request or response, with names in lower case.
#[derive(Clone, Default)]
pub struct Headers(Vec<(String, Vec<u8>)>);

/// A change of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderEdit {
    /// Removes every value.
    Remove(String),
    /// Replaces every value by this one.
    Set(String, String),
}

/// Why a header cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// The value is not visible ASCII.
    #[error("header `{0}` has characters that are not visible ASCII")]
    NotText(&'static str),
    /// The header is there more than once.
    #[error("header `{0}` is repeated")]
    Repeated(&'static str),
}

/// Why the headers of a message do not agree with its body.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HeaderMismatch {
    /// The header cannot be read.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A header does not repeat the value of the body.
    #[error("header `{0}` does not match the body")]
    Mismatch(&'static str),
    /// The header names 2026-07-28, and `_meta` has no version.
    #[error("`_meta` has no `io.modelcontextprotocol/protocolVersion`")]
    NoMeta,
    /// A header that the version requires is missing.
    #[error("header `{0}` is missing")]
    Missing(&'static str),
    /// The version is not supported. Holds the version of the header.
    #[error("protocol version is not supported")]
    Version(String),
}

impl Headers {
    /// Headers from the host.
    pub fn new(pairs: Vec<(String, Vec<u8>)>) -> Self {
        let mut pairs = pairs;
        for (name, _) in &mut pairs {
            name.make_ascii_lowercase();
        }
        Self(pairs)
    }

    /// The value of a header that may occur once.
    ///
    /// # Errors
    ///
    /// The header is repeated, or its value is not visible ASCII.
    pub fn one(&self, name: &'static str) -> Result<Option<&str>, HeaderError> {
        let mut values = self.all(name);
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(HeaderError::Repeated(name));
        }
        // Without a branch for each byte, the compiler compares many bytes at once.
        let is_visible = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
        let is_text = value.iter().fold(true, |all, byte| all & is_visible(byte));
        match str::from_utf8(value) {
            Ok(text) if is_text => Ok(Some(text.trim_matches([' ', '\t']))),
            _ => Err(HeaderError::NotText(name)),
        }
    }

    /// Every value of a header.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        // Most names of one length end differently, so that few are compared whole.
        let end = name.as_bytes().last();
        let is_it = move |other: &str| {
            other.as_bytes().last() == end && same_bytes(other.as_bytes(), name.as_bytes())
        };
        self.iter()
            .filter_map(move |(other, value)| is_it(other).then_some(value))
    }

    /// Whether the header is present.
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// All names in their order, each with a line end.
    pub fn names(&self) -> String {
        let size = self.0.iter().map(|(name, _)| name.len().saturating_add(1));
        let mut names = String::with_capacity(size.fold(0, usize::saturating_add));
        for (name, _) in &self.0 {
            names.push_str(name);
            names.push('\n');
        }
        names
    }

    /// The size of all names and values, in bytes.
    pub fn size(&self) -> usize {
        let of_header = |(name, value): (&str, &[u8])| name.len().saturating_add(value.len());
        self.iter().map(of_header).fold(0, usize::saturating_add)
    }

    /// Every header.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

/// Names only: values may hold secrets.
impl std::fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

/// The media type of a `Content-Type`, if it is one type without parameters other than UTF-8.
pub fn media_type(content_type: &str) -> Option<String> {
    let (media, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let media = media.trim().to_ascii_lowercase();
    let parameters: String = parameters.split_whitespace().collect();
    let utf8 = matches!(
        parameters.to_ascii_lowercase().as_str(),
        "" | "charset=utf-8" | "charset=\"utf-8\""
    );
    (utf8 && !media.contains(',')).then_some(media)
}

/// The era that the headers of a request state. A body of the other era is refused later.
pub fn stated_era(headers: &Headers) -> Era {
    match headers.one(VERSION) {
        Ok(Some(MODERN_VERSION)) => Era::Modern,
        _ => Era::Legacy,
    }
}

/// Checks that the headers of a message agree with its body, and returns its era. `complete`: the headers
/// that the version requires must be present.
///
/// # Errors
///
/// Headers and body name different versions, methods or targets, or an unsupported version.
pub fn agree(
    headers: &Headers,
    message: &Message<'_>,
    complete: bool,
) -> Result<Era, HeaderMismatch> {
    let stated = headers.one(VERSION)?;
    let meta = message.params.protocol_version.as_deref();
    let era = match (stated, meta) {
        (None, None) => Era::Legacy,
        (None, Some(MODERN_VERSION)) if !complete => Era::Modern,
        (None, Some(_)) => return Err(HeaderMismatch::Missing(VERSION)),
        (Some(stated), _) if !VERSIONS.contains(&stated) => {
            return Err(HeaderMismatch::Version(stated.to_owned()));
        }
        (Some(MODERN_VERSION), None) if message.shape == Shape::Request => {
            return Err(HeaderMismatch::NoMeta);
        }
        (Some(stated), Some(meta)) if stated != meta => {
            return Err(HeaderMismatch::Mismatch(VERSION));
        }
        (Some(MODERN_VERSION), _) => Era::Modern,
        (Some(_), Some(_)) => return Err(HeaderMismatch::Mismatch(VERSION)),
        (Some(_), None) => Era::Legacy,
    };
    if era == Era::Modern {
        // Names may be base64 encoded; methods are plain.
        let method = Some(&*message.method);
        let required = complete && message.shape == Shape::Request;
        check_mirrored(headers, METHOD, as_written, method, required)?;
        check_mirrored(headers, NAME, decode, target(message), required)?;
    }
    Ok(era)
}

/// The headers of 2026-07-28 that a request lacks, with the values of its body.
pub fn missing(headers: &Headers, message: &Message<'_>) -> Vec<HeaderEdit> {
    let expected = [
        (VERSION, Some(MODERN_VERSION)),
        (METHOD, Some(&*message.method)),
        (NAME, target(message)),
    ];
    let missing = expected.into_iter().filter(|(name, _)| !headers.has(name));
    let set = |(name, value): (&str, Option<&str>)| {
        Some(HeaderEdit::Set(name.to_owned(), encode(value?)))
    };
    missing.filter_map(set).collect()
}

/// The value that `Mcp-Name` must have for this message.
fn target<'m>(message: &'m Message<'_>) -> Option<&'m str> {
    match &*message.method {
        "tools/call" | "prompts/get" => message.params.name.as_deref(),
        "resources/read" => message.params.uri.as_deref(),
        "tasks/get" | "tasks/update" | "tasks/cancel" => {
            message.params.task_id.as_ref().map(|id| &*id.value)
        }
        _ => None,
    }
}

fn as_written(value: &str) -> Option<Cow<'_, str>> {
    Some(Cow::Borrowed(value))
}

fn check_mirrored(
    headers: &Headers,
    name: &'static str,
    decode: fn(&str) -> Option<Cow<'_, str>>,
    body: Option<&str>,
    required: bool,
) -> Result<(), HeaderMismatch> {
    match (headers.one(name)?, body) {
        (None, Some(_)) if required => Err(HeaderMismatch::Missing(name)),
        (None, _) => Ok(()),
        (Some(value), Some(body)) if decode(value).is_some_and(|value| value == body) => Ok(()),
        (Some(_), _) => Err(HeaderMismatch::Mismatch(name)),
    }
}

/// Decodes a mirrored value: plain, or base64 between markers (MCP 2026-07-28 "Value Encoding"). `None`
/// for base64 that is not canonical or not UTF-8.
pub fn decode(value: &str) -> Option<Cow<'_, str>> {
    let Some(encoded) = value
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="))
    else {
        return Some(Cow::Borrowed(value));
    };
    let bytes = BASE64_STANDARD.decode(encoded).ok()?;
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// Encodes a mirrored value: plain if a header can hold it, else base64 between markers.
pub fn encode(value: &str) -> String {
    let plain = value
        .bytes()
        .all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
        && value.trim_matches([' ', '\t']).len() == value.len()
        && !(value.starts_with("=?base64?") && value.ends_with("?="));
    if plain {
        return value.to_owned();
    }
    format!("=?base64?{}?=", BASE64_STANDARD.encode(value))
}

#[cfg(test)]
mod tests;
