//! The settings of the filter itself, and its policy.

use policy::{Hold, PolicyError};

use super::{CheckedFile, Findings, WASM, field, fields, needs};
use crate::policy_file::PolicyDocuments;
use crate::policy_needs::PolicyNeeds;
use crate::render;
use crate::yaml::{Place, YamlDocument, YamlNode};

/// What all Wasm plugins of this filter have in a name or a path.
const OUR_NAME: &str = "mcp_auth";

/// Whether a name or a path is one of this filter.
pub(super) fn names_filter(text: &str) -> bool {
    text.contains(OUR_NAME)
}

/// A Wasm plugin of Envoy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plugin<'d, 't> {
    /// Its settings (`PluginConfig`).
    config: YamlNode<'d, 't>,
}

impl<'d, 't> Plugin<'d, 't> {
    /// The plugin of a filter's `typed_config`.
    pub(super) fn of_typed_config(node: YamlNode<'d, 't>) -> Option<Self> {
        let kind = node.get("@type")?.text()?;
        let is_struct = kind.ends_with("TypedStruct");
        let is_wasm = |kind: &str| kind == WASM;
        let config = match is_struct {
            false if is_wasm(kind) => field(node, "config"),
            true if field(node, "type_url")
                .and_then(YamlNode::text)
                .is_some_and(is_wasm) =>
            {
                fields(node, &["value", "config"])
            }
            _ => return None,
        };
        Some(Self {
            config: config.unwrap_or(node),
        })
    }

    /// Whether it is this filter.
    pub(super) fn is_ours(&self) -> bool {
        let named = [
            &["name"][..],
            &["root_id"],
            &["vm_config", "vm_id"],
            &["vm_config", "code", "local", "filename"],
            &["vm_config", "code", "remote", "http_uri", "uri"],
        ];
        let is_named = named.iter().any(|path| {
            let text = fields(self.config, path).and_then(YamlNode::text);
            text.is_some_and(names_filter)
        });
        let has_policy = fields(self.config, &["configuration", "value"]).is_some_and(|value| {
            value.get("resource").is_some() || value.get("policies").is_some()
        });
        is_named || has_policy
    }

    /// Checks settings and policy. `all`: the Wasm plugins of the file. Returns the needs of the policy.
    pub(super) fn check(
        &self,
        all: &[Self],
        checked: &mut CheckedFile,
    ) -> Option<(PolicyNeeds, Hold)> {
        let documents = self.check_policy(&mut checked.notes);
        let first = documents
            .as_ref()
            .and_then(|documents| documents.policies.first());
        let hold = first.map_or(Hold::StopIteration, |(policy, _)| policy.hold);
        self.check_failures(&mut checked.notes);
        self.check_headers(hold, &mut checked.notes);
        self.check_vm(all, &mut checked.notes);
        self.check_capabilities(&mut checked.notes);
        let documents = documents?;
        let needs = needs(&documents);
        self.check_variables(&needs, &mut checked.notes);
        checked.policies.push(documents);
        Some((needs, hold))
    }

    fn start(&self) -> Place {
        self.config.start()
    }

    fn check_failures(&self, notes: &mut Findings) {
        const WHY: &str = "after a crash of the module Envoy has to load it again; `FAIL_OPEN` lets requests pass \
                           unchecked, and `FAIL_CLOSED` ends service";
        match field(self.config, "failure_policy") {
            Some(found) if found.text() == Some("FAIL_RELOAD") => {}
            Some(found) => notes.error(
                found.start(),
                format!("failure_policy: expected `FAIL_RELOAD`: {WHY}"),
            ),
            None => notes.error(
                self.start(),
                format!("missing `failure_policy: FAIL_RELOAD`: {WHY}"),
            ),
        }
        if let Some(open) = field(self.config, "fail_open")
            && open.boolean() == Some(true)
        {
            let message =
                "fail_open: after a crash of the module requests pass unchecked; remove the line";
            notes.error(open.start(), message);
        }
    }

    fn check_headers(&self, hold: Hold, notes: &mut Findings) {
        let found = field(self.config, "allow_on_headers_stop_iteration");
        let is_set = found.is_some_and(|found| found.boolean() == Some(true));
        if hold == Hold::StopIteration && !is_set {
            notes.error(
                found.map_or(self.start(), YamlNode::start),
                "missing `allow_on_headers_stop_iteration: true`: headers would reach the server before the body is \
                 judged, so the filter refuses every request",
            );
        }
    }

    fn check_vm(&self, all: &[Self], notes: &mut Findings) {
        let Some(vm) = field(self.config, "vm_config") else {
            notes.error(self.start(), "missing `vm_config`: the module and its VM");
            return;
        };
        let id = field(vm, "vm_id");
        match id.and_then(YamlNode::text) {
            None | Some("") => notes.error(
                id.unwrap_or(vm).start(),
                "missing `vm_id: mcp_auth`: plugins without a `vm_id` of their own share memory",
            ),
            Some(own) => {
                let id_of = |other: &Self| {
                    fields(other.config, &["vm_config", "vm_id"]).and_then(YamlNode::text)
                };
                let shares = |other: &&Self| !other.is_ours() && id_of(other) == Some(own);
                if all.iter().any(|other| shares(&other)) {
                    let message =
                        format!("vm_id: another plugin has `{own}`, too, and shares the memory");
                    notes.error(id.unwrap_or(vm).start(), message);
                }
            }
        }
        match field(vm, "runtime") {
            Some(runtime) if runtime.text() == Some("envoy.wasm.runtime.v8") => {}
            other => notes.error(
                other.unwrap_or(vm).start(),
                "runtime: expected `envoy.wasm.runtime.v8`: the filter is tested with V8 only",
            ),
        }
        check_code(vm, notes);
    }

    fn check_capabilities(&self, notes: &mut Findings) {
        const KEY: &str = "capability_restriction_config";
        let vm = field(self.config, "vm_config");
        let block = field(self.config, KEY).or_else(|| field(vm?, KEY));
        let Some(block) = block else {
            let message = format!(
                "missing `{KEY}`: the module may ask Envoy for more than it needs; copy the list of envoy/envoy.yaml"
            );
            notes.warning(self.start(), message);
            return;
        };
        check_capability_list(block, notes);
    }

    fn check_variables(&self, needs: &PolicyNeeds, notes: &mut Findings) {
        let given = fields(self.config, &["vm_config", "environment_variables"]);
        let keys = given.and_then(|given| field(given, "host_env_keys"));
        let keys: Vec<&str> = keys
            .into_iter()
            .flat_map(YamlNode::items)
            .filter_map(YamlNode::text)
            .collect();
        let values = given.and_then(|given| field(given, "key_values"));
        let place = given.unwrap_or(self.config).start();
        for name in &needs.variables {
            let value = values.and_then(|values| values.get(name));
            match value {
                Some(value) => notes.warning(
                    value.start(),
                    format!("`{name}` is a secret in a file; name it under `host_env_keys` instead"),
                ),
                None if keys.contains(&name.as_str()) => {}
                None => notes.error(
                    place,
                    format!(
                        "environment_variables: missing `host_env_keys: [{name}]`: the policy names this variable, \
                         and the filter does not load without it"
                    ),
                ),
            }
        }
    }

    /// The policy, if the filter loads it.
    fn check_policy(&self, notes: &mut Findings) -> Option<PolicyDocuments> {
        let Some(configuration) = field(self.config, "configuration") else {
            let message = "missing `configuration`: the policy, as a google.protobuf.Struct";
            notes.error(self.start(), message);
            return None;
        };
        let kind = configuration.get("@type").and_then(YamlNode::text);
        let value = configuration.get("value");
        match (kind, value) {
            (Some(kind), Some(value)) if kind.ends_with("google.protobuf.Struct") => {
                check_document(value, notes)
            }
            (Some(kind), Some(value)) if kind.ends_with("google.protobuf.StringValue") => {
                check_text(value, notes)
            }
            _ => {
                let message = "configuration: expected the type `type.googleapis.com/google.protobuf.Struct` and \
                               the policy under `value`";
                notes.error(configuration.start(), message);
                None
            }
        }
    }
}

/// The call that the module can do without.
const FOREIGN_CALL: &str = "proxy_call_foreign_function";

/// The list of capabilities that the module may use.
pub(super) fn check_capability_list(block: YamlNode<'_, '_>, notes: &mut Findings) {
    let listed = field(block, "allowed_capabilities");
    let listed: Vec<(&str, Place)> = listed
        .into_iter()
        .flat_map(YamlNode::members)
        .map(|(name, place, _)| (name, place))
        .collect();
    let needed = render::capabilities();
    let missing: Vec<&str> = needed
        .iter()
        .copied()
        .filter(|name| !listed.iter().any(|(listed, _)| listed == name))
        .collect();
    let (optional, missing): (Vec<&str>, Vec<&str>) =
        missing.into_iter().partition(|name| *name == FOREIGN_CALL);
    if !optional.is_empty() {
        let message = format!(
            "allowed_capabilities: without {FOREIGN_CALL} the module checks all signatures itself: a token that a \
             worker sees for the first time costs 1 ms more"
        );
        notes.warning(block.start(), message);
    }
    if !missing.is_empty() {
        let message = format!(
            "allowed_capabilities: missing {}: requests may pass unchecked, or the module does not load; copy the \
             list whole",
            missing.join(", ")
        );
        notes.error(block.start(), message);
    }
    for (name, place) in listed {
        if !needed.contains(&name) {
            let message =
                format!("allowed_capabilities: the module does not need `{name}`; remove it");
            notes.warning(place, message);
        }
    }
}

/// A policy as a part of the file.
pub(super) fn check_document(
    value: YamlNode<'_, '_>,
    notes: &mut Findings,
) -> Option<PolicyDocuments> {
    check_placed(value, notes, &|place| place)
}

/// A policy as a text: JSON, or YAML.
pub(super) fn check_text(value: YamlNode<'_, '_>, notes: &mut Findings) -> Option<PolicyDocuments> {
    let Some((text, place)) = value.inner_text() else {
        let message = "configuration: expected a text with the policy, in YAML or JSON";
        notes.error(value.start(), message);
        return None;
    };
    let read = YamlDocument::read_all(text).and_then(YamlDocument::single);
    match read {
        Ok(document) => check_placed(document.root(), notes, &place),
        Err(error) => {
            notes.error(place(error.place), error.message);
            None
        }
    }
}

/// A policy in a document, and the position of each of its places in the file.
fn check_placed(
    value: YamlNode<'_, '_>,
    notes: &mut Findings,
    place: &dyn Fn(Place) -> Place,
) -> Option<PolicyDocuments> {
    let found = value
        .to_json()
        .map_err(|error| vec![(error.place, error.message)]);
    let placed = |error: &PolicyError| {
        let message = error.to_string();
        (value.mistake(&error.path, &error.message), message)
    };
    let found = found.and_then(|json| {
        PolicyDocuments::of(json).map_err(|errors| errors.iter().map(placed).collect())
    });
    match found {
        Ok(documents) => {
            for (found, message) in documents.warnings.iter().map(placed) {
                notes.warning(place(found), message);
            }
            Some(documents)
        }
        Err(errors) => {
            for (found, message) in errors {
                notes.error(place(found), message);
            }
            None
        }
    }
}

fn check_code(vm: YamlNode<'_, '_>, notes: &mut Findings) {
    let Some(code) = field(vm, "code") else {
        notes.error(
            vm.start(),
            "missing `code`: the file or the URL of the module",
        );
        return;
    };
    let Some(remote) = field(code, "remote") else {
        return;
    };
    check_hash(remote, notes);
}

/// The hash of a module that is downloaded.
pub(super) fn check_hash(source: YamlNode<'_, '_>, notes: &mut Findings) {
    match field(source, "sha256").and_then(|hash| Some((hash, hash.text()?))) {
        Some((hash, text)) if text.bytes().all(|byte| byte == b'0') => notes.error(
            hash.start(),
            "sha256: this is the placeholder; `sha256sum mcp_auth_filter.wasm` prints the hash of the module",
        ),
        Some(_) => {}
        None => notes.warning(
            source.start(),
            "missing `sha256`: without the hash, the host of the module decides which module runs",
        ),
    }
}
