//! Cases from an access log. A record has no claims and no arguments, so a case has the roles of its caller.

use std::collections::BTreeMap;
use std::path::Path;

use mcp_auth_filter::authorize::{Target, operations};
use oauth::Identity;
use policy::Policy;
use serde_json::{Value, json};

use crate::pin::key;
use crate::terminal_text::count;
use crate::{CommandOutput, Failure, access_log, files, identity_claims, policy_file};

/// What is asked, the caller's roles, and the decision.
type Recorded = (Value, Vec<String>, String, String);

/// Writes the cases of a log.
pub(super) fn cases(log: &Path, policy_path: &Path) -> Result<CommandOutput, Failure> {
    let (policy, _) = policy_file::load(policy_path)?.single(None)?;
    let mut recorded: BTreeMap<String, Recorded> = BTreeMap::new();
    let mut skipped = 0_usize;
    for record in access_log::read(log)? {
        match of_record(&record).filter(|case| by_role_alone(&policy, case)) {
            Some(case) => {
                let name = format!("{} {:?} {} {}", case.0, case.1, case.2, case.3);
                recorded.insert(name, case);
            }
            None => skipped = skipped.saturating_add(1),
        }
    }
    let mut out = format!(
        "# Cases of {}, by `mcp-auth test --record`. A record has no claims and no arguments: add those that a rule needs.\n\
         policy: {}\ncases:\n",
        files::name(log),
        Value::from(files::name(policy_path)),
    );
    for (asked, roles, decision, reason) in recorded.values() {
        let target = asked.as_object().and_then(|asked| asked.iter().next());
        let (kind, target) = target.map_or(("tool", ""), |(kind, name)| {
            (kind.as_str(), name.as_str().unwrap_or_default())
        });
        let who = match roles.as_slice() {
            [] => "a caller without a role".to_owned(),
            roles => roles.join(", "),
        };
        let name = format!("{who}: {target}: {decision}");
        let expected = json!({"decision": decision, "reason": reason});
        out.push_str(&format!("  - name: {}\n", key(&name)));
        if policy.local.is_none() {
            out.push_str(&format!("    caller: {}\n", claims(&policy, roles)));
        }
        out.push_str(&format!(
            "    {kind}: {}\n    expect: {expected}\n",
            key(target)
        ));
    }
    let mut stderr = String::new();
    if skipped > 0 {
        stderr = format!(
            "{} left out: they depend on a token or on arguments\n",
            count(skipped, "record")
        );
    }
    Ok(CommandOutput {
        stdout: out,
        stderr,
        status: 0,
    })
}

/// Whether no rule for the target reads the arguments or the token, which a record does not have.
fn by_role_alone(policy: &Policy, (asked, ..): &Recorded) -> bool {
    let name = |kind: &str| asked.get(kind).and_then(Value::as_str);
    let target = match (name("tool"), name("prompt")) {
        (Some(tool), _) => Target::Tool(tool),
        (None, Some(prompt)) => Target::Prompt(prompt),
        (None, None) => return policy.resources.is_empty(),
    };
    let rules = operations(policy, Identity::anonymous(), target);
    !rules
        .iter()
        .any(|rule| rule.when.is_some() || rule.confirm || rule.needs_token())
}

/// The case of a record that a role decides.
fn of_record(record: &Value) -> Option<Recorded> {
    const BY_ROLE: [&str; 3] = ["allowed", "no_role", "denied"];
    let text = |key: &str| record.get(key).and_then(Value::as_str);
    let reason = text("reason").filter(|reason| BY_ROLE.contains(reason))?;
    let asked = match text("mcp.method.name")? {
        "tools/call" => json!({"tool": text("gen_ai.tool.name")?}),
        "prompts/get" => json!({"prompt": text("gen_ai.prompt.name")?}),
        "resources/read" => json!({"resource": text("mcp.resource.uri")?}),
        _ => return None,
    };
    let roles = access_log::roles(record).into_iter().map(str::to_owned);
    Some((
        asked,
        roles.collect(),
        text("decision")?.to_owned(),
        reason.to_owned(),
    ))
}

/// Claims with these roles and all scopes, as the first issuer of the policy has them.
fn claims(policy: &Policy, roles: &[String]) -> Value {
    let operations = policy.tools.iter().chain(&policy.prompts);
    let scopes = operations.flat_map(|operation| &operation.scopes);
    let mut scopes: Vec<String> = scopes.chain(&policy.scopes).cloned().collect();
    scopes.sort_unstable();
    scopes.dedup();
    let identity = Identity {
        user: Some("recorded".to_owned()),
        organization: Some("recorded-organization".to_owned()),
        roles: roles.to_vec(),
        scopes,
        actors: Vec::new(),
    };
    let issuer = policy.issuers.first();
    let claims = issuer.map(|issuer| identity_claims::of_identity(&identity, &issuer.claims));
    Value::Object(claims.unwrap_or_default())
}
