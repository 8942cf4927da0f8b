//! A policy from a file. Its mistakes have lines.

use std::path::Path;

use policy::{Policies, Policy, PolicyError};
use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::proxy_file::Finding;
use crate::yaml::{YamlDocument, YamlError, YamlNode};
use crate::{Failure, files, terminal_text};

/// A configuration that the filter would load.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Its policies, each with the document it was made from. At least one.
    pub(crate) policies: Vec<(Policy, Value)>,
    /// The warnings.
    pub(crate) warnings: Vec<Diagnostic>,
    /// The SHA-256 of the configuration, as the filter's log has it.
    pub(crate) sha256: String,
}

/// The policies of a configuration that the filter loads, each with the document it was made from.
#[derive(Debug)]
pub(crate) struct PolicyDocuments {
    /// At least one.
    pub(crate) policies: Vec<(Policy, Value)>,
    /// Rules that are valid and probably not intended.
    pub(crate) warnings: Vec<PolicyError>,
    /// The SHA-256 of the configuration.
    pub(crate) sha256: String,
}

impl PolicyDocuments {
    /// Reads and checks a configuration, as the filter does.
    pub(crate) fn of(json: Value) -> Result<Self, Vec<PolicyError>> {
        let policies = Policies::parse(json.to_string().as_bytes())?;
        let warnings = policies.warnings();
        let sha256 = policy::fingerprint(&json);
        let documents = match json.get("policies") {
            Some(Value::Array(documents)) => documents.clone(),
            _ => vec![json],
        };
        Ok(Self {
            policies: policies.into_vec().into_iter().zip(documents).collect(),
            warnings,
            sha256,
        })
    }
}

impl Loaded {
    /// The policy at a path, or the only one. `named`: its path, or its `resource` if several have this
    /// path.
    pub(crate) fn single(mut self, named: Option<&str>) -> Result<(Policy, Value), Failure> {
        let names = self.policies.iter().map(|(policy, _)| &policy.resource);
        let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        if let Some(named) = named {
            let is_meant = |policy: &Policy| policy.path == named || policy.resource == named;
            self.policies.retain(|(policy, _)| is_meant(policy));
        }
        match (self.policies.pop(), self.policies.is_empty()) {
            (Some(only), true) => Ok(only),
            (None, _) => Err(Failure::usage(
                format!(
                    "no policy is for `{}`",
                    terminal_text::printable(named.unwrap_or_default())
                ),
                format!("there is {}", names.join(", ")),
            )),
            (Some(_), false) => Err(Failure::usage(
                "there are several policies",
                format!(
                    "say which with --path PATH, or --path RESOURCE: {}",
                    names.join(", ")
                ),
            )),
        }
    }
}

/// Reads and checks a policy. A policy that the filter would refuse is a failure with status 1.
pub(crate) fn load(path: &Path) -> Result<Loaded, Failure> {
    load_with_text(path).map(|(_, loaded)| loaded)
}

/// Reads and checks a policy, and returns its text, too.
pub(crate) fn load_with_text(path: &Path) -> Result<(String, Loaded), Failure> {
    let written = files::read_text(path)?;
    let loaded = parse(&files::name(path), &written)?;
    Ok((written, loaded))
}

/// A policy of a document that was checked before.
pub(crate) fn compile(document: &Value) -> Result<Policy, Failure> {
    Policy::parse(document.to_string().as_bytes()).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::usage(
            format!("the policy does not load: {}", errors.join("; ")),
            "check it with `mcp-auth check`",
        )
    })
}

/// Checks the text of a policy in a file with this name.
pub(crate) fn parse(file: &str, written: &str) -> Result<Loaded, Failure> {
    parse_with(file, written, &|_| Vec::new())
}

/// Checks the text of a policy, with warnings beside those of the policy itself.
pub(crate) fn parse_with(
    file: &str,
    written: &str,
    more_warnings: &dyn Fn(&PolicyDocuments) -> Vec<PolicyError>,
) -> Result<Loaded, Failure> {
    let not_yaml = |error: YamlError| {
        let found = Diagnostic::error(file, written, error.place, error.message);
        refused(found, format!("mend it, then run `mcp-auth check {file}`"))
    };
    let documents = YamlDocument::read_all(written).map_err(not_yaml)?;
    for document in &documents {
        refuse_other_kind(file, written, document)?;
    }
    let document = YamlDocument::single(documents).map_err(not_yaml)?;
    let json = document.root().to_json().map_err(not_yaml)?;
    let placed = |is_error, error: &PolicyError| Finding {
        place: document.root().mistake(&error.path, &error.message),
        is_error,
        message: error.to_string(),
    };
    let documents = PolicyDocuments::of(json).map_err(|errors| {
        let found = errors.iter().map(|error| placed(true, error));
        mistakes(file, Diagnostic::all(file, written, found))
    })?;
    let mut warnings = documents.warnings.clone();
    warnings.extend(more_warnings(&documents));
    let warnings = warnings.iter().map(|warning| placed(false, warning));
    Ok(Loaded {
        warnings: Diagnostic::all(file, written, warnings),
        policies: documents.policies,
        sha256: documents.sha256,
    })
}

/// The failure for a policy that the filter does not load.
fn mistakes(file: &str, found: Vec<Diagnostic>) -> Failure {
    let them = if found.len() == 1 { "it" } else { "them" };
    refused(
        found,
        format!(
            "mend {them}, then run `mcp-auth check {file}` again; Envoy does not load it as it is. \
             `mcp-auth schema` prints what a policy may say"
        ),
    )
}

/// Refuses a document that is the whole configuration of a proxy.
fn refuse_other_kind(
    file: &str,
    written: &str,
    document: &YamlDocument<'_>,
) -> Result<(), Failure> {
    let (what, key, under) = match document.root().get("kind").and_then(YamlNode::text) {
        Some("EnvoyFilter") => ("an Istio EnvoyFilter", "kind", "`configuration.value`"),
        Some("WasmPlugin") => ("an Istio WasmPlugin", "kind", "`pluginConfig`"),
        Some("EnvoyExtensionPolicy") => {
            let what = "an Envoy Gateway EnvoyExtensionPolicy";
            (what, "kind", "`config`")
        }
        Some(_) if document.root().get("apiVersion").is_some() => {
            let what = "a Kubernetes resource";
            (what, "kind", "the filter's configuration")
        }
        _ if document.root().get("static_resources").is_some() => {
            let what = "a whole Envoy configuration";
            (
                what,
                "static_resources",
                "the filter's `configuration.value`",
            )
        }
        // A policy may have these keys too. It always has `resource`.
        _ if document.root().get("resources").is_some()
            && document.root().get("resource").is_none() =>
        {
            let what = "a file for Envoy's discovery";
            (what, "resources", "the filter's `configuration.value`")
        }
        _ => return Ok(()),
    };
    let message = format!("this is {what}; expected the policy alone");
    let found = Diagnostic::error(file, written, document.root().place(key), message);
    Err(refused(
        found,
        format!("put what is under {under} into a file of its own and check that"),
    ))
}

fn refused(found: Vec<Diagnostic>, next: String) -> Failure {
    Failure {
        found,
        next,
        ..Failure::default()
    }
}
