//! `mcp-auth hash`: the name of a user in the access log.

use std::path::PathBuf;

use serde_json::json;

use crate::terminal_text::printable;
use crate::{CommandOutput, Failure, policy_file};

/// The arguments of `mcp-auth hash`.
#[derive(Debug, clap::Args)]
pub(crate) struct HashArguments {
    /// The user, as the token names it.
    user: String,
    /// The policy. The key of the hash is in the variable that `audit.key_env` names.
    #[arg(long)]
    policy: PathBuf,
    /// The policy to use if there are several, by its path or its `resource`.
    #[arg(long)]
    path: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &HashArguments) -> Result<CommandOutput, Failure> {
    let (policy, _) = policy_file::load(&arguments.policy)?.single(arguments.path.as_deref())?;
    let key = match policy.audit.key_env.as_deref() {
        None => None,
        Some(name) => Some(
            std::env::var(name)
                .ok()
                .filter(|key| !key.is_empty())
                .ok_or_else(|| {
                    Failure::usage(
                        format!(
                            "the key of the hash is in `{}`, and it is not set",
                            printable(name)
                        ),
                        "set it to the value that Envoy has",
                    )
                })?,
        ),
    };
    let name = mcp_auth_filter::audit::person(&policy, &arguments.user, key.as_deref());
    name.map_or_else(
        || {
            Err(Failure::usage(
                "the log names no users: the policy says `audit: {subject: omit}`",
                "search by time, tool or roles",
            ))
        },
        |name| {
            Ok(CommandOutput {
                stdout: match arguments.json {
                    true => format!("{:#}\n", json!({"user": arguments.user, "id": name})),
                    false => format!("{}\n", printable(&name)),
                },
                ..CommandOutput::default()
            })
        },
    )
}
