//! A policy from a file. Its mistakes have lines.

use std::fmt::Display;
use std::path::Path;

use policy::{Policies, Policy, PolicyError};
use serde_json::Value;

use crate::yaml::{Place, YamlDocument, YamlError, YamlNode};
use crate::{Failure, files, terminal_text};

/// A configuration that the filter would load.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Its policies, each with the document it was made from. At least one.
    pub(crate) policies: Vec<(Policy, Value)>,
    /// The warnings, one line each.
    pub(crate) warnings: String,
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
        let line = line(file, error.place, error.message);
        refused(&line, format!("mend it, then run `mcp-auth check {file}`"))
    };
    let documents = YamlDocument::read_all(written).map_err(not_yaml)?;
    for document in &documents {
        refuse_other_kind(file, document)?;
    }
    let document = YamlDocument::single(documents).map_err(not_yaml)?;
    let json = document.root().to_json().map_err(not_yaml)?;
    let documents =
        PolicyDocuments::of(json).map_err(|errors| mistakes(file, &document, &errors))?;
    let mut warnings = documents.warnings.clone();
    warnings.extend(more_warnings(&documents));
    Ok(Loaded {
        warnings: lines(file, &document, "warning: ", &warnings).concat(),
        policies: documents.policies,
        sha256: documents.sha256,
    })
}

/// The failure for a policy that the filter does not load.
fn mistakes(file: &str, document: &YamlDocument<'_>, errors: &[PolicyError]) -> Failure {
    let them = if errors.len() == 1 { "it" } else { "them" };
    let mut report = policy::report(lines(file, document, "", errors)).concat();
    if !report.ends_with('\n') {
        report.push('\n');
    }
    refused(
        &report,
        format!(
            "mend {them}, then run `mcp-auth check {file}` again; Envoy does not load it as it is. \
             `mcp-auth schema` prints what a policy may say"
        ),
    )
}

/// Refuses a document that is the whole configuration of a proxy.
fn refuse_other_kind(file: &str, document: &YamlDocument<'_>) -> Result<(), Failure> {
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
    Err(refused(
        &line(file, document.root().place(key), message),
        format!("put what is under {under} into a file of its own and check that"),
    ))
}

/// One line for each error, in the order of the file.
fn lines(
    file: &str,
    document: &YamlDocument<'_>,
    kind: &str,
    errors: &[PolicyError],
) -> Vec<String> {
    let mut placed: Vec<_> = errors
        .iter()
        .map(|error| (document.root().place(&error.path), error))
        .collect();
    placed.sort_by_key(|(place, _)| *place);
    let line = |(place, error)| line(file, place, format!("{kind}{error}"));
    placed.into_iter().map(line).collect()
}

/// A message with its position in a file.
pub(crate) fn line(file: &str, place: Place, message: impl Display) -> String {
    let message = terminal_text::printable(&message.to_string());
    format!("{file}:{}:{}: {message}\n", place.line, place.column)
}

fn refused(lines: &str, next: String) -> Failure {
    Failure {
        message: lines.to_owned(),
        next,
        status: 1,
    }
}
