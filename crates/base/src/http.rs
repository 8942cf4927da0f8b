//! HTTP requests that the host sends for the filter, and responses.

use std::fmt;
use std::time::Duration;

use crate::secret::Secret;

/// The usual maximum size of an answer's body, in bytes. Of a larger one, one byte more is read.
pub const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// A request to a cluster of the policy.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The host's name for the server: an Envoy cluster.
    pub cluster: String,
    /// The headers, pseudo-headers first.
    pub headers: Vec<(&'static str, String)>,
    /// Further headers: those of a client's request that the call is made for.
    pub passed: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// The time to answer, if it is not the host's usual one.
    pub timeout: Option<Duration>,
    /// The maximum size of the answer's body in bytes, if it is not [`MAX_ANSWER`].
    pub max_answer: Option<usize>,
}

/// The header that marks the filter's own call for the owner of a record. The filter removes it from requests of
/// clients, like all `x-mcp-` headers.
pub const LOOKUP_MARK: &str = "x-mcp-auth-lookup";

impl HttpRequest {
    /// Whether it is the filter's own call for the owner of a record.
    pub fn is_lookup(&self) -> bool {
        self.headers.iter().any(|(name, _)| *name == LOOKUP_MARK)
    }
}

/// The URL of a server, and the cluster that reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The host's name for the server: an Envoy cluster.
    pub cluster: String,
    /// The path, with its query.
    pub path: String,
    /// The `:authority` header.
    pub authority: String,
}

/// The response to a request.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status. The host reports an unreachable server as 503 or 504.
    pub status: u16,
    /// The `Content-Type` header, if there is one.
    pub content_type: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// A response in JSON.
    pub fn json(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            content_type: Some("application/json".to_owned()),
            body,
        }
    }
}

/// A response that the filter sends in place of the MCP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Endpoint {
    /// A POST request with a form, as OAuth endpoints take it. Asks for a JSON response.
    pub fn post(&self, form: String, authorization: Option<&Secret>) -> HttpRequest {
        let form_type = "application/x-www-form-urlencoded".to_owned();
        let mut call = self.call("POST", "application/json", authorization);
        call.headers.push(("content-type", form_type));
        call.body = form.into_bytes();
        call
    }

    /// A POST request with a JSON object. Asks for a JSON response.
    pub fn post_json(&self, object: &serde_json::Value) -> HttpRequest {
        let mut call = self.call("POST", "application/json", None);
        call.headers
            .push(("content-type", "application/json".to_owned()));
        call.body = object.to_string().into_bytes();
        call
    }

    /// A POST request with JSON and further headers, for a server that answers with nothing to read.
    pub fn post_signed(&self, body: String, headers: Vec<(&'static str, String)>) -> HttpRequest {
        let mut call = self.call("POST", "*/*", None);
        call.headers
            .push(("content-type", "application/json".to_owned()));
        call.headers.extend(headers);
        call.body = body.into_bytes();
        call
    }

    /// A POST request with a JSON text, an `Authorization` header and a time to answer.
    pub fn post_text(
        &self,
        json: Vec<u8>,
        authorization: Option<&str>,
        timeout: Duration,
    ) -> HttpRequest {
        let json_type = "application/json";
        let mut call = self.call("POST", json_type, None);
        call.headers.push(("content-type", json_type.to_owned()));
        let authorization = authorization.map(|value| ("authorization", value.to_owned()));
        call.headers.extend(authorization);
        call.body = json;
        call.timeout = Some(timeout);
        call
    }

    /// A GET request that asks for a JSON response.
    pub fn get(&self, authorization: Option<&Secret>) -> HttpRequest {
        self.call("GET", "application/json", authorization)
    }

    /// A GET request for a key set (RFC 7517 section 8.5).
    pub fn get_key_set(&self) -> HttpRequest {
        self.call("GET", "application/json, application/jwk-set+json", None)
    }

    fn call(&self, method: &str, accept: &str, authorization: Option<&Secret>) -> HttpRequest {
        let mut headers = vec![
            (":method", method.to_owned()),
            (":path", self.path.clone()),
            (":authority", self.authority.clone()),
            ("accept", accept.to_owned()),
        ];
        let authorization = authorization.map(|secret| secret.reveal().to_owned());
        headers.extend(authorization.map(|value| ("authorization", value)));
        HttpRequest {
            cluster: self.cluster.clone(),
            headers,
            passed: Vec::new(),
            body: Vec::new(),
            timeout: None,
            max_answer: None,
        }
    }
}

impl HttpRequest {
    /// The path, with its query.
    pub fn path(&self) -> &str {
        let path = self.headers.iter().find(|(name, _)| *name == ":path");
        path.map_or("", |(_, path)| path)
    }
}

/// Without headers and body: they hold credentials.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HttpRequest")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

/// Without the body: it may hold tokens.
impl fmt::Debug for HttpResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HttpResponse")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
