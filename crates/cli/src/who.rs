//! `mcp-auth who`: which role may call a tool, and which tools a caller may call, with the reasons.

mod access_page;

use std::path::PathBuf;

use explanation::RequestInputs;
use mcp_auth_filter::authorize::Target;
use serde_json::{Map, Value, json};

use crate::access::{self, Access, TargetKind};
use crate::explain;
use crate::progress::Progress;
use crate::terminal_text::printable;
use crate::{CommandOutput, Failure, files, page, policy_file, tool_list};

/// The arguments of `mcp-auth who`.
#[derive(Debug, clap::Args)]
pub(crate) struct WhoArguments {
    /// The tool, by its name. Without it, all tools of the list or of the policy.
    tool: Option<String>,
    /// The policy, in YAML or JSON.
    #[arg(long)]
    policy: PathBuf,
    /// The policy to use if there are several, by its path or its `resource`.
    #[arg(long)]
    path: Option<String>,
    /// One caller: the claims of a token, as JSON. Without it, each role.
    #[arg(long, value_name = "CLAIMS")]
    user: Option<PathBuf>,
    /// The server's answer to `tools/list`. Without it, the tools that the policy names.
    #[arg(long, value_name = "LIST")]
    tools: Vec<PathBuf>,
    /// Write a page. It needs no other file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One line of the table.
struct WhoRow {
    tool: String,
    caller: String,
    access: Access,
}

pub(crate) fn run(arguments: &WhoArguments) -> Result<CommandOutput, Failure> {
    let (policy, document) =
        policy_file::load(&arguments.policy)?.single(arguments.path.as_deref())?;
    let mut tools: Vec<String> = match (&arguments.tool, arguments.tools.as_slice()) {
        (Some(tool), _) => vec![tool.clone()],
        (None, []) => access::named(&policy, TargetKind::Tool)
            .into_iter()
            .collect(),
        (None, lists) => tool_list::names(&tool_list::read(lists)?)
            .map(str::to_owned)
            .collect(),
    };
    tools.dedup();
    let mut rows = Vec::new();
    let mut progress = Progress::of_steps("judging calls", tools.len());
    for tool in tools {
        progress.step();
        match &arguments.user {
            None => rows.extend(access::roles(&policy).into_iter().map(|role| WhoRow {
                access: access::access(&policy, &role, Target::Tool(&tool)),
                tool: tool.clone(),
                caller: role,
            })),
            Some(claims) => {
                let claims = explain::read_claims(claims)?;
                rows.push(of_caller(&tool, claims, &document)?);
            }
        }
    }
    drop(progress);
    if let Some(path) = &arguments.html {
        let policy_file = files::name(&arguments.policy);
        let html = access_page::access_page(&rows, &policy_file, &policy.resource);
        page::write(path, &html)?;
    }
    let mut stdout = match arguments.json {
        true => {
            let rows = rows.iter().map(|row| {
                json!({"tool": row.tool, "caller": row.caller, "allowed": row.access.is_allowed, "why": row.access.why})
            });
            format!("{:#}\n", Value::Array(rows.collect()))
        }
        false => table(&rows),
    };
    if let Some(path) = arguments.html.as_ref().filter(|_| !arguments.json) {
        stdout.push_str(&format!("\nwrote {}\n", files::name(path)));
    }
    Ok(CommandOutput {
        stdout,
        status: u8::from(!rows.iter().any(|row| row.access.is_allowed)),
        ..CommandOutput::default()
    })
}

/// The policy without its decision points, which are not asked.
fn without_decisions(document: &Value) -> Value {
    let mut document = document.clone();
    if let Some(sections) = document.as_object_mut() {
        sections.remove("decide");
        let tools = sections.get_mut("tools").and_then(Value::as_object_mut);
        for tool in tools.into_iter().flat_map(Map::values_mut) {
            tool.as_object_mut().map(|keys| keys.remove("decide"));
        }
    }
    document
}

/// The decision about a call without arguments.
fn of_caller(tool: &str, claims: Map<String, Value>, document: &Value) -> Result<WhoRow, Failure> {
    let policy = policy_file::compile(&without_decisions(document))?;
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {}}});
    let caller = claims
        .get("sub")
        .and_then(Value::as_str)
        .unwrap_or("the caller")
        .to_owned();
    let has_claims = policy.local.is_none();
    let inputs = RequestInputs {
        claims: has_claims.then_some(claims),
        body: call.to_string().into_bytes(),
        ..RequestInputs::default()
    };
    let (judged, _) = explain::decide(policy, inputs)?;
    let decision = &judged.record.decision;
    let evidence = decision
        .evidence
        .iter()
        .filter(|evidence| evidence.source != "token");
    let evidence: Vec<String> = evidence
        .map(|evidence| format!("{}: {}", evidence.source, evidence.summary))
        .collect();
    Ok(WhoRow {
        tool: tool.to_owned(),
        caller,
        access: Access {
            is_allowed: decision.reason == "allowed",
            why: format!("{}: {}", decision.reason, evidence.join("; ")),
        },
    })
}

fn table(rows: &[WhoRow]) -> String {
    let width = |texts: &mut dyn Iterator<Item = &String>| {
        texts
            .map(|text| printable(text).chars().count())
            .max()
            .unwrap_or(0)
            .min(40)
    };
    let tools = width(&mut rows.iter().map(|row| &row.tool)).max(4);
    let callers = width(&mut rows.iter().map(|row| &row.caller)).max(6);
    let mut out = format!("{:<tools$}  {:<callers$}  MAY  WHY\n", "TOOL", "CALLER");
    let mut last = "";
    for row in rows {
        let tool = if row.tool == last { "" } else { &row.tool };
        last = &row.tool;
        let may = if row.access.is_allowed { "yes" } else { "no" };
        let (tool, caller, why) = (
            printable(tool),
            printable(&row.caller),
            printable(&row.access.why),
        );
        out.push_str(&format!(
            "{tool:<tools$}  {caller:<callers$}  {may:<3}  {why}\n"
        ));
    }
    out
}
