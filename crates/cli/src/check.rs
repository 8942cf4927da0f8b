//! `mcp-auth check`: whether the filter loads a policy, and warnings about it. In the configuration of a proxy
//! it checks the settings around the policy, too.

use std::path::PathBuf;

use policy::{Mode, Policy, PolicyError};
use serde_json::{Value, json};

use crate::diagnostic::Diagnostic;
use crate::policy_file::PolicyDocuments;
use crate::proxy_file::{self, CheckedFile, FileKind};
use crate::render::RenderInput;
use crate::terminal_text::count;
use crate::yaml::YamlDocument;
use crate::{CommandOutput, Failure, check_tools, diagnostic, files, policy_file, tool_list};

/// The arguments of `mcp-auth check`.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArguments {
    /// The file, in YAML or JSON; `-` reads standard input.
    file: PathBuf,
    /// The server's answer to `tools/list`: warn about rules that meet no tool. Several files are pages of one
    /// list. Of several policies, all are compared with it.
    #[arg(long, value_name = "LIST")]
    tools: Vec<PathBuf>,
    /// Exit with 1 if there are warnings, too.
    #[arg(long)]
    strict: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The result of a check.
#[derive(Debug, Default)]
struct CheckResult {
    /// Mistakes and warnings.
    found: Vec<Diagnostic>,
    /// The configurations that were found and that the filter loads, each with its policies.
    configurations: Vec<Vec<(Policy, Value)>>,
    /// Whether the file is a policy alone.
    is_alone: bool,
    /// What to do about mistakes.
    next: String,
}

pub(crate) fn run(arguments: &CheckArguments) -> Result<CommandOutput, Failure> {
    let file = files::name(&arguments.file);
    let result = check(arguments)?;
    let is_refused = result.found.iter().any(|found| found.is_error);
    let is_strict = arguments.strict && !result.found.is_empty();
    if arguments.json {
        return Ok(CommandOutput {
            stdout: format!("{:#}\n", result.json(&file)),
            status: u8::from(is_refused || is_strict),
            ..CommandOutput::default()
        });
    }
    if is_refused {
        return Err(Failure {
            found: result.found,
            next: result.next,
            ..Failure::default()
        });
    }
    Ok(CommandOutput {
        stdout: result.text(&file),
        stderr: diagnostic::report(&result.found),
        status: u8::from(is_strict),
    })
}

fn check(arguments: &CheckArguments) -> Result<CheckResult, Failure> {
    let path = &*arguments.file;
    let tools = tool_list::read(&arguments.tools)?;
    let of_tools = |documents: &PolicyDocuments| match tools.as_slice() {
        [] => Vec::new(),
        tools => tool_warnings(documents, tools),
    };
    let written = files::read_text(path)?;
    let file = files::name(path);
    if let Ok(documents) = YamlDocument::read_all(&written)
        && let Some(kind) = FileKind::of(&documents)
    {
        let beside = |name: &str| {
            let path = path.with_file_name(name);
            (!files::is_stdin(&path)).then(|| files::read_text(&path).ok())?
        };
        let checked = proxy_file::check(kind, &documents, &beside);
        return Ok(CheckResult::of_proxy(&file, &written, checked));
    }
    match policy_file::parse_with(&file, &written, &of_tools) {
        Ok(loaded) => Ok(CheckResult {
            found: loaded.warnings,
            configurations: vec![loaded.policies],
            is_alone: true,
            next: String::new(),
        }),
        Err(failure) if failure.found.is_empty() => Err(failure),
        Err(failure) => Ok(CheckResult {
            found: failure.found,
            next: failure.next,
            ..CheckResult::default()
        }),
    }
}

impl CheckResult {
    /// The result for the configuration of a proxy.
    fn of_proxy(file: &str, written: &str, checked: CheckedFile) -> Self {
        let number = checked.notes.0.iter().filter(|note| note.is_error).count();
        let them = if number == 1 { "it" } else { "them" };
        let documents = checked.policies.into_iter();
        Self {
            found: Diagnostic::all(file, written, checked.notes.0),
            configurations: documents.map(|documents| documents.policies).collect(),
            is_alone: false,
            next: format!("mend {them}, then run `mcp-auth check {file}` again"),
        }
    }

    /// The lines for a file without mistakes.
    fn text(&self, file: &str) -> String {
        let warnings = match self.found.len() {
            0 => String::new(),
            number => format!(", {}", count(number, "warning")),
        };
        let contents: Vec<String> = self
            .configurations
            .iter()
            .map(|policies| contents(policies))
            .collect();
        let mut text = format!("{file}: ok{warnings}: {}\n", contents.join("; "));
        if let Some(buffer) = self.buffer().filter(|_| self.is_alone) {
            text.push_str(&format!(
                "Envoy needs per_connection_buffer_limit_bytes: {buffer} or more\n"
            ));
        }
        text
    }

    /// The buffer that Envoy needs.
    fn buffer(&self) -> Option<usize> {
        let policies = self.configurations.iter().flatten();
        policies.map(|(policy, _)| policy.envoy_buffer()).max()
    }

    fn json(&self, file: &str) -> Value {
        let policies = self.configurations.iter().flatten().map(|(policy, _)| {
            json!({
                "resource": policy.resource,
                "mode": match policy.mode {
                    Mode::Enforce => "enforce",
                    Mode::Observe => "observe",
                },
                "roles": policy.roles.len(),
                "issuers": policy.issuers.len(),
                "tool_rules": policy.tools.len(),
                "prompt_rules": policy.prompts.len(),
                "resource_rules": policy.resources.len(),
            })
        });
        json!({
            "file": file,
            "loads": !self.found.iter().any(|found| found.is_error),
            "found": self.found.iter().map(Diagnostic::json).collect::<Vec<_>>(),
            "policies": policies.collect::<Vec<_>>(),
            "per_connection_buffer_limit_bytes": self.buffer(),
        })
    }
}

/// Warnings about the policies and the tools of their server.
fn tool_warnings(documents: &PolicyDocuments, tools: &[Value]) -> Vec<PolicyError> {
    let mut warnings = Vec::new();
    for (index, (policy, json)) in documents.policies.iter().enumerate() {
        let Ok(document) = serde_json::from_value(json.clone()) else {
            continue;
        };
        let own = check_tools::warnings(policy, &document, tools).into_iter();
        warnings.extend(own.map(|mut warning| {
            if policy.label.is_some() {
                warning.path = format!("policies[{index}].{}", warning.path);
            }
            warning
        }));
    }
    warnings
}

/// The contents of the policies of a configuration.
pub(crate) fn contents_of(input: &RenderInput) -> String {
    contents(&input.loaded.policies)
}

/// The contents of one policy or several.
fn contents(policies: &[(Policy, Value)]) -> String {
    match policies {
        [(only, _)] if only.label.is_none() => summary(only),
        several => {
            let each = several.iter();
            let each =
                each.map(|(policy, _)| format!("\n  {}: {}", policy.resource, summary(policy)));
            format!(
                "{}{}",
                policies_in_words(several.len()),
                each.collect::<String>()
            )
        }
    }
}

fn policies_in_words(number: usize) -> String {
    match number {
        1 => "1 policy".to_owned(),
        _ => format!("{number} policies"),
    }
}

/// The contents of a policy, in one line.
fn summary(policy: &Policy) -> String {
    let mode = match policy.mode {
        Mode::Enforce => "",
        Mode::Observe if policy.observe.sign_in => "; only observes, and needs a valid token",
        Mode::Observe => "; only observes",
    };
    let conditions = [
        (policy.tools.len(), "tool"),
        (policy.prompts.len(), "prompt"),
        (policy.resources.len(), "resource"),
    ];
    let conditions: Vec<String> = conditions
        .into_iter()
        .filter(|(rules, _)| *rules > 0)
        .map(|(rules, noun)| count(rules, &format!("{noun} rule")))
        .collect();
    let callers = match policy.local {
        Some(_) => "local calls only".to_owned(),
        None => count(policy.issuers.len(), "issuer"),
    };
    let parts = [count(policy.roles.len(), "role"), callers];
    let parts: Vec<String> = parts.into_iter().chain(conditions).collect();
    format!("{}{mode}", parts.join(", "))
}
