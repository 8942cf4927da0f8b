//! Envoy Gateway's EnvoyExtensionPolicy, with the settings of the filter that an EnvoyPatchPolicy adds.

use policy::Hold;

use super::kubernetes::{check_gateway, kind};
use super::plugin::{check_capability_list, check_document, check_hash, names_filter};
use super::{CheckedFile, Findings, field, fields, needs};
use crate::policy_needs::PolicyNeeds;
use crate::yaml::YamlNode;

/// Whether a resource has the filter.
pub(super) fn is_ours(root: YamlNode<'_, '_>) -> bool {
    kind(root) == "EnvoyExtensionPolicy" && extensions(root).any(is_filter)
}

/// The Wasm extensions of a resource.
fn extensions<'d, 't>(root: YamlNode<'d, 't>) -> impl Iterator<Item = YamlNode<'d, 't>> {
    let extensions = fields(root, &["spec", "wasm"]);
    extensions.into_iter().flat_map(YamlNode::items)
}

/// Whether an extension is the filter: by its name, or because it has a policy.
fn is_filter(extension: YamlNode<'_, '_>) -> bool {
    let named = ["name", "rootID"]
        .iter()
        .filter_map(|key| field(extension, key)?.text());
    let config = field(extension, "config");
    let has = |key: &str| config.is_some_and(|config| config.get(key).is_some());
    named.into_iter().any(names_filter) || has("resource") || has("policies")
}

/// Checks the filter in a resource. `roots`: all resources of the file.
pub(super) fn check(root: YamlNode<'_, '_>, roots: &[YamlNode<'_, '_>], checked: &mut CheckedFile) {
    let found = extensions(root)
        .enumerate()
        .find(|(_, extension)| is_filter(*extension));
    let Some((index, extension)) = found else {
        return;
    };
    let notes = &mut checked.notes;
    let documents = match field(extension, "config") {
        Some(config) => check_document(config, notes),
        None => {
            notes.error(extension.start(), "missing `config`: the policy");
            None
        }
    };
    let first = documents
        .as_ref()
        .and_then(|documents| documents.policies.first());
    let hold = first.map_or(Hold::StopIteration, |(policy, _)| policy.hold);
    check_open(extension, notes);
    check_module(extension, notes);
    let patched = Patched::of(root, index, roots);
    patched.check(root, hold, notes);
    if hold == Hold::BufferFilter {
        check_request_buffer(root, roots, notes);
    }
    if let Some(documents) = documents {
        let needs = needs(&documents);
        check_variables(extension, &needs, notes);
        check_gateway(root, roots, &needs, notes);
        checked.policies.push(documents);
    }
}

fn check_open(extension: YamlNode<'_, '_>, notes: &mut Findings) {
    if let Some(open) = field(extension, "failOpen").filter(|open| open.boolean() == Some(true)) {
        let message =
            "failOpen: after a crash of the module requests pass unchecked; set `failOpen: false`";
        notes.error(open.start(), message);
    }
}

fn check_module(extension: YamlNode<'_, '_>, notes: &mut Findings) {
    let code = field(extension, "code");
    let source = code.and_then(|code| field(code, "http").or_else(|| field(code, "image")));
    match source {
        Some(source) => check_hash(source, notes),
        None => notes.error(
            extension.start(),
            "missing `code`: the URL or the image of the module",
        ),
    }
}

fn check_variables(extension: YamlNode<'_, '_>, needs: &PolicyNeeds, notes: &mut Findings) {
    let keys = fields(extension, &["env", "hostKeys"]);
    let given: Vec<&str> = keys
        .into_iter()
        .flat_map(YamlNode::items)
        .filter_map(YamlNode::text)
        .collect();
    for name in needs
        .variables
        .iter()
        .filter(|name| !given.contains(&name.as_str()))
    {
        let message = format!(
            "env: missing `hostKeys: [{name}]`: the policy names this variable, and the filter does not load without it"
        );
        notes.error(keys.unwrap_or(extension).start(), message);
    }
}

/// With `hold: buffer_filter` a request buffer holds the headers.
fn check_request_buffer(root: YamlNode<'_, '_>, roots: &[YamlNode<'_, '_>], notes: &mut Findings) {
    let mut traffic = roots
        .iter()
        .filter(|root| kind(**root) == "BackendTrafficPolicy");
    if !traffic.any(|root| fields(*root, &["spec", "requestBuffer", "limit"]).is_some()) {
        let message = "the policy says `hold: buffer_filter`: missing a BackendTrafficPolicy with `requestBuffer: \
                       {limit: 1Mi}`, without which headers reach the server before the body is judged";
        notes.error(root.place("kind"), message);
    }
}

/// The settings that patches give the filter.
struct Patched<'d, 't> {
    settings: Vec<(&'d str, YamlNode<'d, 't>)>,
    /// A patch for a Wasm filter with another name.
    other: Option<YamlNode<'d, 't>>,
    /// The name of the filter in Envoy.
    name: String,
}

impl<'d, 't> Patched<'d, 't> {
    fn of(root: YamlNode<'d, 't>, index: usize, roots: &[YamlNode<'d, 't>]) -> Self {
        let of_metadata = |key: &str| fields(root, &["metadata", key]).and_then(YamlNode::text);
        let name = of_metadata("name").unwrap_or_default();
        let end = format!("/{name}/wasm/{index}");
        // Kustomize and Helm may add the namespace.
        let name = match of_metadata("namespace") {
            Some(namespace) => format!("envoyextensionpolicy/{namespace}{end}"),
            None => end,
        };
        let mut patched = Self {
            settings: Vec::new(),
            other: None,
            name,
        };
        let policies = roots
            .iter()
            .filter(|root| kind(**root) == "EnvoyPatchPolicy");
        let patches = policies.filter_map(|root| fields(*root, &["spec", "jsonPatches"]));
        for operation in patches
            .flat_map(YamlNode::items)
            .filter_map(|patch| field(patch, "operation"))
        {
            let Some(place) = field(operation, "jsonPath") else {
                continue;
            };
            let text = place.text().unwrap_or_default();
            if !text.contains("/envoyextensionpolicy/") {
                continue;
            }
            let is_own = text.contains(&format!("{}'", patched.name))
                || text.contains(&format!("{}\"", patched.name));
            match (
                is_own,
                field(operation, "path").and_then(YamlNode::text),
                field(operation, "value"),
            ) {
                (false, ..) => patched.other = patched.other.or(Some(place)),
                (true, Some(path), Some(value)) => {
                    patched.settings.push((path.trim_matches('/'), value))
                }
                _ => {}
            }
        }
        patched
    }

    fn setting(&self, name: &str) -> Option<YamlNode<'d, 't>> {
        let mut settings = self.settings.iter();
        settings
            .find(|(setting, _)| *setting == name)
            .map(|(_, value)| *value)
    }

    fn check(&self, root: YamlNode<'_, '_>, hold: Hold, notes: &mut Findings) {
        let place = root.place("kind");
        if let Some(other) = self.other {
            let message = format!(
                "this patch is for another filter: the name of this one ends with `{}`",
                self.name
            );
            notes.error(other.start(), message);
        }
        let stops = self.setting("allow_on_headers_stop_iteration");
        let is_stopping = stops.is_some_and(|stops| stops.boolean() == Some(true));
        if hold == Hold::StopIteration && !is_stopping {
            let message = "an EnvoyExtensionPolicy cannot set `allow_on_headers_stop_iteration`, without which the filter \
                           refuses every request, and no EnvoyPatchPolicy in this file sets it for this filter; use both, \
                           as `mcp-auth render --for envoy-gateway` writes them";
            notes.error(stops.map_or(place, YamlNode::start), message);
        }
        match self.setting("failure_policy") {
            Some(found) if found.text() == Some("FAIL_RELOAD") => {}
            Some(found) => notes.error(
                found.start(),
                "failure_policy: expected `FAIL_RELOAD`: after a crash of the module Envoy has to load it again",
            ),
            None => notes.warning(
                place,
                "no EnvoyPatchPolicy in this file sets `failure_policy: FAIL_RELOAD` for this filter: after a crash of \
                 the module, a worker answers 503 until its configuration changes",
            ),
        }
        match self.setting("capability_restriction_config") {
            Some(block) => check_capability_list(block, notes),
            None => notes.warning(
                place,
                "no EnvoyPatchPolicy in this file sets `capability_restriction_config` for this filter: the module may \
                 ask Envoy for more than it needs",
            ),
        }
    }
}
