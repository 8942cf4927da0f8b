//! The headers in which the server receives the credential of an account.

use thiserror::Error;

use super::document::{AccountKind, ApplyDocument, ConnectionDocument, HeaderTemplates};
use crate::error::{Errors, PolicyError};
use base::secret::Secret;

/// The headers in which the server receives a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apply(Vec<AppliedHeader>);

/// A header, and the parts of its value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct AppliedHeader {
    name: String,
    value: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Key,
    User,
    Password,
    Basic,
}

/// A credential in the headers of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct AppliedCredential {
    /// The headers with it.
    pub headers: Vec<(String, Secret)>,
    /// The secrets in these headers.
    pub secrets: Vec<Secret>,
}

/// The credential of an account.
#[derive(Debug, Clone, Copy)]
pub enum UsedCredential<'a> {
    /// A key or token.
    Key(&'a Secret),
    /// A user name and a password.
    Password(&'a str, &'a Secret),
}

/// The credential has characters that a header cannot have (RFC 9110 section 5.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the credential has characters that a header cannot have")]
pub struct UnusableCredential;

impl Apply {
    /// The headers with a credential.
    ///
    /// # Errors
    ///
    /// The credential has characters that a header cannot have, or a user name with `:` (RFC 7617 section 2).
    pub fn headers(
        &self,
        credential: UsedCredential<'_>,
    ) -> Result<AppliedCredential, UnusableCredential> {
        let mut applied = AppliedCredential {
            headers: Vec::with_capacity(self.0.len()),
            secrets: Vec::new(),
        };
        for header in &self.0 {
            let mut value = String::new();
            let mut parts = header.value.iter().peekable();
            while let Some(part) = parts.next() {
                let written = part.write(credential)?;
                let is_text = matches!(part, Part::Text(_));
                if !is_text && !is_told_apart(&value, &written, parts.peek().copied()) {
                    return Err(UnusableCredential);
                }
                value.push_str(&written);
                if part.is_secret() {
                    applied.secrets.push(Secret::new(written));
                }
            }
            let is_plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            if !is_plain || value.is_empty() || value.trim() != value {
                return Err(UnusableCredential);
            }
            applied
                .headers
                .push((header.name.clone(), Secret::new(value)));
        }
        Ok(applied)
    }

    /// The names of the headers, in lower case.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|header| header.name.as_str())
    }

    fn one(name: &str, value: Vec<Part>) -> Self {
        let name = name.to_owned();
        Self(vec![AppliedHeader { name, value }])
    }

    fn bearer() -> Self {
        let value = vec![Part::Text("Bearer ".to_owned()), Part::Key];
        Self::one("authorization", value)
    }

    fn basic() -> Self {
        let value = vec![Part::Text("Basic ".to_owned()), Part::Basic];
        Self::one("authorization", value)
    }
}

impl Part {
    fn write(&self, credential: UsedCredential<'_>) -> Result<String, UnusableCredential> {
        match (self, credential) {
            (Self::Text(text), _) => Ok(text.clone()),
            (Self::Key, UsedCredential::Key(key)) => Ok(key.reveal().to_owned()),
            (Self::User, UsedCredential::Password(user, _)) => Ok(user.to_owned()),
            (Self::Password, UsedCredential::Password(_, password)) => {
                Ok(password.reveal().to_owned())
            }
            (Self::Basic, UsedCredential::Password(user, password)) => {
                let is_sound = !user.contains(':') && !user.chars().any(char::is_control);
                if !is_sound || password.reveal().chars().any(char::is_control) {
                    return Err(UnusableCredential);
                }
                let pair = Secret::user_and_password(user, password.reveal());
                Ok(pair.reveal().to_owned())
            }
            // The policy has only the parts of its kind.
            _ => Err(UnusableCredential),
        }
    }

    fn is_secret(&self) -> bool {
        matches!(self, Self::Key | Self::Password | Self::Basic)
    }
}

/// Whether a reader of a header tells a part from the text around it. Otherwise what a user types could become
/// another part of the header. The part must not have the character that the text behind it begins with. In quotes, a
/// backslash changes the meaning of a quote. A parameter without quotes ends at a comma, semicolon or space
/// (RFC 9110 section 5.6.6).
fn is_told_apart(before: &str, written: &str, next: Option<&Part>) -> bool {
    let end = match next {
        Some(Part::Text(next)) => next.chars().next(),
        _ => None,
    };
    let is_quoted = end == Some('"');
    let is_parameter = before.ends_with('=');
    !(end.is_some_and(|end| written.contains(end))
        || is_quoted && written.contains('\\')
        || is_parameter && written.contains([',', ';', ' ', '"']))
}

/// Checks the headers of a connection.
pub(super) fn compile_apply(
    path: &str,
    document: &ConnectionDocument,
    errors: &mut Errors,
) -> Option<Apply> {
    let path = format!("{path}.apply");
    let is_password = document.kind == AccountKind::Password;
    let mut refuse = |message: &str| {
        errors.push(PolicyError::new(path.as_str(), message));
        None
    };
    match &document.apply {
        None if is_password => Some(Apply::basic()),
        None => Some(Apply::bearer()),
        Some(ApplyDocument::Bearer) if is_password => {
            refuse("found `bearer`, expected `basic` or `headers`: there is no key")
        }
        Some(ApplyDocument::Bearer) => Some(Apply::bearer()),
        Some(ApplyDocument::Basic) if !is_password => {
            refuse("found `basic`, expected `bearer` or `headers`: there is no password")
        }
        Some(ApplyDocument::Basic) => Some(Apply::basic()),
        Some(ApplyDocument::Headers(HeaderTemplates(headers))) if headers.is_empty() => {
            refuse("found no header, expected one with its value")
        }
        Some(ApplyDocument::Headers(HeaderTemplates(headers))) => {
            let headers = headers.iter().map(|(name, value)| {
                let path = format!("{path}.headers.{name}");
                header(&path, (name, value), is_password, errors)
            });
            let headers: Vec<Option<AppliedHeader>> = headers.collect();
            headers.into_iter().collect::<Option<_>>().map(Apply)
        }
    }
}

fn header(
    path: &str,
    (name, value): (&str, &str),
    is_password: bool,
    errors: &mut Errors,
) -> Option<AppliedHeader> {
    let mut refuse = |message: String| errors.push(PolicyError::new(path, message));
    if !may_carry_credential(name) {
        let message = "expected a header name of lower-case letters, digits and dashes that neither HTTP nor \
                       the protocol uses";
        refuse(message.to_owned());
        return None;
    }
    let expected = match is_password {
        true => "`{user}`, `{password}` or `{basic}`",
        false => "`{key}`",
    };
    let Some(parts) = parts(value, is_password) else {
        refuse(format!(
            "found `{value}`, expected a text of visible ASCII characters with {expected}"
        ));
        return None;
    };
    Some(AppliedHeader {
        name: name.to_owned(),
        value: parts,
    })
}

/// The parts of a value. `None`: it has no credential in it, an unknown name, or characters that a header
/// cannot have.
fn parts(value: &str, is_password: bool) -> Option<Vec<Part>> {
    if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return None;
    }
    let mut parts = Vec::new();
    let mut rest = value;
    let mut has_credential = false;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        let part = match (name, is_password) {
            ("key", false) => Part::Key,
            ("user", true) => Part::User,
            ("password", true) => Part::Password,
            ("basic", true) => Part::Basic,
            _ => return None,
        };
        has_credential = true;
        if !text.is_empty() {
            parts.push(Part::Text(text.to_owned()));
        }
        parts.push(part);
        rest = after;
    }
    if rest.contains('}') {
        return None;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    has_credential.then_some(parts)
}

/// Whether a header may carry a credential. Headers of HTTP and of the protocol keep their meaning.
fn may_carry_credential(name: &str) -> bool {
    const OF_HTTP: [&str; 17] = [
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "expect",
        "host",
        "keep-alive",
        "last-event-id",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
    ];
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty()
        && name.bytes().all(is_plain)
        && !OF_HTTP.contains(&name)
        && !name.starts_with("mcp-")
        && !name.starts_with("x-mcp-")
        && !name.starts_with("x-envoy-")
        && !name.starts_with("proxy-")
}
