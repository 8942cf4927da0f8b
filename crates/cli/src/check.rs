//! `mcp-auth check`: whether the filter loads a policy, and warnings about it.

use std::path::Path;

use policy::{Mode, Policy};

use crate::terminal_text::count;
use crate::{CommandOutput, Failure, files, policy_file};

pub(crate) fn run(path: &Path) -> Result<CommandOutput, Failure> {
    let loaded = policy_file::load(path)?;
    let warnings = match loaded.warnings.lines().count() {
        0 => String::new(),
        number => format!(", {}", count(number, "warning")),
    };
    let summary = match loaded.policies.as_slice() {
        [(only, _)] if only.label.is_none() => summary(only),
        several => {
            let each = several.iter();
            let each =
                each.map(|(policy, _)| format!("\n  {}: {}", policy.resource, summary(policy)));
            format!("{}{}", policies(several.len()), each.collect::<String>())
        }
    };
    let buffers = loaded.policies.iter();
    let buffers = buffers.map(|(policy, _)| policy.envoy_buffer());
    let buffer = buffers.max().unwrap_or_default();
    Ok(CommandOutput {
        stdout: format!(
            "{}: ok{warnings}: {summary}\nEnvoy needs per_connection_buffer_limit_bytes: {buffer} or more\n",
            files::name(path)
        ),
        stderr: loaded.warnings,
        status: 0,
    })
}

fn policies(number: usize) -> String {
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
