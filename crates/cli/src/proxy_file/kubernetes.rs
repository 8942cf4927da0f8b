//! Resources of Kubernetes: Istio's EnvoyFilter, Envoy Gateway's EnvoyPatchPolicy, and those that cannot hold
//! the filter.

use policy::Hold;

use super::manager::{self, InChain};
use super::plugin::{Plugin, check_document};
use super::{
    CheckedFile, Findings, extension_policy, field, fields, held_policy, plugins, refuse_nothing,
};
use crate::policy_needs::PolicyNeeds;
use crate::yaml::YamlNode;

/// What Envoy Gateway buffers without a ClientTrafficPolicy, in bytes.
const GATEWAY_BUFFER: usize = 32 * 1024;

pub(super) fn check(documents: &[YamlNode<'_, '_>], checked: &mut CheckedFile) {
    let roots: Vec<YamlNode<'_, '_>> = documents.iter().flat_map(|root| resources(*root)).collect();
    let roots = roots.as_slice();
    let all = plugins(roots);
    let mut is_known = false;
    for root in roots {
        is_known |= held_policy::check(*root, checked);
        let of_root = plugins(&[*root]);
        let own = of_root.iter().find(|plugin| plugin.is_ours());
        match kind(*root) {
            "EnvoyFilter" if own.is_some() || has_http_filter(*root) => {
                is_known = true;
                let found = own.and_then(|own| own.check(&all, checked));
                check_envoy_filter(*root, roots, found.as_ref(), &mut checked.notes);
            }
            "EnvoyPatchPolicy" if own.is_some() => {
                is_known = true;
                let found = own.and_then(|own| own.check(&all, checked));
                if let Some((needs, _)) = &found {
                    check_gateway(*root, roots, needs, &mut checked.notes);
                }
            }
            "WasmPlugin" => {
                is_known = true;
                refuse_kind(
                    *root,
                    &["spec", "pluginConfig"],
                    "a WasmPlugin",
                    "an EnvoyFilter",
                    checked,
                );
            }
            "EnvoyExtensionPolicy" if extension_policy::is_ours(*root) => {
                is_known = true;
                extension_policy::check(*root, roots, checked);
            }
            _ => {}
        }
    }
    if !is_known {
        refuse_nothing(roots, &all, &mut checked.notes);
    }
}

/// The resources of a document: those of a list, or the document itself.
fn resources<'d, 't>(root: YamlNode<'d, 't>) -> Vec<YamlNode<'d, 't>> {
    match kind(root) {
        "List" => root
            .get("items")
            .into_iter()
            .flat_map(YamlNode::items)
            .collect(),
        _ => vec![root],
    }
}

/// The kind of a resource.
pub(super) fn kind<'d>(root: YamlNode<'d, '_>) -> &'d str {
    root.get("kind")
        .and_then(YamlNode::text)
        .unwrap_or_default()
}

/// A resource that cannot have the settings that the filter needs. Its policy is checked nevertheless.
fn refuse_kind(
    root: YamlNode<'_, '_>,
    at: &[&str],
    name: &str,
    other: &str,
    checked: &mut CheckedFile,
) {
    let place = root.place("kind");
    let message = format!(
        "{name} cannot set `allow_on_headers_stop_iteration`, without which the filter refuses every request: use \
         {other}, as `mcp-auth render` writes it"
    );
    checked.notes.error(place, message);
    let found = fields(root, at);
    let listed = found
        .into_iter()
        .flat_map(YamlNode::items)
        .filter_map(|item| field(item, "config"));
    let listed: Vec<_> = listed.collect();
    let policies = if listed.is_empty() {
        found.into_iter().collect()
    } else {
        listed
    };
    for policy in policies {
        if let Some(documents) = check_document(policy, &mut checked.notes) {
            checked.policies.push(documents);
        }
    }
}

fn patches<'d, 't>(root: YamlNode<'d, 't>) -> impl Iterator<Item = YamlNode<'d, 't>> {
    let patches = fields(root, &["spec", "configPatches"]);
    patches.into_iter().flat_map(YamlNode::items)
}

fn applies_to(patch: YamlNode<'_, '_>, kind: &str) -> bool {
    field(patch, "applyTo").and_then(YamlNode::text) == Some(kind)
}

/// The value of a patch that puts the filter into a chain.
fn http_filter<'d, 't>(patch: YamlNode<'d, 't>) -> Option<YamlNode<'d, 't>> {
    let value = fields(patch, &["patch", "value"]).filter(|_| applies_to(patch, "HTTP_FILTER"))?;
    let plugin = field(value, "typed_config").and_then(Plugin::of_typed_config);
    let is_own = plugin.is_some_and(|plugin| plugin.is_ours()) || manager::is_discovered(value);
    is_own.then_some(value)
}

fn has_http_filter(root: YamlNode<'_, '_>) -> bool {
    patches(root).any(|patch| http_filter(patch).is_some())
}

fn check_envoy_filter(
    root: YamlNode<'_, '_>,
    roots: &[YamlNode<'_, '_>],
    found: Option<&(PolicyNeeds, Hold)>,
    notes: &mut Findings,
) {
    let spec = field(root, "spec").unwrap_or(root);
    if field(spec, "workloadSelector").is_none() && field(spec, "targetRefs").is_none() {
        let message =
            "missing `workloadSelector`: the filter applies to all workloads of the namespace";
        notes.warning(spec.start(), message);
    }
    let mut placed = patches(root)
        .filter(|patch| http_filter(*patch).is_some())
        .peekable();
    if placed.peek().is_none() {
        let message = "no patch with `applyTo: HTTP_FILTER` puts the filter into a chain: no request reaches it";
        notes.error(spec.start(), message);
    }
    for patch in placed {
        check_place(patch, notes);
    }
    let settings = patches(root).filter(|patch| applies_to(*patch, "NETWORK_FILTER"));
    let mut settings = settings
        .filter_map(|patch| fields(patch, &["patch", "value", "typed_config"]))
        .peekable();
    if settings.peek().is_none() {
        let message = "no patch with `applyTo: NETWORK_FILTER` sets `normalize_path`, `merge_slashes`, \
                       `path_with_escaped_slashes_action` and `headers_with_underscores_action`: one path or header \
                       would have several spellings";
        notes.warning(spec.start(), message);
    }
    for settings in settings {
        manager::check_settings(settings, notes);
    }
    let Some((needs, hold)) = found else {
        return;
    };
    let chain = InChain {
        needs: Some(needs),
        hold: *hold,
    };
    let listeners = patches(root).filter(|patch| applies_to(*patch, "LISTENER"));
    let listener = listeners
        .filter_map(|patch| fields(patch, &["patch", "value"]))
        .next();
    manager::check_buffer(listener.unwrap_or(spec), &chain, notes);
    check_istio_clusters(spec, roots, needs, notes);
    check_protocols(roots, notes);
}

/// Istio looks for HTTP in the first bytes of a connection to a port without a protocol. Others pass as TCP.
fn check_protocols(roots: &[YamlNode<'_, '_>], notes: &mut Findings) {
    let services = roots.iter().filter(|root| kind(**root) == "Service");
    let ports = services.filter_map(|root| fields(*root, &["spec", "ports"]));
    for port in ports.flat_map(YamlNode::items) {
        let text = |key: &str| {
            field(port, key)
                .and_then(YamlNode::text)
                .unwrap_or_default()
        };
        let is_http = |protocol: &str| protocol.starts_with("http") || protocol.starts_with("grpc");
        if !is_http(text("appProtocol"))
            && (!text("appProtocol").is_empty() || !is_http(text("name")))
        {
            let message = "missing `appProtocol: http`: bytes that Istio does not take for HTTP pass this port as TCP, \
                           without the filter";
            notes.warning(port.start(), message);
        }
    }
}

/// The filter stands directly before the router, and its listener waits for it.
fn check_place(patch: YamlNode<'_, '_>, notes: &mut Findings) {
    let keys = [
        "match",
        "listener",
        "filterChain",
        "filter",
        "subFilter",
        "name",
    ];
    let beside = fields(patch, &keys).and_then(YamlNode::text);
    let operation = fields(patch, &["patch", "operation"]);
    let is_before = operation.and_then(YamlNode::text) == Some("INSERT_BEFORE");
    if !is_before || beside != Some("envoy.filters.http.router") {
        let message = "the filter has to stand directly before the router: `operation: INSERT_BEFORE`, and \
                       `subFilter: {name: envoy.filters.http.router}` under `match`";
        notes.error(operation.unwrap_or(patch).start(), message);
    }
    let source = fields(
        patch,
        &["patch", "value", "config_discovery", "config_source"],
    );
    let Some(source) = source else {
        return;
    };
    let timeout = field(source, "initial_fetch_timeout");
    if timeout.and_then(YamlNode::text) != Some("0s") {
        let message = "missing `initial_fetch_timeout: 0s`: the listener would not wait for the filter, and would answer \
                       500";
        notes.warning(timeout.unwrap_or(source).start(), message);
    }
}

/// Istio makes its clusters of ServiceEntries, and names them.
fn check_istio_clusters(
    spec: YamlNode<'_, '_>,
    roots: &[YamlNode<'_, '_>],
    needs: &PolicyNeeds,
    notes: &mut Findings,
) {
    let of_kind = |kind: &'static str| roots.iter().filter(move |root| self::kind(**root) == kind);
    let entries = of_kind("ServiceEntry").filter_map(|root| fields(*root, &["spec", "hosts"]));
    let hosts: Vec<&str> = entries
        .flat_map(YamlNode::items)
        .filter_map(YamlNode::text)
        .collect();
    let rules = of_kind("DestinationRule")
        .filter(|root| fields(**root, &["spec", "trafficPolicy", "tls"]).is_some());
    let secured: Vec<&str> = rules
        .filter_map(|root| fields(*root, &["spec", "host"]))
        .filter_map(YamlNode::text)
        .collect();
    for cluster in &needs.clusters {
        // Of the sidecar itself, in front of the MCP server.
        if cluster.is_of_mcp_server() && cluster.name.starts_with("inbound|") {
            continue;
        }
        let mut parts = cluster.name.split('|');
        let (direction, _, _, host) = (parts.next(), parts.next(), parts.next(), parts.next());
        let Some(host) = host.filter(|_| direction == Some("outbound")) else {
            let message = format!(
                "the policy names the cluster `{}`: Istio's clusters are called `outbound|PORT||HOST`",
                cluster.name
            );
            notes.error(spec.start(), message);
            continue;
        };
        let is_in_mesh = host.ends_with(".local") || host.ends_with(".svc");
        if !is_in_mesh && !hosts.contains(&host) {
            let message = format!(
                "no ServiceEntry in this file has the host {host} of the cluster `{}`",
                cluster.name
            );
            notes.warning(spec.start(), message);
        }
        let is_tls = cluster.server.as_ref().is_some_and(|server| server.tls);
        if !is_in_mesh && is_tls && !secured.contains(&host) {
            let message = format!(
                "no DestinationRule in this file sets TLS for {host}: an answer could be forged, and a forged key set \
                 makes every token valid"
            );
            notes.warning(spec.start(), message);
        }
    }
}

/// The clusters and limits that a policy needs of Envoy Gateway.
pub(super) fn check_gateway(
    root: YamlNode<'_, '_>,
    roots: &[YamlNode<'_, '_>],
    needs: &PolicyNeeds,
    notes: &mut Findings,
) {
    let policies = roots
        .iter()
        .filter(|root| kind(**root) == "EnvoyPatchPolicy");
    let patches = policies.filter_map(|root| fields(*root, &["spec", "jsonPatches"]));
    let clusters: Vec<&str> = patches
        .flat_map(YamlNode::items)
        .filter(|patch| {
            let kind = field(*patch, "type").and_then(YamlNode::text);
            kind.is_some_and(|kind| kind.ends_with("config.cluster.v3.Cluster"))
        })
        .filter_map(|patch| field(patch, "name")?.text())
        .collect();
    for cluster in &needs.clusters {
        // Envoy Gateway's own, for the server behind an HTTPRoute.
        let is_of_route = cluster.is_of_mcp_server() && cluster.name.starts_with("httproute/");
        if !is_of_route && !clusters.contains(&cluster.name.as_str()) {
            let message = format!(
                "the policy names the cluster `{}` ({}), and no patch of this file adds it",
                cluster.name,
                cluster.keys.join(", ")
            );
            notes.warning(root.place("kind"), message);
        }
    }
    let traffic = roots
        .iter()
        .find(|root| kind(**root) == "ClientTrafficPolicy");
    let limit = traffic.and_then(|root| fields(*root, &["spec", "connection", "bufferLimit"]));
    let bytes = limit.and_then(|limit| limit.number().or_else(|| quantity(limit.text()?)));
    let bytes = match limit {
        None => Some(GATEWAY_BUFFER),
        Some(_) => bytes.and_then(|bytes| usize::try_from(bytes).ok()),
    };
    if let Some(bytes) = bytes.filter(|bytes| !crate::render::fits(*bytes, needs.buffer)) {
        let message = format!(
            "`connection: {{bufferLimit: ...}}` of a ClientTrafficPolicy: {bytes} bytes are less than the {} bytes that \
             `max_response` and `max_body` of the policy need",
            needs.buffer
        );
        notes.error(limit.map_or(root.place("kind"), YamlNode::start), message);
    }
}

/// A quantity of Kubernetes in bytes: `1Mi`, `512Ki`, `1048576`.
fn quantity(text: &str) -> Option<u64> {
    let units = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("k", 1000),
        ("M", 1_000_000),
        ("", 1),
    ];
    let (number, unit) = units
        .iter()
        .find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)))?;
    number.parse::<u64>().ok()?.checked_mul(unit)
}
