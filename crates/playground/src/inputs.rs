//! The fields of the page.

use base::time::UnixTime;
use explanation::{ExplainError, RequestInputs, read_claims};
use policy::Policy;
use serde::Deserialize;
use serde_json::Map;

/// The fields of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PlaygroundInputs {
    /// The policy, in YAML or JSON.
    pub(crate) policy: String,
    /// The `resource` of the policy to use, if there are several.
    pub(crate) resource: String,
    /// The claims of the caller's token. Empty: there is no token.
    pub(crate) claims: String,
    /// Headers that replace those of a client, one in each line.
    pub(crate) headers: String,
    /// The body of the request.
    pub(crate) request: String,
    /// The server's answer. Empty: only the request is judged.
    pub(crate) answer: String,
    /// The time, in seconds since 1970.
    pub(crate) now: u64,
}

/// The field of the page that has a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// The claims.
    Claims,
    /// The headers.
    Headers,
    /// None: it is a bug.
    Nothing,
}

impl Field {
    /// The name of the field in the page.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Claims => Some("claims"),
            Self::Headers => Some("headers"),
            Self::Nothing => None,
        }
    }
}

impl PlaygroundInputs {
    /// The time.
    pub(crate) fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.now)
    }

    /// The server's answer. An event ends with an empty line, which is easily lost in a field.
    fn answer(&self) -> Option<String> {
        let answer = self.answer.trim();
        let end = if answer.starts_with('{') { "" } else { "\n\n" };
        (!answer.is_empty()).then(|| format!("{answer}{end}"))
    }

    /// The request, and what is known about its caller.
    pub(crate) fn request(&self, policy: &Policy) -> Result<RequestInputs, ExplainError> {
        let lines = self.headers.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty());
        let mut headers: Vec<String> = lines.map(str::to_owned).collect();
        let claims = match (self.claims.trim(), &policy.local) {
            ("", Some(_)) => None,
            ("", None) => {
                headers.push("authorization:".to_owned());
                headers.push("dpop:".to_owned());
                Some(Map::new())
            }
            (claims, _) => Some(read_claims(claims.as_bytes())?),
        };
        Ok(RequestInputs {
            claims,
            body: self.request.trim().as_bytes().to_vec(),
            response: self.answer().map(String::into_bytes),
            headers,
            ..RequestInputs::default()
        })
    }
}

/// The field that an error is about, and what to do.
pub(crate) fn place(error: &ExplainError) -> (Field, &'static str) {
    match error {
        ExplainError::Claims(_) => (
            Field::Claims,
            "write the claims of a token as one JSON object, such as {\"sub\": \"u1\"}: the middle part of a JWT, \
             base64url-decoded",
        ),
        ExplainError::CallerOfPolicy => (Field::Claims, "empty the field of the claims"),
        ExplainError::NoCaller => (Field::Claims, "write the claims of a token"),
        ExplainError::NoHeader(_) => (
            Field::Headers,
            "write `Name: value`, or `Name:` to leave a header out, one in each line",
        ),
        ExplainError::TokenAsHeader => (
            Field::Headers,
            "remove the header; without claims there is no token",
        ),
        ExplainError::Signing(_) | ExplainError::Key(_) | ExplainError::Undecided => {
            (Field::Nothing, "report this as a bug, with a link to it")
        }
    }
}
