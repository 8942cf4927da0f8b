//! HTTP for `mcp-auth init`: the server and the discovery document of an issuer.

use std::time::Duration;

use ureq::Agent;
use ureq::tls::RootCerts;

use crate::http_agent::agent;

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum size of an answer, in bytes.
const MAX_ANSWER: u64 = 32 * 1024 * 1024;

/// An answer.
#[derive(Debug)]
pub(super) struct WebAnswer {
    /// The status.
    pub(super) status: u16,
    /// The session that a server began.
    pub(super) session: Option<String>,
    /// The body.
    pub(super) body: Vec<u8>,
}

/// A client.
#[derive(Debug)]
pub(super) struct Web(Agent);

impl Web {
    pub(super) fn new() -> Self {
        Self(agent(RootCerts::PlatformVerifier, None, TIMEOUT))
    }

    /// Gets a document.
    pub(super) fn get(&self, url: &str) -> Result<WebAnswer, String> {
        let answer = self.0.get(url).header("accept", "application/json").call();
        read(answer)
    }

    /// Posts a message.
    pub(super) fn post(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: &str,
    ) -> Result<WebAnswer, String> {
        let mut request = self.0.post(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        read(request.send(body))
    }
}

fn read(
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<WebAnswer, String> {
    let mut answer = answer.map_err(|error| error.to_string())?;
    let session = answer.headers().get("mcp-session-id");
    let session = session
        .and_then(|session| session.to_str().ok())
        .map(str::to_owned);
    let status = answer.status().as_u16();
    let body = answer
        .body_mut()
        .with_config()
        .limit(MAX_ANSWER)
        .read_to_vec();
    Ok(WebAnswer {
        status,
        session,
        body: body.map_err(|error| error.to_string())?,
    })
}
