//! The filter inside the configuration of a proxy: its settings, its policy and its place.

mod bootstrap;
mod extension_policy;
mod findings;
mod held_policy;
mod kubernetes;
mod manager;
mod plugin;

pub(crate) use self::findings::{Finding, Findings};
use self::plugin::Plugin;
use crate::policy_file::PolicyDocuments;
use crate::policy_needs::PolicyNeeds;
use crate::yaml::{YamlDocument, YamlNode};

/// The type of the filter's configuration.
const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// Envoy's own configuration.
    Bootstrap,
    /// A file that Envoy watches.
    Discovery,
    /// Resources of Kubernetes.
    Kubernetes,
    /// Values of the Helm chart.
    ChartValues,
}

impl FileKind {
    /// The kind of a file. `None`: a policy.
    pub(crate) fn of(documents: &[YamlDocument<'_>]) -> Option<Self> {
        documents.iter().find_map(|document| {
            let root = document.root();
            let has = |key: &str| root.get(key).is_some();
            if has("static_resources") || has("staticResources") || has("dynamic_resources") {
                return Some(Self::Bootstrap);
            }
            if has("kind") && has("apiVersion") {
                return Some(Self::Kubernetes);
            }
            if held_policy::is_of_chart(root) {
                return Some(Self::ChartValues);
            }
            // A policy may have this key too. It always has `resource`.
            (has("resources") && !has("resource")).then_some(Self::Discovery)
        })
    }
}

/// A file with the filter in it, and all that is wrong there.
#[derive(Debug, Default)]
pub(crate) struct CheckedFile {
    /// Errors and warnings.
    pub(crate) notes: Findings,
    /// The policies that were found, and that the filter loads.
    pub(crate) policies: Vec<PolicyDocuments>,
}

/// Checks a file of this kind. `beside` reads a file in the same directory.
pub(crate) fn check(
    kind: FileKind,
    documents: &[YamlDocument<'_>],
    beside: &dyn Fn(&str) -> Option<String>,
) -> CheckedFile {
    let mut checked = CheckedFile::default();
    let roots: Vec<YamlNode<'_, '_>> = documents.iter().map(YamlDocument::root).collect();
    match kind {
        FileKind::Bootstrap => {
            for root in &roots {
                bootstrap::check(*root, beside, &mut checked);
            }
        }
        FileKind::Discovery => {
            let plugins = plugins(&roots);
            let ours = plugins.iter().filter(|plugin| plugin.is_ours());
            for plugin in ours {
                plugin.check(&plugins, &mut checked);
            }
            refuse_nothing(&roots, &plugins, &mut checked.notes);
        }
        FileKind::Kubernetes => kubernetes::check(&roots, &mut checked),
        FileKind::ChartValues => {
            for root in &roots {
                held_policy::check_values(*root, &mut checked);
            }
        }
    }
    checked
}

/// All Wasm plugins in a file.
fn plugins<'d, 't>(roots: &[YamlNode<'d, 't>]) -> Vec<Plugin<'d, 't>> {
    let mut found = Vec::new();
    for root in roots {
        find_plugins(*root, &mut found);
    }
    found
}

fn find_plugins<'d, 't>(node: YamlNode<'d, 't>, found: &mut Vec<Plugin<'d, 't>>) {
    if let Some(plugin) = Plugin::of_typed_config(node) {
        found.push(plugin);
        return;
    }
    for (_, _, value) in node.members() {
        find_plugins(value, found);
    }
    for item in node.items() {
        find_plugins(item, found);
    }
}

/// An error for a file without the filter.
fn refuse_nothing(roots: &[YamlNode<'_, '_>], plugins: &[Plugin<'_, '_>], notes: &mut Findings) {
    if plugins.iter().any(Plugin::is_ours) {
        return;
    }
    if let Some(root) = roots.first() {
        let message = "the filter is not in this file: no Wasm filter has a policy, or `mcp_auth` in its name. \
                       `mcp-auth render` writes a complete file";
        notes.error(root.start(), message);
    }
}

/// A member by its name in Envoy's API, or in the spelling of JSON.
fn field<'d, 't>(node: YamlNode<'d, 't>, name: &str) -> Option<YamlNode<'d, 't>> {
    node.get(name).or_else(|| {
        let mut camel = String::new();
        let mut is_next_upper = false;
        for character in name.chars() {
            match character {
                '_' => is_next_upper = true,
                _ if is_next_upper => {
                    camel.push(character.to_ascii_uppercase());
                    is_next_upper = false;
                }
                _ => camel.push(character),
            }
        }
        node.get(&camel)
    })
}

/// A member inside members.
fn fields<'d, 't>(node: YamlNode<'d, 't>, names: &[&str]) -> Option<YamlNode<'d, 't>> {
    names.iter().try_fold(node, |node, name| field(node, name))
}

/// The needs of policies.
fn needs(policies: &PolicyDocuments) -> PolicyNeeds {
    PolicyNeeds::of(&policies.policies).unwrap_or_default()
}
