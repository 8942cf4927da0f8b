//! What the log says about a configuration that was loaded or refused. Workers share a note about the last one
//! that was loaded, so that one of them logs it, and says what changed.

use std::collections::BTreeMap;

use policy::{Mode, Policy};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the module, and the commit that it was built from, if the build named one.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit that the module was built from.
pub(crate) const COMMIT: Option<&str> = option_env!("MCP_AUTH_COMMIT");

/// The maximum number of changes that a line names.
const MAX_NAMED: usize = 12;
/// The digits of the number of an earlier configuration.
const SHORT_DIGITS: usize = 12;

/// The note about a configuration.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LoadedNote {
    sha256: String,
    parts: BTreeMap<String, String>,
}

impl LoadedNote {
    /// The note about this configuration.
    pub(crate) fn of(configuration: &Value) -> Self {
        Self {
            sha256: policy::fingerprint(configuration),
            parts: policy::parts(configuration),
        }
    }

    /// A note that a worker wrote.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The note as bytes.
    pub(crate) fn written(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The first 48 bits of the hash: a number that a metric can have.
    pub(crate) fn number(&self) -> u64 {
        let digits = self.sha256.get(..SHORT_DIGITS).unwrap_or_default();
        u64::from_str_radix(digits, 16).unwrap_or(0)
    }

    fn short(&self) -> &str {
        self.sha256.get(..SHORT_DIGITS).unwrap_or_default()
    }

    /// The line for a configuration that was loaded. `before`: the one loaded before it.
    pub(crate) fn line<'p>(
        &self,
        policies: impl Iterator<Item = &'p Policy>,
        before: Option<&Self>,
    ) -> String {
        let policies: Vec<&Policy> = policies.collect();
        let mut said = vec![format!("policy loaded, sha256 {}", self.sha256)];
        if policies.len() > 1 {
            said.push(counted(policies.len(), "policy", "policies"));
        }
        let issuers = policies.iter().map(|policy| policy.issuers.len()).sum();
        said.push(counted(issuers, "issuer", "issuers"));
        let roles = policies.iter().map(|policy| policy.roles.len()).sum();
        said.push(counted(roles, "role", "roles"));
        let observes = |policy: &&&Policy| policy.mode == Mode::Observe;
        match policies.iter().filter(observes).count() {
            0 => {}
            _ if policies.len() == 1 => said.push("mode observe".to_owned()),
            number => said.push(format!("{number} in mode observe")),
        }
        let mut line = said.join(", ");
        if let Some(before) = before {
            line.push_str(&format!(
                "; in place of sha256 {}, changed: {}",
                before.short(),
                self.changes(before)
            ));
        }
        line.push_str(&format!("; {}", build()));
        line
    }

    fn changes(&self, before: &Self) -> String {
        let added = self
            .parts
            .keys()
            .filter(|part| !before.parts.contains_key(*part));
        let removed = before
            .parts
            .keys()
            .filter(|part| !self.parts.contains_key(*part));
        let differs = |part: &&String| {
            let (new, old) = (self.parts.get(*part), before.parts.get(*part));
            old.is_some() && new.is_some() && old != new
        };
        let changed = self.parts.keys().filter(differs);
        let changes = changed.map(|part| part.escape_debug().to_string());
        let changes = changes.chain(added.map(|part| format!("{} (new)", part.escape_debug())));
        let changes =
            changes.chain(removed.map(|part| format!("{} (removed)", part.escape_debug())));
        let mut changes: Vec<String> = changes.collect();
        let more = changes.len().saturating_sub(MAX_NAMED);
        changes.truncate(MAX_NAMED);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        format!("{}{more}", changes.join(", "))
    }
}

/// The last line about a configuration that was refused. `before`: the one loaded before it.
pub(crate) fn refused_line(before: Option<&LoadedNote>) -> String {
    let rest = match before {
        Some(before) => format!("the policy loaded before it, sha256 {}, stays in force", before.short()),
        None => "no policy was loaded before it: Envoy does not start, or answers each request with an error".to_owned(),
    };
    format!("policy not loaded: {rest}; {}", build())
}

/// The module's name, version and commit.
fn build() -> String {
    match COMMIT {
        Some(commit) => format!("mcp-auth-filter {VERSION}, commit {commit}"),
        None => format!("mcp-auth-filter {VERSION}"),
    }
}

fn counted(number: usize, one: &str, many: &str) -> String {
    let noun = if number == 1 { one } else { many };
    format!("{number} {noun}")
}

#[cfg(test)]
mod tests {
    use policy::Policies;
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({
            "resource": "https://crm.example.com/mcp",
            "issuers": [{"issuer": "https://login.example.com", "jwks": {"cluster": "login", "path": "/keys"}}],
            "roles": {"support": {"tools": ["crm.get_*"]}, "manager": {"tools": ["crm.*"]}},
        })
    }

    fn line(configuration: &Value, before: Option<&Value>) -> String {
        let policies = Policies::parse(configuration.to_string().as_bytes()).unwrap();
        let before = before.map(LoadedNote::of);
        LoadedNote::of(configuration).line(policies.iter(), before.as_ref())
    }

    #[test]
    fn the_line_has_hash_and_contents() {
        let sha256 = policy::fingerprint(&document());
        assert_eq!(
            line(&document(), None),
            format!(
                "policy loaded, sha256 {sha256}, 1 issuer, 2 roles; {}",
                build()
            )
        );
    }

    #[test]
    fn the_line_says_what_changed() {
        let before = document();
        let mut after = document();
        after["roles"]["manager"]["deny"] = json!(["crm.purge"]);
        after["roles"].as_object_mut().unwrap().remove("support");
        after["mode"] = json!("observe");
        let line = line(&after, Some(&before));
        let short = LoadedNote::of(&before).short().to_owned();
        let expected = format!(
            "1 issuer, 1 role, mode observe; in place of sha256 {short}, \
             changed: roles.manager, mode (new), roles.support (removed); "
        );
        assert!(line.contains(&expected), "{line}");
    }

    #[test]
    fn several_policies_are_counted() {
        let mut other = document();
        other["resource"] = json!("https://hr.example.com/hr");
        other["mode"] = json!("observe");
        let all = json!({"policies": [document(), other]});
        let line = line(&all, None);
        assert!(
            line.contains(", 2 policies, 2 issuers, 4 roles, 1 in mode observe; "),
            "{line}"
        );
    }

    #[test]
    fn a_line_is_bounded_and_has_no_control_characters() {
        let mut after = document();
        for number in 0..500 {
            after["roles"][format!("role\n{number:03}")] = json!({"tools": ["x"]});
        }
        let note = LoadedNote::of(&after);
        let changes = note.changes(&LoadedNote::of(&document()));
        assert!(changes.starts_with(r"roles.role\n000 (new), "), "{changes}");
        assert!(changes.ends_with(" and 488 more"), "{changes}");
        assert!(changes.len() < 1000);
    }

    #[test]
    fn a_metric_has_the_first_48_bits() {
        let note = LoadedNote::of(&document());
        assert_eq!(format!("{:012x}", note.number()), note.short());
    }

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let note = LoadedNote::of(&document());
        assert_eq!(LoadedNote::read(&note.written()), Some(note));
        assert_eq!(LoadedNote::read(b""), None);
    }

    #[test]
    fn the_line_of_a_refusal_says_what_is_in_force() {
        let note = LoadedNote::of(&document());
        let short = note.short();
        assert!(refused_line(Some(&note)).contains(&format!("sha256 {short}, stays in force")));
        assert!(refused_line(None).contains("no policy was loaded before it"));
    }
}
