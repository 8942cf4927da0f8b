//! A policy from a file. Its mistakes have lines.

use std::path::Path;

pub(crate) use explanation::PolicyDocuments;
use explanation::{Mistake, PolicyText, PolicyTextError};
use policy::{Policy, PolicyError};
use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::proxy_file::Finding;
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
    let text =
        PolicyText::parse(written, more_warnings).map_err(|error| refused(file, written, error))?;
    Ok(Loaded {
        warnings: Diagnostic::all(file, written, findings(text.warnings, false)),
        policies: text.policies,
        sha256: text.sha256,
    })
}

fn findings(mistakes: Vec<Mistake>, is_error: bool) -> impl Iterator<Item = Finding> {
    mistakes.into_iter().map(move |mistake| Finding {
        place: mistake.place,
        is_error,
        message: mistake.message,
    })
}

/// The failure for a policy that the filter does not load.
fn refused(file: &str, written: &str, error: PolicyTextError) -> Failure {
    let (found, next) = match error {
        PolicyTextError::NotYaml(error) => (
            Diagnostic::error(file, written, error.place, error.message),
            format!("mend it, then run `mcp-auth check {file}`"),
        ),
        PolicyTextError::OtherKind { mistake, under } => (
            Diagnostic::error(file, written, mistake.place, mistake.message),
            format!("put what is under {under} into a file of its own and check that"),
        ),
        PolicyTextError::Mistakes(mistakes) => {
            let them = if mistakes.len() == 1 { "it" } else { "them" };
            let next = format!(
                "mend {them}, then run `mcp-auth check {file}` again; Envoy does not load it as it is. \
                 `mcp-auth schema` prints what a policy may say"
            );
            (
                Diagnostic::all(file, written, findings(mistakes, true)),
                next,
            )
        }
    };
    Failure {
        found,
        next,
        ..Failure::default()
    }
}
