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
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// The time to answer, if it is not the host's usual one.
    pub timeout: Option<Duration>,
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
    /// The body.
    pub body: Vec<u8>,
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
            body: Vec::new(),
            timeout: None,
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
