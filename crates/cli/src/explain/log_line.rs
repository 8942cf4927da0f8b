//! `mcp-auth explain --log-line`: what a record of the access log says, and what the roles of its caller may do
//! by this policy.

use std::path::Path;

use mcp_auth_filter::authorize::Target;
use mcp_auth_filter::reasons::{Approval, Reason};
use policy::Policy;
use serde_json::{Value, json};

use crate::access::{self, ANONYMOUS, Access};
use crate::report::{labelled, labelled_list};
use crate::{CommandOutput, Failure, access_log, reasons};

/// What a record does not have.
const UNKNOWN: &str = "a record has no token, no claims and no arguments: conditions, owners, argument rules and scopes \
                       of the token are not judged again";

/// A record, and what is known about it.
struct ExplainedRecord<'r> {
    record: &'r Value,
    /// What the reason means, what the caller received, and what to do.
    reason: Option<RecordedReason>,
    /// What the roles of the caller may do with the target by this policy. `None`: there is no target.
    access: Option<Access>,
}

struct RecordedReason {
    meaning: &'static str,
    received: String,
    next: Option<&'static str>,
}

/// Explains the records of a log.
pub(super) fn explain(
    log: &Path,
    policy: &Policy,
    as_json: bool,
) -> Result<CommandOutput, Failure> {
    let records = access_log::read(log)?;
    let explained: Vec<ExplainedRecord<'_>> = records
        .iter()
        .map(|record| ExplainedRecord::of(record, policy))
        .collect();
    let stdout = match as_json {
        true => {
            let records: Vec<Value> = explained.iter().map(ExplainedRecord::json).collect();
            format!("{:#}\n", json!({"records": records}))
        }
        false => {
            let records: Vec<String> = explained.iter().map(ExplainedRecord::text).collect();
            records.join("\n")
        }
    };
    let is_allowed = explained.iter().all(ExplainedRecord::is_allowed);
    Ok(CommandOutput {
        stdout,
        status: u8::from(!is_allowed),
        ..CommandOutput::default()
    })
}

impl<'r> ExplainedRecord<'r> {
    fn of(record: &'r Value, policy: &Policy) -> Self {
        let text = |key: &str| record.get(key).and_then(Value::as_str);
        let names = [
            text("gen_ai.tool.name").map(Target::Tool),
            text("gen_ai.prompt.name").map(Target::Prompt),
            text("mcp.resource.uri").map(Target::Resource),
        ];
        let target = names.into_iter().flatten().next();
        let access = target.map(|target| match text("identified_by") {
            None | Some("anonymous") if policy.local.is_none() => {
                access::access(policy, ANONYMOUS, target)
            }
            _ => access::of_roles(policy, &access_log::roles(record), target),
        });
        Self {
            record,
            reason: text("reason").and_then(RecordedReason::of),
            access,
        }
    }

    fn text(&self) -> String {
        let text = |key: &str| self.record.get(key).and_then(Value::as_str);
        let word = |key: &str| text(key).unwrap_or("none");
        let mut out = labelled(
            "recorded",
            &format!("{} ({})", word("decision"), word("reason")),
        );
        let asked = [
            "mcp.method.name",
            "gen_ai.tool.name",
            "gen_ai.prompt.name",
            "mcp.resource.uri",
        ];
        let asked: Vec<&str> = asked.into_iter().filter_map(text).collect();
        if !asked.is_empty() {
            out.push_str(&labelled("asks for", &asked.join(" ")));
        }
        let roles = access_log::roles(self.record);
        let roles = match roles.as_slice() {
            [] => "no roles".to_owned(),
            roles => format!("roles {}", roles.join(", ")),
        };
        let caller = text("enduser.id").map(|id| format!("{id} in the log, "));
        out.push_str(&labelled(
            "caller",
            &format!("{}{roles}", caller.unwrap_or_default()),
        ));
        let evidence = self.record.get("evidence").and_then(Value::as_array);
        let evidence = evidence.into_iter().flatten().map(|evidence| {
            let part = |key: &str| {
                evidence
                    .get(key)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            format!("{}: {}", part("source"), part("summary"))
        });
        out.push_str(&labelled_list("evidence", evidence));
        if let Some(reason) = &self.reason {
            out.push_str(&labelled("meaning", reason.meaning));
            out.push_str(&labelled("received", &reason.received));
        }
        out.push_str(&labelled_list("approval", self.approval()));
        out.push_str(&labelled_list("next action", self.next()));
        let now = match &self.access {
            None => {
                "the record names no tool, prompt or resource that a role could allow".to_owned()
            }
            Some(Access {
                is_allowed: true,
                why,
            }) => format!("by this policy its roles allow it: {why}"),
            Some(Access {
                is_allowed: false,
                why,
            }) => format!("by this policy its roles do not allow it: {why}"),
        };
        out.push_str(&labelled("this policy", &now));
        out.push_str(&labelled("unknown", UNKNOWN));
        out
    }

    /// The state of the approval that the call needs, if it needs one.
    fn approval(&self) -> Option<String> {
        let text = |key: &str| self.record.get(key).and_then(Value::as_str);
        let person = |key: &str| text(key).unwrap_or("a person whom the log does not name");
        let id = text("approval")?;
        let state = match (text("reason"), text("approver")) {
            (Some("approval_needed"), _) => "waits for an answer".to_owned(),
            (Some("call_approved"), _) => format!("approved by {}", person("enduser.id")),
            (Some("call_denied"), _) => format!("denied by {}", person("enduser.id")),
            (Some("approval_denied"), _) => format!("denied by {}", person("approver")),
            (_, approver) => format!("approved by {}", approver.unwrap_or(person("approver"))),
        };
        Some(format!("{id}, {state}"))
    }

    /// The next action: of the record, else of the reason.
    fn next(&self) -> Option<&str> {
        let recorded = self.record.get("next_action").and_then(Value::as_str);
        recorded.or(self.reason.as_ref()?.next)
    }

    fn is_allowed(&self) -> bool {
        match &self.access {
            Some(access) => access.is_allowed,
            None => self.record.get("decision").and_then(Value::as_str) == Some("approved"),
        }
    }

    fn json(&self) -> Value {
        let reason = self.reason.as_ref();
        json!({
            "record": self.record,
            "meaning": reason.map(|reason| reason.meaning),
            "received": reason.map(|reason| reason.received.as_str()),
            "next_action": self.next(),
            "roles_allow": self.access.as_ref().map(|access| access.is_allowed),
            "why": self.access.as_ref().map(|access| access.why.as_str()),
            "unknown": ["token", "claims", "arguments"],
        })
    }
}

impl RecordedReason {
    fn of(code: &str) -> Option<Self> {
        let refusals = Reason::ALL.iter().map(|reason| reason.row());
        let approvals = Approval::ALL.iter().map(|approval| approval.row());
        let refusal = refusals
            .into_iter()
            .find(|row| row.code == code)
            .map(|row| Self {
                meaning: row.meaning,
                received: reasons::seen(&row.outcome),
                next: Some(row.outcome.next).filter(|next| !next.is_empty()),
            });
        let approval = || {
            approvals
                .into_iter()
                .find(|row| row.code == code)
                .map(|row| Self {
                    meaning: row.meaning,
                    received: row.outcome.to_owned(),
                    next: None,
                })
        };
        refusal.or_else(approval)
    }
}
