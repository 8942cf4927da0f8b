//! The file of cases.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::diagnostic::Diagnostic;
use crate::yaml::{Place, YamlDocument};
use crate::{Failure, files};

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseFile {
    /// The policy, relative to this file.
    pub(super) policy: Option<String>,
    /// The policy to use if there are several, by its path or its `resource`.
    pub(super) path: Option<String>,
    /// Callers by name: the claims of their tokens.
    #[serde(default)]
    pub(super) callers: BTreeMap<String, Map<String, Value>>,
    cases: Vec<Case>,
}

/// A request, and what is expected.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// What it shows.
    pub(super) name: String,
    /// The name of a caller, or claims. Without it: no token, or the caller of `local`.
    pub(super) caller: Option<CaseCaller>,
    /// The tool that is called.
    pub(super) tool: Option<String>,
    /// The prompt that is asked for.
    pub(super) prompt: Option<String>,
    /// The resource that is read.
    pub(super) resource: Option<String>,
    /// The list that is asked for: `tools`, `prompts`, `resources`.
    pub(super) list: Option<String>,
    /// The arguments of the tool or the prompt.
    pub(super) arguments: Option<Value>,
    /// In place of these: the whole JSON-RPC message.
    pub(super) request: Option<Value>,
    /// Headers in place of those that a client would send.
    #[serde(default)]
    pub(super) headers: Vec<String>,
    /// The seconds since the sign-in.
    pub(super) age: Option<u64>,
    /// The answer of the decision point (`decide`).
    pub(super) decision: Option<Value>,
    /// The server's result, or its whole answer.
    pub(super) answer: Option<Value>,
    /// The server's answer to look-ups of the owners of records, or the record alone.
    pub(super) lookup: Option<Value>,
    /// What is expected.
    pub(super) expect: Expectation,
    /// Its position.
    #[serde(skip)]
    pub(super) place: Option<Place>,
}

/// A caller.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum CaseCaller {
    /// Its name under `callers`.
    Named(String),
    /// Its claims.
    Claims(Map<String, Value>),
}

/// What is expected of a case. Only what is written is compared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expectation {
    /// `approved`, `blocked`, `needs_review`.
    pub(super) decision: String,
    /// The reason code.
    pub(super) reason: Option<String>,
    /// The arguments that the server receives.
    pub(super) arguments: Option<Value>,
    /// The whole message that the server receives.
    pub(super) body: Option<Value>,
    /// Names or URIs in the list that the caller receives, in its order.
    pub(super) shows: Option<Vec<String>>,
    /// The result that the caller receives.
    pub(super) result: Option<Value>,
    /// Texts that the caller does not receive.
    #[serde(default)]
    pub(super) hides: Vec<String>,
}

/// Whether a file has cases.
pub(super) fn has_cases(path: &Path) -> bool {
    let text = files::read_text(path).unwrap_or_default();
    let documents = YamlDocument::read_all(&text).unwrap_or_default();
    documents
        .iter()
        .any(|document| document.root().get("cases").is_some())
}

/// Reads a file of cases.
pub(super) fn read_cases(path: &Path) -> Result<(CaseFile, Vec<Case>), Failure> {
    let (text, name) = (files::read_text(path)?, files::name(path));
    let failure = |place: Place, message: &str| Failure {
        found: Diagnostic::error(&name, &text, place, message),
        next: "docs/command-line.md shows a file of cases".to_owned(),
        status: 2,
        ..Failure::default()
    };
    let documents =
        YamlDocument::read_all(&text).map_err(|error| failure(error.place, &error.message))?;
    let document =
        YamlDocument::single(documents).map_err(|error| failure(error.place, &error.message))?;
    let root = document.root();
    let json = root
        .to_json()
        .map_err(|error| failure(error.place, &error.message))?;
    let cases = json.get("cases").and_then(Value::as_array);
    for (case, index) in cases.into_iter().flatten().zip(0_usize..) {
        let place = root.place(&format!("cases[{index}]"));
        Case::deserialize(case).map_err(|error| failure(place, &error.to_string()))?;
    }
    let mut file: CaseFile =
        serde_json::from_value(json).map_err(|error| failure(root.start(), &error.to_string()))?;
    let mut cases = std::mem::take(&mut file.cases);
    for (case, index) in cases.iter_mut().zip(0_usize..) {
        case.place = Some(root.place(&format!("cases[{index}]")));
    }
    Ok((file, cases))
}
