//! The host calls of the filter. Each is made only where its status is known.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, UNIX_EPOCH};

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType, Status};

use crate::host::Host;
use crate::transaction::Peer;
use base::http::{HttpRequest, HttpResponse, Reply};
use base::store::{StoreError, StoreOperation, Stored, memory};
use base::time::UnixTime;
use mcp::headers::{HeaderEdit, Headers};
use oauth::ClientNetwork;

/// The usual timeout of a call.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Envoy, as the engine sees it.
pub(super) struct EnvoyHost;

impl Host for EnvoyHost {
    fn now(&self) -> UnixTime {
        now()
    }

    fn client(&self) -> ClientNetwork {
        client_address().map_or(ClientNetwork::UNKNOWN, ClientNetwork::of)
    }

    fn log(&self, error: &str) {
        log(LogLevel::Error, error);
    }

    /// The call belongs to the given context, also if another stream was resumed meanwhile.
    fn call(&self, context: u32, request: &HttpRequest) -> Option<u32> {
        hostcalls::set_effective_context(context).ok()?;
        let headers = request.headers.iter();
        let headers = headers.map(|(name, value)| (*name, value.as_str()));
        let passed = request.passed.iter();
        let headers = headers.chain(passed.map(|(name, value)| (name.as_str(), value.as_str())));
        let body = (!request.body.is_empty()).then_some(request.body.as_slice());
        let (cluster, headers) = (&request.cluster, headers.collect());
        let timeout = request.timeout.unwrap_or(CALL_TIMEOUT);
        hostcalls::dispatch_http_call(cluster, headers, body, Vec::new(), timeout).ok()
    }

    fn store(&self, operation: &StoreOperation) -> Result<Stored, StoreError> {
        let slot = memory::slot(operation.key());
        let now = now().whole_seconds();
        change_shared(&format!("mcp-auth/2/{slot}"), |held| {
            memory::apply(held, operation, now)
        })
    }

    fn wake(&self, after: Duration) {
        let _ = hostcalls::set_tick_period(after);
    }
}

/// The address of the client, as Envoy knows it. `None`: it has no IP address.
pub(super) fn client_address() -> Option<IpAddr> {
    let address = address("source");
    let address: SocketAddr = str::from_utf8(&address).ok()?.parse().ok()?;
    Some(address.ip())
}

/// The address of the client for the log. `None`: it has no IP address.
pub(super) fn written_client_address() -> Option<String> {
    let address = address("source");
    let written = str::from_utf8(&address).ok()?;
    match written.parse().ok()? {
        // An address that can be read has one form.
        SocketAddr::V4(_) => written.split_once(':').map(|(ip, _)| ip.to_owned()),
        SocketAddr::V6(address) => Some(address.ip().to_string()),
    }
}

/// The host's clock.
pub(super) fn now() -> UnixTime {
    let time = hostcalls::get_current_time().unwrap_or(UNIX_EPOCH);
    UnixTime::from_duration(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// The host's clock, in milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let time = hostcalls::get_current_time().unwrap_or(UNIX_EPOCH);
    let time = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A whole header map. Only in the callback that delivers it, or while it is held.
pub(super) fn headers(map: MapType) -> Headers {
    Headers::new(hostcalls::get_map_bytes(map).unwrap_or_default())
}

/// Changes a header map that is held.
pub(super) fn edit_headers(map: MapType, edits: &[HeaderEdit]) {
    for edit in edits {
        let outcome = match edit {
            HeaderEdit::Remove(name) => hostcalls::remove_map_value(map, name),
            // Of a repeated header, one value is left.
            HeaderEdit::Set(name, value) => hostcalls::set_map_value(map, name, Some(value)),
        };
        if outcome.is_err() {
            log(LogLevel::Error, "a header could not be changed");
        }
    }
}

/// A buffer of `size` bytes, the size that the host stated. The filter must not ask for more: some of the
/// host's buffers return bytes after their end.
pub(super) fn buffer(buffer: BufferType, size: usize) -> Vec<u8> {
    if size == 0 {
        return Vec::new();
    }
    hostcalls::get_buffer(buffer, 0, size)
        .ok()
        .flatten()
        .unwrap_or_default()
}

/// Replaces a whole buffer of `size` bytes. The transaction edits the header `content-length`.
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

/// Ends the answer of the effective context, whose headers were sent: a reply can only close the stream.
pub(super) fn end_answer() {
    if hostcalls::send_http_response(502, Vec::new(), None).is_err() {
        log(LogLevel::Error, "an answer could not be ended");
    }
}

/// The answer to a call, in the callback that delivers it. `None`: there was none.
pub(super) fn call_answer(size: usize) -> Option<HttpResponse> {
    let headers = headers(MapType::HttpCallResponseHeaders);
    let status = headers.one(":status").ok().flatten()?;
    let content_type = headers.one("content-type").ok().flatten();
    Some(HttpResponse {
        status: status.parse().ok()?,
        content_type: content_type.map(str::to_owned),
        body: buffer(BufferType::HttpCallResponseBody, size),
    })
}

/// Compare-and-swap on data that all workers share. `change` gets the current bytes and returns the new
/// ones. It runs again on a conflict.
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
        // Without a version the host would overwrite the data that another worker just wrote. No data has
        // the version `u32::MAX`.
        match hostcalls::set_shared_data(name, Some(&with), version.or(Some(u32::MAX))) {
            Ok(()) => return Ok(outcome),
            Err(Status::CasMismatch) => {}
            Err(_) => return Err(StoreError::Unavailable),
        }
    }
    Err(StoreError::Unavailable)
}

/// The name of the plugin, as Envoy's configuration has it.
pub(super) fn plugin_name() -> String {
    let name = hostcalls::get_property(vec!["plugin_name"]);
    String::from_utf8(name.ok().flatten().unwrap_or_default()).unwrap_or_default()
}

/// A number among the host's properties.
pub(super) fn number(path: &[&str]) -> Option<u64> {
    let bytes = hostcalls::get_property(path.to_vec()).ok()??;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// Both addresses of the request's connection.
pub(super) fn peer() -> Peer {
    Peer::of(&address("destination"), &address("source"))
}

/// The address of one end of the request's connection, as Envoy writes it.
fn address(end: &str) -> Vec<u8> {
    let address = hostcalls::get_property(vec![end, "address"]);
    address.ok().flatten().unwrap_or_default()
}

/// Whether the answer comes from the server, and not from Envoy.
pub(super) fn is_from_upstream() -> bool {
    code_details() == b"via_upstream"
}

/// Whether Envoy answered with an error of its own, because the filter held more of the server's answer than
/// Envoy buffers.
pub(super) fn has_refused_to_buffer() -> bool {
    code_details() == b"response_payload_too_large"
}

/// Whether the server, or the connection to it, ended the answer, and not the client.
pub(super) fn server_failed() -> bool {
    /// The response flags for clients that disconnect or break the protocol.
    const OF_CLIENT: u64 = 0x4000 | 0x40000;
    let flags = number(&["response", "flags"]).unwrap_or(0);
    flags & !OF_CLIENT != 0 || code_details().starts_with(b"upstream_")
}

/// The source of the response code, in Envoy's words.
pub(super) fn code_details() -> Vec<u8> {
    let details = hostcalls::get_property(vec!["response", "code_details"]);
    details.ok().flatten().unwrap_or_default()
}

/// Writes to the host's log.
pub(super) fn log(level: LogLevel, message: &str) {
    let _ = hostcalls::log(level, message);
}
