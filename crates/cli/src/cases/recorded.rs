//! Cases from an access log. A record has no claims and no arguments, so a case has the roles of its caller.

use std::collections::BTreeMap;
use std::path::Path;

use mcp_auth_filter::authorize::{Target, operations};
use oauth::Identity;
use policy::Policy;
use serde_json::{Value, json};

use crate::pin::key;
use crate::terminal_text::count;
use crate::{CommandOutput, Failure, access_log, files, policy_file};

/// What is asked, the caller's roles, and the decision.
type Recorded = (Value, Vec<String>, String, String);

/// Writes the cases of a log.
pub(super) fn cases(log: &Path, policy_path: &Path) -> Result<CommandOutput, Failure> {
    let (policy, document) = policy_file::load(policy_path)?.single(None)?;
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
            out.push_str(&format!(
                "    caller: {}\n",
                claims(&policy, &document, roles)
            ));
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

/// Claims with these roles, where the first issuer of the policy has them.
fn claims(policy: &Policy, document: &Value, roles: &[String]) -> Value {
    let identity = document.pointer("/issuers/0/identity");
    let source = |key: &str| identity.and_then(|identity| identity.get(key));
    let mut claims = json!({"sub": "recorded"});
    let mut set = |source: Option<&Value>, values: &[&str]| {
        if let Some((steps, value)) = source.and_then(|source| in_form(source, values)) {
            let nested = steps.iter().rev();
            let nested = nested.fold(value, |value, step| json!({step.as_str(): value}));
            merge(&mut claims, nested);
        }
    };
    set(source("user"), &["recorded"]);
    set(source("organization"), &["recorded-organization"]);
    let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    if !roles.is_empty() {
        set(source("roles"), &roles);
    }
    let operations = policy.tools.iter().chain(&policy.prompts);
    let scopes = operations.flat_map(|operation| &operation.scopes);
    let scopes: Vec<&str> = scopes.chain(&policy.scopes).map(String::as_str).collect();
    if !scopes.is_empty() {
        let default = json!("scope");
        set(
            Some(source("scopes").unwrap_or(&default)),
            &[&scopes.join(" ")],
        );
    }
    claims
}

/// The path of a claim, and values in the form in which the policy reads them.
fn in_form(source: &Value, values: &[&str]) -> Option<(Vec<String>, Value)> {
    let text = |text: &Value| text.as_str().map(str::to_owned);
    match source {
        Value::String(path) => {
            let steps = path.split('.').map(str::to_owned).collect();
            Some((steps, of_values(values)))
        }
        Value::Array(steps) => Some((steps.iter().filter_map(text).collect(), of_values(values))),
        Value::Object(form) => {
            let (steps, _) = in_form(form.get("claims")?.get(0)?, values)?;
            let values = match (form.get("separator"), form.get("member"), form.get("keys")) {
                (Some(separator), _, _) => json!(values.join(separator.as_str()?)),
                (_, Some(member), _) => {
                    let member = member.as_str()?;
                    let of_value = |value: &&str| json!({member: value});
                    Value::Array(values.iter().map(of_value).collect())
                }
                (_, _, Some(_)) => {
                    let of_value = |value: &&str| ((*value).to_owned(), json!({}));
                    Value::Object(values.iter().map(of_value).collect())
                }
                _ => of_values(values),
            };
            Some((steps, values))
        }
        _ => None,
    }
}

/// A text for one value, else a list.
fn of_values(values: &[&str]) -> Value {
    match values {
        [only] => json!(only),
        several => json!(several),
    }
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_have_the_form_that_the_policy_reads() {
        for (source, expected) in [
            (json!("realm_access.roles"), json!(["a", "b"])),
            (json!({"claims": [["x"]], "separator": ","}), json!("a,b")),
            (
                json!({"claims": ["x"], "keys": true}),
                json!({"a": {}, "b": {}}),
            ),
            (
                json!({"claims": ["x"], "member": "key"}),
                json!([{"key": "a"}, {"key": "b"}]),
            ),
        ] {
            assert_eq!(in_form(&source, &["a", "b"]).unwrap().1, expected);
        }
    }
}
