//! What an operator should know about a decision, and a client does not get.

use mcp_auth_filter::audit::Record;
use mcp_auth_filter::decision::Decision;
use policy::Policy;

/// The caller, as the log names it.
pub fn caller(record: &Record, missing_key: Option<&str>) -> Option<String> {
    let client = record.client.as_ref();
    let client = client.map_or_else(String::new, |client| format!(", client {client}"));
    match (&record.subject, missing_key) {
        (Some(subject), _) => Some(format!("{subject} in the log{client}")),
        (None, Some(variable)) => Some(format!(
            "set the variable {variable} to see the hash that the log has{client}"
        )),
        (None, None) => None,
    }
}

/// The decision in one line.
pub fn headline(record: &Record) -> String {
    let Decision {
        verdict, reason, ..
    } = &record.decision;
    match record.would_be {
        Some(would_be) => format!(
            "{} ({reason}): `mode: observe` changes nothing; enforced it would be {would_be}",
            verdict.name()
        ),
        None => format!("{} ({reason})", verdict.name()),
    }
}

/// The target of the request.
pub fn target(record: &Record) -> String {
    let parts = [
        &record.method,
        &record.tool,
        &record.prompt,
        &record.resource,
    ];
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    if parts.is_empty() {
        return format!(
            "{}, refused before its message was understood",
            record.http_method
        );
    }
    let version = record.version.as_deref().unwrap_or("no version header");
    format!("{} ({version})", parts.join(" "))
}

/// A hint for the operator with details that a client does not get.
/// `is_of_claims`: the caller is given by claims, not by a token.
pub fn hint(record: &Record, policy: &Policy, is_of_claims: bool) -> Option<String> {
    let decision = &record.decision;
    let issuers = || policy.issuers.iter();
    match decision.reason {
        "token_audience_wrong" => {
            let audiences = issuers().flat_map(|issuer| &issuer.audiences);
            Some(format!("`aud` must have {}", quoted(audiences, " or ")))
        }
        "token_issuer_untrusted" => {
            let names = issuers().map(|issuer| &issuer.issuer);
            Some(format!("`iss` must be {}", quoted(names, " or ")))
        }
        "token_expired" | "token_not_yet_valid" | "token_lifetime_too_long" if is_of_claims => Some(
            "without `exp`, `iat` and `nbf` in the file, the claims are judged as a fresh token's"
                .to_owned(),
        ),
        "decision_unavailable" => {
            Some("without --decision, the decision point does not answer".to_owned())
        }
        "no_role" => roles(record, policy),
        "condition_not_met" => condition(decision, policy),
        "resource_not_owned" => owner(decision, policy),
        "lookup_unavailable" => Some(
            "the server is not asked here: give its answer to the look-up, or the record alone (`--lookup FILE`; \
             `lookup` in a case)"
                .to_owned(),
        ),
        "header_mismatch" => Some(
            "without --header, the headers are those a client would send with this body".to_owned(),
        ),
        _ => None,
    }
}

/// The roles of the policy, and the caller's. All callers have `*`.
fn roles(record: &Record, policy: &Policy) -> Option<String> {
    let mut known: Vec<&String> = policy.roles.keys().filter(|role| *role != "*").collect();
    known.sort_unstable();
    let own = match record.roles.as_slice() {
        [] => "none of them".to_owned(),
        roles => quoted(roles.iter(), " and "),
    };
    (!known.is_empty()).then(|| {
        let known = quoted(known.into_iter(), " and ");
        format!("the policy has the roles {known}; the caller has {own}")
    })
}

/// The condition that does not hold, as it is written.
fn condition(decision: &Decision, policy: &Policy) -> Option<String> {
    let mut sources = decision.evidence.iter().map(|evidence| &evidence.source);
    let rule = sources.find(|source| source.ends_with(".when"))?;
    let (section, _) = rule.split_once('.')?;
    let operations = policy.tools.iter().chain(&policy.prompts);
    let mut written = operations.filter_map(|operation| {
        let own = format!("{section}.{}.when", operation.pattern.written());
        (own == *rule).then_some(operation.when.as_ref()?.written())
    });
    Some(format!("the condition is `{}`", written.next()?))
}

/// The owner expression for a resource.
fn owner(decision: &Decision, policy: &Policy) -> Option<String> {
    let mut sources = decision.evidence.iter().map(|evidence| &evidence.source);
    let path = sources.find(|source| source.starts_with("resources."))?;
    let rule = policy
        .resources
        .iter()
        .find(|rule| *path == format!("resources.{}.owner", rule.pattern.written()))?;
    Some(format!(
        "the owner is what `{}` finds",
        rule.owner.as_ref().map_or("", |owner| owner.written())
    ))
}

fn quoted<'n>(names: impl Iterator<Item = &'n String>, between: &str) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(between)
}
