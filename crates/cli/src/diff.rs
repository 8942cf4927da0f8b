//! `mcp-auth diff`: what each role gains and loses between two policies.

use std::collections::BTreeSet;
use std::path::PathBuf;

use mcp_auth_filter::authorize::Target;
use policy::Policy;
use serde_json::{Value, json};

use crate::access::{self, Access, TargetKind};
use crate::progress::Progress;
use crate::terminal_text::{count, printable};
use crate::{CommandOutput, Failure, access_log, policy_file, tool_list, value_changes};

/// The arguments of `mcp-auth diff`.
#[derive(Debug, clap::Args)]
pub(crate) struct DiffArguments {
    /// The old policy.
    old: PathBuf,
    /// The new policy.
    new: PathBuf,
    /// The policy to use if there are several, by its path or its `resource`.
    #[arg(long)]
    path: Option<String>,
    /// The server's answer to `tools/list`. Without it, the names and patterns that the policies have.
    #[arg(long, value_name = "LIST")]
    tools: Vec<PathBuf>,
    /// An access log: its calls are judged by the roles of their callers with both policies.
    #[arg(long, value_name = "ACCESS_LOG")]
    replay: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A change of what a role may do.
#[derive(Debug)]
struct AccessChange {
    role: String,
    kind: TargetKind,
    name: String,
    before: Access,
    after: Access,
}

pub(crate) fn run(arguments: &DiffArguments) -> Result<CommandOutput, Failure> {
    let path = arguments.path.as_deref();
    let (old, old_document) = policy_file::load(&arguments.old)?.single(path)?;
    let (new, new_document) = policy_file::load(&arguments.new)?.single(path)?;
    let mut changes = Vec::new();
    for kind in TargetKind::ALL {
        let targets: BTreeSet<String> = match (kind, arguments.tools.as_slice()) {
            (TargetKind::Tool, lists) if !lists.is_empty() => {
                let tools = tool_list::read(lists)?;
                tool_list::names(&tools).map(str::to_owned).collect()
            }
            _ => access::named(&old, kind)
                .into_iter()
                .chain(access::named(&new, kind))
                .collect(),
        };
        add_changes(kind, &targets, &old, &new, &mut changes);
    }
    let others =
        value_changes::changes(&without_access(old_document), &without_access(new_document));
    let replayed = match &arguments.replay {
        Some(log) => replay(&access_log::read(log)?, &old, &new),
        None => Vec::new(),
    };
    let may_gain = changes.iter().any(AccessChange::may_gain) || !others.is_empty();
    let stdout = match arguments.json {
        true => format!("{:#}\n", as_json(&changes, &others, &replayed)),
        false => as_text(&changes, &others, &replayed, arguments.replay.is_some()),
    };
    Ok(CommandOutput {
        stdout,
        status: u8::from(may_gain),
        ..CommandOutput::default()
    })
}

impl AccessChange {
    /// Whether the role gains something, or may gain: what a rule asks for is another thing.
    fn may_gain(&self) -> bool {
        self.after.is_allowed
    }
}

fn add_changes(
    kind: TargetKind,
    targets: &BTreeSet<String>,
    old: &Policy,
    new: &Policy,
    changes: &mut Vec<AccessChange>,
) {
    let roles = access::roles(old).into_iter().chain(access::roles(new));
    let roles: BTreeSet<String> = roles.collect();
    for role in &roles {
        for name in targets {
            let target = kind.target(name);
            let before = access::access(old, role, target);
            let after = access::access(new, role, target);
            // The rule may have moved to another role.
            let is_same = before.is_allowed == after.is_allowed
                && (!before.is_allowed || before.asks() == after.asks());
            if !is_same {
                changes.push(AccessChange {
                    role: role.clone(),
                    kind,
                    name: name.clone(),
                    before,
                    after,
                });
            }
        }
    }
}

/// A policy without what decides about access, which is compared role by role.
fn without_access(mut document: Value) -> Vec<u8> {
    const OF_OPERATIONS: [&str; 5] = ["when", "scopes", "max_token_age", "confirm", "single_use"];
    if let Value::Object(document) = &mut document {
        for key in ["roles", "anonymous", "scopes"] {
            document.remove(key);
        }
        for section in ["tools", "prompts"] {
            let Some(Value::Object(operations)) = document.get_mut(section) else {
                continue;
            };
            for operation in operations.values_mut().filter_map(Value::as_object_mut) {
                operation.retain(|key, _| !OF_OPERATIONS.contains(&key.as_str()));
            }
            operations.retain(|_, operation| operation.as_object().is_none_or(|it| !it.is_empty()));
            if operations.is_empty() {
                document.remove(section);
            }
        }
    }
    document.to_string().into_bytes()
}

/// The recorded calls that are decided otherwise: tool, roles, the number of calls, and whether they pass now.
fn replay(records: &[Value], old: &Policy, new: &Policy) -> Vec<(String, String, usize, bool)> {
    let mut changed: Vec<(String, String, usize, bool)> = Vec::new();
    let mut progress = Progress::of_steps("judging recorded calls", records.len());
    for record in records {
        progress.step();
        let Some(tool) = record.get("gen_ai.tool.name").and_then(Value::as_str) else {
            continue;
        };
        let mut roles: Vec<&str> = access_log::roles(record);
        let passes =
            |policy: &Policy| access::of_roles(policy, &roles, Target::Tool(tool)).is_allowed;
        let (before, after) = (passes(old), passes(new));
        if before == after {
            continue;
        }
        roles.push("*");
        let roles = roles.join(", ");
        let known = changed
            .iter_mut()
            .find(|(name, of, _, _)| name == tool && *of == roles);
        match known {
            Some((_, _, number, _)) => *number = number.saturating_add(1),
            None => changed.push((tool.to_owned(), roles, 1, after)),
        }
    }
    changed
}

fn as_text(
    changes: &[AccessChange],
    others: &[String],
    replayed: &[(String, String, usize, bool)],
    is_replayed: bool,
) -> String {
    let mut out = String::new();
    for change in changes {
        let (sign, why) = match (change.before.is_allowed, change.after.is_allowed) {
            (false, _) => ("gains", change.after.why.clone()),
            (true, false) => ("loses", change.after.why.clone()),
            (true, true) => {
                let ask = |access: &Access| access.asks().unwrap_or("no condition").to_owned();
                (
                    "keeps",
                    format!("{} -> {}", ask(&change.before), ask(&change.after)),
                )
            }
        };
        let (role, name) = (printable(&change.role), printable(&change.name));
        let (kind, why) = (change.kind.word(), printable(&why));
        out.push_str(&format!("{role}  {sign}  {kind} {name}  ({why})\n"));
    }
    if changes.is_empty() {
        out.push_str("no role gains or loses a tool, prompt or resource\n");
    }
    if !others.is_empty() {
        out.push_str("other changes, which may let callers do or see more:\n");
    }
    for change in others {
        out.push_str(&format!("  {change}\n"));
    }
    for (tool, roles, number, passes) in replayed {
        let now = if *passes {
            "pass now"
        } else {
            "are refused now"
        };
        let (tool, roles) = (printable(tool), printable(roles));
        out.push_str(&format!(
            "{} of {tool} by {roles} {now}\n",
            count(*number, "recorded call")
        ));
    }
    if is_replayed && replayed.is_empty() {
        out.push_str("no recorded call is decided otherwise by its roles\n");
    }
    out
}

fn as_json(
    changes: &[AccessChange],
    others: &[String],
    replayed: &[(String, String, usize, bool)],
) -> Value {
    let of = |access: &Access| json!({"allowed": access.is_allowed, "why": access.why});
    let changes = changes.iter().map(|change| {
        json!({"role": change.role, "kind": change.kind.word(), "name": change.name, "before": of(&change.before), "after": of(&change.after)})
    });
    let replayed = replayed.iter().map(|(tool, roles, calls, passes)| {
        json!({"tool": tool, "roles": roles, "calls": calls, "passes": passes})
    });
    json!({"other_changes": others, "changes": changes.collect::<Vec<_>>(), "replayed": replayed.collect::<Vec<_>>()})
}
