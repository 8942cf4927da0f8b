//! HTTP requests that the host sends for the filter, and responses.

use std::fmt;
use std::time::Duration;

use crate::secret::Secret;

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
    /// The limits of the call.
    pub limits: CallLimits,
}

/// The limits of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// How long the answer is waited for.
    pub timeout: Duration,
    /// The maximum size of the answer's body, in bytes. Of a larger one, one byte more is read.
    pub max_answer: usize,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            max_answer: 16 * 1024 * 1024,
        }
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
            limits: CallLimits::default(),
        }
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
