//! Policies that Kubernetes holds for a proxy: in a ConfigMap or a Secret, in the document that the overlays copy,
//! and in the values of the Helm chart.

use super::kubernetes::kind;
use super::plugin::{check_document, check_text};
use super::{CheckedFile, FileKind, Findings, field, fields, needs};
use crate::yaml::{Place, YamlDocument, YamlNode};

/// Checks the policies that a resource holds. False: it holds none.
pub(super) fn check(root: YamlNode<'_, '_>, checked: &mut CheckedFile) -> bool {
    match kind(root) {
        "ConfigMap" => check_texts(field(root, "data"), checked),
        // `data` of a Secret is encoded.
        "Secret" => check_texts(root.get("stringData"), checked),
        "McpAuthPolicy" => {
            let spec = root.get("spec");
            if let Some(documents) = spec.and_then(|spec| check_document(spec, &mut checked.notes))
            {
                checked.policies.push(documents);
            }
            if spec.is_none() {
                checked
                    .notes
                    .error(root.start(), "missing `spec`: the policy");
            }
            true
        }
        _ => false,
    }
}

/// Checks the files in a ConfigMap that have a policy or the filter.
fn check_texts(data: Option<YamlNode<'_, '_>>, checked: &mut CheckedFile) -> bool {
    let mut is_found = false;
    for (name, _, value) in data.into_iter().flat_map(YamlNode::members) {
        is_found |= check_file(name, value, data, checked);
    }
    is_found
}

/// Checks one file. False: it has nothing of the filter.
fn check_file(
    name: &str,
    value: YamlNode<'_, '_>,
    beside: Option<YamlNode<'_, '_>>,
    checked: &mut CheckedFile,
) -> bool {
    let Some((text, place)) = value.inner_text() else {
        return false;
    };
    let documents = match YamlDocument::read_all(text) {
        Ok(documents) => documents,
        Err(error)
            if text.contains("resource:")
                || text.contains("mcp_auth")
                || name.contains("policy") =>
        {
            checked.notes.error(place(error.place), error.message);
            return true;
        }
        Err(_) => return false,
    };
    let has = |key: &str| {
        documents
            .iter()
            .any(|document| document.root().get(key).is_some())
    };
    match FileKind::of(&documents) {
        Some(kind @ (FileKind::Bootstrap | FileKind::Discovery)) if text.contains("mcp_auth") => {
            let beside = |name: &str| Some(beside?.get(name)?.text()?.to_owned());
            let inner = super::check(kind, &documents, &beside);
            add(inner, &place, checked);
            true
        }
        None if has("resource") || has("policies") => {
            if let Some(documents) = check_text(value, &mut checked.notes) {
                checked.policies.push(documents);
            }
            true
        }
        _ => false,
    }
}

/// What was found in a text, at its places in the file.
fn add(inner: CheckedFile, place: &dyn Fn(Place) -> Place, checked: &mut CheckedFile) {
    for mut note in inner.notes.0 {
        note.place = place(note.place);
        checked.notes.0.push(note);
    }
    checked.policies.extend(inner.policies);
}

/// Whether a document has values of the Helm chart.
pub(super) fn is_of_chart(root: YamlNode<'_, '_>) -> bool {
    let has = |key: &str| root.get(key).is_some();
    has("policy") && has("proxy") && !has("resource") && !has("cases")
}

/// Checks values of the Helm chart.
pub(super) fn check_values(root: YamlNode<'_, '_>, checked: &mut CheckedFile) {
    let Some(policy) = root.get("policy") else {
        return;
    };
    let notes = &mut checked.notes;
    let documents = match policy.text() {
        Some(_) => check_text(policy, notes),
        None if policy.members().next().is_some() => check_document(policy, notes),
        None => {
            let message = "policy: there is none here; put it under `policy`, or check the file that `--set-file \
                           policy=FILE` names";
            notes.error(root.place("policy"), message);
            None
        }
    };
    let Some(documents) = documents else {
        return;
    };
    let needs = needs(&documents);
    let texts = |key: &str| {
        let items = root.get(key).into_iter().flat_map(YamlNode::items);
        items.filter_map(YamlNode::text).collect::<Vec<_>>()
    };
    let variables = texts("variables");
    for name in needs
        .variables
        .iter()
        .filter(|name| !variables.contains(&name.as_str()))
    {
        let message = format!(
            "variables: missing {name}: the policy names it, and the filter does not load without it"
        );
        notes.error(root.place("variables"), message);
    }
    let limit = root.get("bufferLimit").and_then(YamlNode::number);
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    if let Some(limit) = limit.filter(|limit| !crate::render::fits(*limit, needs.buffer)) {
        let message = format!(
            "bufferLimit: {limit} bytes are less than the {} bytes that `max_response` and `max_body` of the policy need",
            needs.buffer
        );
        notes.error(root.place("bufferLimit"), message);
    }
    check_issuers(root, &needs, notes);
    checked.policies.push(documents);
}

/// The chart names the clusters of its issuers.
fn check_issuers(
    root: YamlNode<'_, '_>,
    needs: &crate::policy_needs::PolicyNeeds,
    notes: &mut Findings,
) {
    let issuers = root.get("issuers").into_iter().flat_map(YamlNode::items);
    let clusters: Vec<String> = issuers
        .filter_map(|issuer| {
            let port = fields(issuer, &["port"])
                .and_then(YamlNode::number)
                .unwrap_or(443);
            Some(format!("outbound|{port}||{}", issuer.get("host")?.text()?))
        })
        .collect();
    for cluster in needs
        .clusters
        .iter()
        .filter(|cluster| !clusters.contains(&cluster.name))
    {
        let message = format!(
            "issuers: no issuer of the chart has the cluster `{}` ({}): an issuer's cluster is `outbound|PORT||HOST`",
            cluster.name,
            cluster.keys.join(", ")
        );
        notes.warning(root.place("issuers"), message);
    }
}
