//! `mcp-auth check`: whether the filter loads a policy, and warnings about it. In the configuration of a proxy
//! it checks the settings around the policy, too.

use std::path::PathBuf;

use policy::{Mode, Policy, PolicyError};
use serde_json::Value;

use crate::policy_file::PolicyDocuments;
use crate::proxy_file::{self, CheckedFile, FileKind};
use crate::render::RenderInput;
use crate::terminal_text::count;
use crate::yaml::YamlDocument;
use crate::{CommandOutput, Failure, check_tools, files, policy_file, tool_list};

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
}

pub(crate) fn run(arguments: &CheckArguments) -> Result<CommandOutput, Failure> {
    let mut output = check(arguments)?;
    if arguments.strict && output.status == 0 && !output.stderr.is_empty() {
        output.status = 1;
    }
    Ok(output)
}

fn check(arguments: &CheckArguments) -> Result<CommandOutput, Failure> {
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
        return Ok(of_proxy(
            &file,
            proxy_file::check(kind, &documents, &beside),
        ));
    }
    let loaded = policy_file::parse_with(&file, &written, &of_tools)?;
    let warnings = match loaded.warnings.lines().count() {
        0 => String::new(),
        number => format!(", {}", count(number, "warning")),
    };
    let summary = contents(&loaded.policies);
    let buffers = loaded.policies.iter();
    let buffers = buffers.map(|(policy, _)| policy.envoy_buffer());
    let buffer = buffers.max().unwrap_or_default();
    Ok(CommandOutput {
        stdout: format!(
            "{file}: ok{warnings}: {summary}\nEnvoy needs per_connection_buffer_limit_bytes: {buffer} or more\n\
             sha256 {}, as in the filter's log\n",
            loaded.sha256
        ),
        stderr: loaded.warnings,
        status: 0,
    })
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

/// The output for the configuration of a proxy.
fn of_proxy(file: &str, mut checked: CheckedFile) -> CommandOutput {
    let notes = &mut checked.notes.0;
    notes.sort_by_key(|note| note.place);
    let (mut errors, mut warnings) = (Vec::new(), 0_usize);
    let mut stderr = String::new();
    for note in notes.iter() {
        let kind = if note.is_error { "" } else { "warning: " };
        let line = policy_file::line(file, note.place, format!("{kind}{}", note.message));
        match note.is_error {
            true => errors.push(line),
            false => {
                warnings = warnings.saturating_add(1);
                stderr.push_str(&line);
            }
        }
    }
    if errors.is_empty() {
        let warnings = match warnings {
            0 => String::new(),
            number => format!(", {}", count(number, "warning")),
        };
        let summaries: Vec<String> = checked
            .policies
            .iter()
            .map(|documents| contents(&documents.policies))
            .collect();
        return CommandOutput {
            stdout: format!("{file}: ok{warnings}: {}\n", summaries.join("; ")),
            stderr,
            status: 0,
        };
    }
    let number = errors.len();
    stderr.insert_str(0, &policy::report(errors).concat());
    if !stderr.ends_with('\n') {
        stderr.push('\n');
    }
    let them = if number == 1 { "it" } else { "them" };
    let next = format!("mend {them}, then run `mcp-auth check {file}` again");
    Failure {
        message: stderr,
        next,
        status: 1,
    }
    .into()
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
