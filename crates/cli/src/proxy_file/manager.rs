//! The HTTP connection manager around the filter: the order of filters, paths, routes and logs.

use policy::Hold;

use super::{Findings, WASM, field, fields};
use crate::policy_needs::PolicyNeeds;
use crate::render;
use crate::yaml::YamlNode;

/// The type of the connection manager.
pub(super) const MANAGER: &str = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const ROUTER: &str = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
const BUFFER: &str = "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer";
/// What an access log prints for the record of the filter.
const RECORD: &str = "%FILTER_STATE(wasm.mcp_auth";
/// Envoy's own limit, in bytes.
const DEFAULT_BUFFER: usize = 1024 * 1024;

/// What is known about the filter in a chain.
#[derive(Debug)]
pub(super) struct InChain<'n> {
    /// The needs of its policy, if that is known.
    pub(super) needs: Option<&'n PolicyNeeds>,
    /// How it holds the headers.
    pub(super) hold: Hold,
}

/// Checks the filters around the filter at `index`, which has the name `name`.
pub(super) fn check_order(
    filters: &[YamlNode<'_, '_>],
    index: usize,
    chain: &InChain<'_>,
    notes: &mut Findings,
) {
    let kind = |filter: YamlNode<'_, '_>| {
        let kind = fields(filter, &["typed_config", "@type"]).and_then(YamlNode::text);
        kind.map(str::to_owned)
    };
    let behind = filters.get(index.saturating_add(1)..).unwrap_or_default();
    let has_router = behind.iter().any(|it| kind(*it).as_deref() == Some(ROUTER));
    if let Some(own) = filters.get(index)
        && !has_router
    {
        let message =
            "the filter stands behind the router, or there is no router: no request reaches it";
        notes.error(own.start(), message);
    }
    let mut may_buffer = chain.hold == Hold::BufferFilter;
    for filter in behind {
        match kind(*filter).as_deref() {
            Some(ROUTER) => break,
            Some(BUFFER) if may_buffer => {
                may_buffer = false;
                check_buffer_filter(*filter, chain, notes);
            }
            _ => {
                let name = field(*filter, "name").and_then(YamlNode::text);
                let message = format!(
                    "`{}` stands between the filter and the router: it could change what was judged; put it before \
                     the filter",
                    name.unwrap_or("a filter")
                );
                notes.error(filter.start(), message);
            }
        }
    }
    if may_buffer && let Some(own) = filters.get(index) {
        let message = "the policy says `hold: buffer_filter`: missing `envoy.filters.http.buffer` directly behind the \
                       filter";
        notes.error(own.start(), message);
    }
}

fn check_buffer_filter(filter: YamlNode<'_, '_>, chain: &InChain<'_>, notes: &mut Findings) {
    let limit = fields(filter, &["typed_config", "max_request_bytes"]);
    check_limit(limit, "max_request_bytes", chain, notes);
}

/// Checks a limit of bodies, in bytes.
fn check_limit(
    limit: Option<YamlNode<'_, '_>>,
    key: &str,
    chain: &InChain<'_>,
    notes: &mut Findings,
) {
    let (Some(limit), Some(needs)) = (limit, chain.needs) else {
        return;
    };
    let bytes = limit.number().and_then(|bytes| usize::try_from(bytes).ok());
    let Some(bytes) = bytes else {
        return;
    };
    if !render::fits(bytes, needs.buffer) {
        let message = format!("{key}: {}", too_small(bytes, needs));
        notes.error(limit.start(), message);
    }
}

fn too_small(bytes: usize, needs: &PolicyNeeds) -> String {
    format!(
        "{bytes} bytes are less than the {} bytes that `max_response` and `max_body` of the policy need: Envoy would \
         answer 500 or 413 where the filter would pass or refuse",
        needs.buffer
    )
}

/// Checks the buffer of a listener.
pub(super) fn check_buffer(listener: YamlNode<'_, '_>, chain: &InChain<'_>, notes: &mut Findings) {
    const KEY: &str = "per_connection_buffer_limit_bytes";
    let limit = field(listener, KEY);
    check_limit(limit, KEY, chain, notes);
    if let (None, Some(needs)) = (limit, chain.needs)
        && !render::fits(DEFAULT_BUFFER, needs.buffer)
    {
        let message = format!("missing `{KEY}`: {}", too_small(DEFAULT_BUFFER, needs));
        notes.error(listener.start(), message);
    }
}

/// Checks the settings of a connection manager: one spelling of paths and header names.
pub(super) fn check_settings(manager: YamlNode<'_, '_>, notes: &mut Findings) {
    for key in ["normalize_path", "merge_slashes"] {
        let found = field(manager, key);
        if found.and_then(YamlNode::boolean) != Some(true) {
            let message = format!("missing `{key}: true`: one path would have several spellings");
            notes.warning(found.unwrap_or(manager).start(), message);
        }
    }
    let slashes = field(manager, "path_with_escaped_slashes_action");
    let is_safe = |text: &str| matches!(text, "REJECT_REQUEST" | "UNESCAPE_AND_REDIRECT");
    if !slashes.and_then(YamlNode::text).is_some_and(is_safe) {
        let message = "missing `path_with_escaped_slashes_action: REJECT_REQUEST`: one path would have several spellings";
        notes.warning(slashes.unwrap_or(manager).start(), message);
    }
    let common = field(manager, "common_http_protocol_options");
    let underscores = common.and_then(|common| field(common, "headers_with_underscores_action"));
    let is_safe = |text: &str| matches!(text, "REJECT_REQUEST" | "DROP_HEADER");
    if !underscores.and_then(YamlNode::text).is_some_and(is_safe) {
        let message = "missing `headers_with_underscores_action: REJECT_REQUEST` under `common_http_protocol_options`: \
                       many servers read `x_mcp_user` as the identity header `x-mcp-user`";
        notes.warning(underscores.or(common).unwrap_or(manager).start(), message);
    }
}

/// Checks where the client's address comes from, and the access log.
pub(super) fn check_manager(manager: YamlNode<'_, '_>, notes: &mut Findings) {
    check_settings(manager, notes);
    let remote = field(manager, "use_remote_address");
    let has_other = field(manager, "original_ip_detection_extensions").is_some();
    if remote.and_then(YamlNode::boolean) != Some(true) && !has_other {
        let message = "missing `use_remote_address: true`: a client could choose its address with X-Forwarded-For";
        notes.warning(remote.unwrap_or(manager).start(), message);
    }
    let logs = field(manager, "access_log");
    let text = |log: YamlNode<'_, '_>| {
        log.to_json()
            .map(|json| json.to_string())
            .unwrap_or_default()
    };
    let has_record = logs.is_some_and(|logs| text(logs).contains(RECORD));
    if !has_record {
        let message = format!(
            "no access log prints the record of the filter: add {RECORD}:PLAIN)% to `log_format`"
        );
        notes.warning(logs.unwrap_or(manager).start(), message);
    }
    for log in logs.into_iter().flat_map(YamlNode::items) {
        let format = text(log);
        let has_format = format.contains("format");
        let has_query = [
            "%REQ(:PATH)%",
            "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
            "%REQ(PATH)%",
        ];
        let has_query = has_query.iter().any(|path| format.contains(path));
        if has_query || !has_format {
            let message = "the access log prints the path with its query, where a client may have put a token: use \
                           %PATH(NQ:ORIG_OR_PATH)%";
            notes.warning(log.start(), message);
        }
    }
}

/// Checks the routes of a connection manager. `names`: the names that settings of a route have for the filter.
pub(super) fn check_routes(
    manager: YamlNode<'_, '_>,
    names: &[&str],
    chain: &InChain<'_>,
    clusters: Option<&[&str]>,
    notes: &mut Findings,
) {
    let Some(table) = field(manager, "route_config") else {
        return;
    };
    let stream_idle = field(manager, "stream_idle_timeout");
    check_overrides(table, names, chain, notes);
    for host in field(table, "virtual_hosts")
        .into_iter()
        .flat_map(YamlNode::items)
    {
        check_overrides(host, names, chain, notes);
        for route in field(host, "routes").into_iter().flat_map(YamlNode::items) {
            check_overrides(route, names, chain, notes);
            if let Some(action) = field(route, "route") {
                check_action(action, stream_idle, clusters, notes);
            }
        }
    }
}

fn check_action(
    action: YamlNode<'_, '_>,
    stream_idle: Option<YamlNode<'_, '_>>,
    clusters: Option<&[&str]>,
    notes: &mut Findings,
) {
    let timeout = field(action, "timeout");
    if !timeout.and_then(YamlNode::text).is_some_and(is_zero) {
        let message = "missing `timeout: 0s`: Envoy ends event streams and long calls after 15 seconds, or after this \
                       time";
        notes.warning(timeout.unwrap_or(action).start(), message);
    }
    let idle = field(action, "idle_timeout").or(stream_idle);
    if !idle.and_then(YamlNode::text).is_some_and(is_zero) {
        let message = "missing `idle_timeout: 0s`: Envoy ends event streams and calls without bytes for five minutes, or for \
                       this time";
        notes.warning(idle.unwrap_or(action).start(), message);
    }
    if let Some(retry) = field(action, "retry_policy") {
        let message =
            "retry_policy: Envoy would send a call again that the server may have carried out";
        notes.warning(retry.start(), message);
    }
    let cluster = field(action, "cluster").and_then(|node| Some((node, node.text()?)));
    if let (Some((node, name)), Some(clusters)) = (cluster, clusters)
        && !clusters.contains(&name)
    {
        let message = format!("no cluster has the name `{name}`");
        notes.error(node.start(), message);
    }
}

fn is_zero(period: &str) -> bool {
    period.trim_end_matches('s').parse::<f64>() == Ok(0.0)
}

/// Settings of a route table, virtual host or route that weaken the filter.
fn check_overrides(
    node: YamlNode<'_, '_>,
    names: &[&str],
    chain: &InChain<'_>,
    notes: &mut Findings,
) {
    let settings = field(node, "typed_per_filter_config");
    for (name, place, value) in settings.into_iter().flat_map(YamlNode::members) {
        let is_off = field(value, "disabled").and_then(YamlNode::boolean) == Some(true);
        if names.contains(&name) && is_off {
            let message = "the filter is turned off here: requests of this route pass unchecked";
            notes.error(place, message);
        }
    }
    for key in [
        "per_request_buffer_limit_bytes",
        "request_body_buffer_limit",
    ] {
        check_limit(field(node, key), key, chain, notes);
    }
    let headers = chain
        .needs
        .map_or(&[][..], |needs| needs.identity_headers.as_slice());
    let added = field(node, "request_headers_to_add");
    for added in added.into_iter().flat_map(YamlNode::items) {
        let key = fields(added, &["header", "key"]).and_then(|key| Some((key, key.text()?)));
        if let Some((node, key)) = key
            && headers
                .iter()
                .any(|header| header.eq_ignore_ascii_case(key))
        {
            let message = format!(
                "`{key}` tells the server who is calling, and this sets it behind the filter"
            );
            notes.error(node.start(), message);
        }
    }
}

/// Whether a filter of a chain is this one, and its name.
pub(super) fn is_discovered(filter: YamlNode<'_, '_>) -> bool {
    let types = fields(filter, &["config_discovery", "type_urls"]);
    let mut types = types.into_iter().flat_map(YamlNode::items);
    types.any(|kind| kind.text() == Some(WASM))
}
