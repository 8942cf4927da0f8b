//! The host calls the filter makes, each where its status is known.

use std::time::{Duration, UNIX_EPOCH};

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType, Status};

use crate::transaction::{Connection, Now};
use base::http::Reply;
use base::http::{HttpRequest, HttpResponse};
use base::store::StoreError;
use mcp::headers::{HeaderEdit, Headers};

/// The host's clock.
pub(super) fn now() -> Now {
    let time = hostcalls::get_current_time().unwrap_or(UNIX_EPOCH);
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let unix_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    Now { unix_ms }
}

/// A whole header map. Only in the callback that delivers it, or while it is held.
pub(super) fn headers(map: MapType) -> Headers {
    Headers::new(hostcalls::get_map_bytes(map).unwrap_or_default())
}

/// Changes a header map that is still there.
pub(super) fn edit_headers(map: MapType, edits: &[HeaderEdit]) {
    for edit in edits {
        let outcome = match edit {
            HeaderEdit::Remove(name) => hostcalls::remove_map_value(map, name),
            // Of a repeated header this leaves one value only.
            HeaderEdit::Set(name, value) => hostcalls::set_map_value(map, name, Some(value)),
        };
        if outcome.is_err() {
            log(LogLevel::Error, "a header could not be changed");
        }
    }
}

/// A buffer of `size` bytes, as the host said it is. More must not be asked for: some of its buffers
/// hand out what lies behind them.
pub(super) fn buffer(buffer: BufferType, size: usize) -> Vec<u8> {
    if size == 0 {
        return Vec::new();
    }
    hostcalls::get_buffer(buffer, 0, size)
        .ok()
        .flatten()
        .unwrap_or_default()
}

/// Replaces a whole buffer of `size` bytes. The headers' length is the exchange's business.
pub(super) fn replace_buffer(buffer: BufferType, size: usize, with: &[u8]) {
    if hostcalls::set_buffer(buffer, 0, size, with).is_err() {
        log(LogLevel::Error, "a body could not be replaced");
    }
}

/// Answers the request of the effective context.
pub(super) fn reply(reply: &Reply) {
    let headers = reply
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let sent = hostcalls::send_http_response(u32::from(reply.status), headers, Some(&reply.body));
    if sent.is_err() {
        log(LogLevel::Error, "an answer could not be sent");
    }
}

/// Calls a server for a context, with which the call ends; the token comes back with the answer.
/// Whoever was woken meanwhile, that context is no longer the effective one by itself.
pub(super) fn call(context: u32, call: &HttpRequest, timeout: Duration) -> Option<u32> {
    hostcalls::set_effective_context(context).ok()?;
    let headers = call.headers.iter();
    let headers = headers.map(|(name, value)| (*name, value.as_str()));
    let body = (!call.body.is_empty()).then_some(call.body.as_slice());
    hostcalls::dispatch_http_call(&call.cluster, headers.collect(), body, Vec::new(), timeout).ok()
}

/// The answer to a call, in the callback that delivers it. `None`: there was none.
pub(super) fn call_answer(size: usize) -> Option<HttpResponse> {
    let headers = headers(MapType::HttpCallResponseHeaders);
    let status = headers.one(":status").ok().flatten()?;
    Some(HttpResponse {
        status: status.parse().ok()?,
        body: buffer(BufferType::HttpCallResponseBody, size),
    })
}

/// Does something with a text that all workers share: `change` is given what it is, and says what it
/// has to be. Once more, if somebody else was faster.
pub(super) fn change_shared<T>(
    name: &str,
    change: impl Fn(&[u8]) -> Result<(T, Option<Vec<u8>>), StoreError>,
) -> Result<T, StoreError> {
    const TRIES: usize = 64;
    for _ in 0..TRIES {
        let Ok((held, version)) = hostcalls::get_shared_data(name) else {
            return Err(StoreError::Unavailable);
        };
        let (outcome, with) = change(&held.unwrap_or_default())?;
        let Some(with) = with else {
            return Ok(outcome);
        };
        // Without a version the host would write over what another worker was first to write; it
        // gives none this number.
        match hostcalls::set_shared_data(name, Some(&with), version.or(Some(u32::MAX))) {
            Ok(()) => return Ok(outcome),
            Err(Status::CasMismatch) => {}
            Err(_) => return Err(StoreError::Unavailable),
        }
    }
    Err(StoreError::Unavailable)
}

/// A number among the host's properties.
pub(super) fn number(path: &[&str]) -> Option<u64> {
    let bytes = hostcalls::get_property(path.to_vec()).ok()??;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// The connection the request came in on.
pub(super) fn connection() -> Connection {
    let address = |end: &str| {
        let address = hostcalls::get_property(vec![end, "address"]);
        address.ok().flatten().unwrap_or_default()
    };
    Connection::of(&address("destination"), &address("source"))
}

/// Whether the answer that arrives comes from the server, and not from Envoy itself.
pub(super) fn is_from_upstream() -> bool {
    let details = hostcalls::get_property(vec!["response", "code_details"]);
    matches!(details, Ok(Some(details)) if details == b"via_upstream")
}

/// Writes to the host's log.
pub(super) fn log(level: LogLevel, message: &str) {
    let _ = hostcalls::log(level, message);
}
