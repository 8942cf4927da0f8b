//! Envoy's own configuration: listeners, clusters, and the filter in each chain.

use policy::Hold;

use super::manager::{self, InChain};
use super::plugin::Plugin;
use super::{CheckedFile, Findings, field, fields, plugins, refuse_nothing};
use crate::policy_needs::{NeededCluster, PolicyNeeds};
use crate::yaml::{YamlDocument, YamlNode};

/// Checks a configuration. `beside` reads a file in the same directory.
pub(super) fn check(
    root: YamlNode<'_, '_>,
    beside: &dyn Fn(&str) -> Option<String>,
    checked: &mut CheckedFile,
) {
    check_admin(root, &mut checked.notes);
    let plugins = plugins(&[root]);
    let mut is_found = false;
    let listeners = fields(root, &["static_resources", "listeners"]);
    for listener in listeners.into_iter().flat_map(YamlNode::items) {
        for manager in managers(listener) {
            is_found |= check_chain(root, listener, manager, &plugins, beside, checked);
        }
    }
    if !is_found {
        refuse_nothing(&[root], &plugins, &mut checked.notes);
        if let Some(node) = listeners.filter(|_| plugins.iter().any(Plugin::is_ours)) {
            let message =
                "the filter is in no listener's HTTP connection manager: no request reaches it";
            checked.notes.error(node.start(), message);
        }
    }
}

/// The connection managers of a listener.
fn managers<'d, 't>(listener: YamlNode<'d, 't>) -> Vec<YamlNode<'d, 't>> {
    let chains = field(listener, "filter_chains")
        .into_iter()
        .flat_map(YamlNode::items);
    let chains = chains.chain(field(listener, "default_filter_chain"));
    let filters = chains.flat_map(|chain| {
        field(chain, "filters")
            .into_iter()
            .flat_map(YamlNode::items)
    });
    let settings = filters.filter_map(|filter| field(filter, "typed_config"));
    let is_manager = |node: &YamlNode<'d, 't>| {
        node.get("@type").and_then(YamlNode::text) == Some(manager::MANAGER)
    };
    settings.filter(is_manager).collect()
}

/// Checks the filter in one chain. False: the chain does not have it.
fn check_chain(
    root: YamlNode<'_, '_>,
    listener: YamlNode<'_, '_>,
    manager: YamlNode<'_, '_>,
    plugins: &[Plugin<'_, '_>],
    beside: &dyn Fn(&str) -> Option<String>,
    checked: &mut CheckedFile,
) -> bool {
    let filters = field(manager, "http_filters");
    let filters: Vec<_> = filters.into_iter().flat_map(YamlNode::items).collect();
    let own = |filter: YamlNode<'_, '_>| {
        let plugin = field(filter, "typed_config").and_then(Plugin::of_typed_config);
        plugin.is_some_and(|plugin| plugin.is_ours()) || manager::is_discovered(filter)
    };
    let Some((index, filter)) = filters.iter().enumerate().find(|(_, filter)| own(**filter)) else {
        return false;
    };
    let plugin = field(*filter, "typed_config").and_then(Plugin::of_typed_config);
    let found = match plugin {
        Some(plugin) => plugin.check(plugins, checked),
        None => check_discovered(root, *filter, beside, checked),
    };
    let (needs, hold) = match &found {
        Some((needs, hold)) => (Some(needs), *hold),
        None => (None, Hold::StopIteration),
    };
    let chain = InChain { needs, hold };
    let notes = &mut checked.notes;
    manager::check_order(&filters, index, &chain, notes);
    manager::check_buffer(listener, &chain, notes);
    manager::check_manager(manager, notes);
    let clusters = cluster_nodes(root);
    let names: Vec<&str> = clusters.iter().map(|(name, _)| *name).collect();
    let has_others = fields(root, &["dynamic_resources", "cds_config"]).is_some();
    let known = (!has_others).then_some(names.as_slice());
    let own_name = field(*filter, "name").and_then(YamlNode::text);
    manager::check_routes(manager, own_name.as_slice(), &chain, known, notes);
    if let Some(needs) = needs {
        check_local(listener, needs, notes);
        for needed in &needs.clusters {
            check_cluster(needed, &clusters, has_others, *filter, notes);
        }
    }
    true
}

/// A filter in a file of its own.
fn check_discovered(
    root: YamlNode<'_, '_>,
    filter: YamlNode<'_, '_>,
    beside: &dyn Fn(&str) -> Option<String>,
    checked: &mut CheckedFile,
) -> Option<(PolicyNeeds, Hold)> {
    let source = fields(filter, &["config_discovery", "config_source"])?;
    let path = fields(source, &["path_config_source", "path"]).or_else(|| field(source, "path"))?;
    let has_node = |key: &str| {
        fields(root, &["node", key])
            .and_then(YamlNode::text)
            .is_some()
    };
    if !has_node("id") || !has_node("cluster") {
        let message = "missing `node: {id: ..., cluster: ...}`: Envoy reads no file of its own without these names";
        checked.notes.error(root.start(), message);
    }
    if fields(source, &["path_config_source", "watched_directory"]).is_none() {
        let message = "missing `watched_directory`: Envoy does not notice that a Kubernetes ConfigMap changed";
        checked.notes.warning(path.start(), message);
    }
    let file = path.text()?;
    let name = file.rsplit('/').next().unwrap_or(file);
    let note =
        |message: String, checked: &mut CheckedFile| checked.notes.warning(path.start(), message);
    let Some(text) = beside(name) else {
        note(
            format!("the filter and its policy are in {file}: check that file, too"),
            checked,
        );
        return None;
    };
    let documents = YamlDocument::read_all(&text).unwrap_or_default();
    let roots: Vec<_> = documents.iter().map(YamlDocument::root).collect();
    let plugins = plugins(&roots);
    let own = plugins.iter().find(|plugin| plugin.is_ours());
    let mut of_file = CheckedFile::default();
    let found = own.and_then(|own| own.check(&plugins, &mut of_file));
    if found.is_none() || of_file.notes.0.iter().any(|note| note.is_error) {
        let message = format!("{name} has errors: run `mcp-auth check` on it");
        checked.notes.error(path.start(), message);
    }
    checked.policies.append(&mut of_file.policies);
    found
}

/// The clusters of the configuration, by name.
fn cluster_nodes<'d, 't>(root: YamlNode<'d, 't>) -> Vec<(&'d str, YamlNode<'d, 't>)> {
    let clusters = fields(root, &["static_resources", "clusters"]);
    let clusters = clusters.into_iter().flat_map(YamlNode::items);
    clusters
        .filter_map(|cluster| Some((field(cluster, "name")?.text()?, cluster)))
        .collect()
}

/// Checks a cluster that the policy names.
fn check_cluster(
    needed: &NeededCluster,
    clusters: &[(&str, YamlNode<'_, '_>)],
    has_others: bool,
    filter: YamlNode<'_, '_>,
    notes: &mut Findings,
) {
    let Some((_, node)) = clusters.iter().find(|(name, _)| *name == needed.name) else {
        if !has_others {
            let message = format!(
                "the policy names the cluster `{}` ({}), and no cluster has this name",
                needed.name,
                needed.keys.join(", ")
            );
            notes.error(filter.start(), message);
        }
        return;
    };
    let is_tls = needed.server.as_ref().is_some_and(|server| server.tls);
    let Some(context) = fields(*node, &["transport_socket", "typed_config"]) else {
        if is_tls {
            let message = format!(
                "the cluster `{}` has no TLS: an answer could be forged, and a forged key set makes every token valid",
                needed.name
            );
            notes.warning(node.start(), message);
        }
        return;
    };
    let validation = fields(context, &["common_tls_context", "validation_context"]).or_else(|| {
        let keys = [
            "common_tls_context",
            "combined_validation_context",
            "default_validation_context",
        ];
        fields(context, &keys)
    });
    let has_authority = validation.is_some_and(|validation| {
        ["trusted_ca", "system_root_certs"]
            .iter()
            .any(|key| field(validation, key).is_some())
    });
    let has_name = validation
        .is_some_and(|validation| field(validation, "match_typed_subject_alt_names").is_some())
        || field(context, "auto_sni_san_validation").and_then(YamlNode::boolean) == Some(true);
    let is_secret = fields(
        context,
        &["common_tls_context", "validation_context_sds_secret_config"],
    )
    .is_some();
    if !(is_secret || has_authority && has_name) {
        let message = format!(
            "TLS of the cluster `{}` does not verify the server: set `trusted_ca` and `match_typed_subject_alt_names`",
            needed.name
        );
        notes.warning(context.start(), message);
    }
}

/// A policy with `local` needs a listener on loopback, and addresses of the connection.
fn check_local(listener: YamlNode<'_, '_>, needs: &PolicyNeeds, notes: &mut Findings) {
    if !needs.is_local {
        return;
    }
    let address = fields(listener, &["address", "socket_address", "address"]);
    if let Some((node, text)) = address.and_then(|node| Some((node, node.text()?)))
        && !is_loopback(text)
    {
        let message = format!("the policy says `local`: listen on 127.0.0.1, not on {text}");
        notes.error(node.start(), message);
    }
    for filter in field(listener, "listener_filters")
        .into_iter()
        .flat_map(YamlNode::items)
    {
        let name = field(filter, "name")
            .and_then(YamlNode::text)
            .unwrap_or_default();
        if name.contains("proxy_protocol") {
            let message = "the policy says `local`: a client could choose its address with the PROXY protocol";
            notes.error(filter.start(), message);
        }
    }
}

/// A client of the admin interface can stop Envoy.
fn check_admin(root: YamlNode<'_, '_>, notes: &mut Findings) {
    let address = fields(root, &["admin", "address", "socket_address", "address"]);
    if let Some((node, text)) = address.and_then(|node| Some((node, node.text()?)))
        && !is_loopback(text)
    {
        let message = "admin: a client of this port can stop Envoy; listen on 127.0.0.1";
        notes.warning(node.start(), message);
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}
