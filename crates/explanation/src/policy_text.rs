//! A policy as it is written. Its mistakes have lines and columns.

use policy::{Policies, Policy, PolicyError};
use serde_json::Value;

use crate::yaml::{Place, YamlDocument, YamlError, YamlNode};

/// The text of a configuration that the filter would load.
#[derive(Debug)]
pub struct PolicyText {
    /// Its policies, each with the document it was made from. At least one.
    pub policies: Vec<(Policy, Value)>,
    /// Rules that are valid and probably not intended, in the order of the text.
    pub warnings: Vec<Mistake>,
    /// The SHA-256 of the configuration, as the filter's log has it.
    pub sha256: String,
}

/// A mistake or a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Its position.
    pub place: Place,
    /// What is wrong, and what is expected.
    pub message: String,
}

/// Why the filter would not load a text.
#[derive(Debug)]
pub enum PolicyTextError {
    /// The text is not YAML, or has YAML that the proxy reads in another way.
    NotYaml(YamlError),
    /// The text is the configuration of a proxy.
    OtherKind {
        /// Which configuration it is.
        mistake: Mistake,
        /// The key with the policy.
        under: &'static str,
    },
    /// All mistakes of the policies, in the order of the text.
    Mistakes(Vec<Mistake>),
}

/// The policies of a configuration that the filter loads, each with the document it was made from.
#[derive(Debug)]
pub struct PolicyDocuments {
    /// At least one.
    pub policies: Vec<(Policy, Value)>,
    /// Rules that are valid and probably not intended.
    pub warnings: Vec<PolicyError>,
    /// The SHA-256 of the configuration, as the filter's log has it.
    pub sha256: String,
}

impl PolicyDocuments {
    /// Reads and checks a configuration, as the filter does.
    ///
    /// # Errors
    ///
    /// All mistakes of its policies.
    pub fn of(json: Value) -> Result<Self, Vec<PolicyError>> {
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

impl PolicyText {
    /// Checks a text, with warnings beside those of the policies themselves.
    ///
    /// # Errors
    ///
    /// The filter does not load it.
    pub fn parse(
        written: &str,
        more_warnings: &dyn Fn(&PolicyDocuments) -> Vec<PolicyError>,
    ) -> Result<Self, PolicyTextError> {
        let documents = YamlDocument::read_all(written)?;
        for document in &documents {
            refuse_other_kind(document)?;
        }
        let document = YamlDocument::single(documents)?;
        let json = document.root().to_json()?;
        let documents = PolicyDocuments::of(json)
            .map_err(|errors| PolicyTextError::Mistakes(placed(&document, &errors)))?;
        let mut warnings = documents.warnings.clone();
        warnings.extend(more_warnings(&documents));
        Ok(Self {
            warnings: placed(&document, &warnings),
            policies: documents.policies,
            sha256: documents.sha256,
        })
    }
}

impl From<YamlError> for PolicyTextError {
    fn from(error: YamlError) -> Self {
        Self::NotYaml(error)
    }
}

/// Refuses a document that is the whole configuration of a proxy.
fn refuse_other_kind(document: &YamlDocument<'_>) -> Result<(), PolicyTextError> {
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
    Err(PolicyTextError::OtherKind {
        mistake: Mistake {
            place: document.root().place(key),
            message: format!("this is {what}; expected the policy alone"),
        },
        under,
    })
}

/// The errors with their positions, in the order of the text.
fn placed(document: &YamlDocument<'_>, errors: &[PolicyError]) -> Vec<Mistake> {
    let place = |error: &PolicyError| Mistake {
        place: document.root().mistake(&error.path, &error.message),
        message: error.to_string(),
    };
    let mut mistakes: Vec<Mistake> = errors.iter().map(place).collect();
    mistakes.sort_by_key(|mistake| mistake.place);
    mistakes
}
