//! One access-log record for each request. It is the only type that reaches a log. It has no field for a
//! token, an argument value or a result.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use crate::decision::{Decision, Evidence, Verdict};
use policy::{Mode, Policy, Subject};

/// The maximum length of a name that a record copies from a request.
const MAX_NAME: usize = 128;

/// The number of facts above which none about the answer is added.
const MAX_EVIDENCE: usize = 32;
/// The size of most lines, in bytes.
const USUAL_LINE: usize = 1024;
/// The maximum number of unreadable items that a record names.
const MAX_UNREADABLE: usize = 16;

/// The facts about a request when it has ended. Field names follow OpenTelemetry's conventions for MCP and
/// GenAI where they exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The outcome, the reason, the evidence and the next action.
    #[serde(flatten)]
    pub decision: Decision,
    /// The policy's `resource`, if the plugin has several policies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// `enforce` or `observe`.
    pub mode: &'static str,
    /// In observe mode: the verdict in enforce mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_be: Option<&'static str>,
    /// The HTTP method.
    #[serde(
        rename = "http.request.method",
        skip_serializing_if = "String::is_empty"
    )]
    pub http_method: String,
    /// The HTTP status that the client received. 0: none.
    #[serde(rename = "http.response.status_code")]
    pub status: u16,
    /// The MCP method.
    #[serde(rename = "mcp.method.name", skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The protocol version, as the request states it.
    #[serde(
        rename = "mcp.protocol.version",
        skip_serializing_if = "Option::is_none"
    )]
    pub version: Option<String>,
    /// The tool.
    #[serde(rename = "gen_ai.tool.name", skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The prompt.
    #[serde(rename = "gen_ai.prompt.name", skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The resource, without its query.
    #[serde(rename = "mcp.resource.uri", skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The caller, in the form that `audit.subject` chooses.
    #[serde(rename = "enduser.id", skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The client that the token was issued to, as the token names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The connection that the request uses, by its name in the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// The account at that connection, in the form that `audit.subject` chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Seconds since the user linked this account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_age_s: Option<u64>,
    /// The question to another person about the call, by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// The person who answered it, in the form that `audit.subject` chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approver: Option<String>,
    /// On the page of that person: the user whose call it is, in the same form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    /// The caller's roles that the policy knows.
    #[serde(rename = "enduser.roles", skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// How the caller is identified: `token`, `dpop`, `local` or `anonymous`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identified_by: Option<&'static str>,
    /// Seconds since the sign-in, or since the token was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_age_s: Option<u64>,
    /// The actors of a delegated token, in the form that `audit.subject` chooses, the current one first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actors: Vec<String>,
    /// The view that the caller acts with, as the policy names it: `role:support`, `user:test-1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acting_as: Option<String>,
    /// The roles that the caller acts with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acting_as_roles: Vec<String>,
    /// The credential that the server received: `none`, `passed` (the client's), `static` or `exchanged`
    /// (for the client's).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_credential: Option<&'static str>,
    /// The number of calls of the filter to the server that looked up owners.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookups: Option<usize>,
    /// The time that they took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookup_ms: Option<u64>,
    /// The decision point that was asked: its language and its cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// How long its decision took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision_ms: Option<u64>,
    /// Whether all its answers were remembered ones.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub decision_cached: bool,
    /// Names of arguments that were set to the caller's values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments_set: Vec<String>,
    /// Names of arguments that were removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments_removed: Vec<String>,
    /// The number of items that were removed from a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_items: Option<usize>,
    /// The number of objects of other owners that were removed from the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped_items: Option<usize>,
    /// Fields of the result that were hidden, as the policy writes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub redacted: Vec<String>,
    /// The number of tool names that were hidden in texts of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_names: Option<usize>,
    /// The number of errors of the server whose text was withheld.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld_errors: Option<usize>,
    /// The parts of the answer that were withheld, by the reason: their number.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub withheld: BTreeMap<&'static str, usize>,
    /// Items of lists that cannot be read and were removed, each with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable_items: Vec<String>,
    /// Listed tools that differ from their pins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pins_broken: Vec<String>,
    /// Whether one of these tools could not be remembered, because too many are.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pins_full: bool,
    /// The client's address, as Envoy knows it.
    #[serde(rename = "client.address", skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The request id: `x-request-id`, as Envoy sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The size of the request body, in bytes, as it arrived.
    pub request_bytes: usize,
    /// From the first byte to the end, in milliseconds.
    pub duration_ms: u64,
}

impl Record {
    /// Notes a decision. In observe mode it has no effect.
    pub(crate) fn decide(&mut self, mode: Mode, mut decision: Decision) {
        if mode == Mode::Observe {
            self.would_be = Some(decision.verdict.name());
            decision.verdict = Verdict::Draft;
        }
        self.decision = decision;
    }

    /// Notes that an allowed or undecided request failed. The evidence for the decision stays.
    pub(crate) fn fail(&mut self, mode: Mode, failure: Decision) {
        self.decision.reason = failure.reason;
        self.decision.next_action = failure.next_action;
        self.decision.evidence.extend(failure.evidence);
        if mode == Mode::Enforce {
            self.decision.verdict = failure.verdict;
        }
    }

    /// Adds a fact about the answer. A stream may have many answers, so that there is a limit.
    pub(crate) fn add_evidence(&mut self, source: &'static str, summary: impl Display) {
        if self.decision.evidence.len() < MAX_EVIDENCE {
            let evidence = Evidence::new(source, summary.to_string());
            self.decision.evidence.push(evidence);
        }
    }

    /// Notes that parts of the answer were withheld.
    pub(crate) fn withhold(&mut self, reason: &'static str, parts: usize) {
        let number = self.withheld.entry(reason).or_default();
        *number = number.saturating_add(parts);
    }

    /// Notes an item of a list that was removed because it cannot be read.
    pub(crate) fn note_unreadable(&mut self, item: &str, why: impl Display) {
        let note = format!("{}: {why}", name(item));
        if self.unreadable_items.len() < MAX_UNREADABLE && !self.unreadable_items.contains(&note) {
            self.unreadable_items.push(note);
        }
    }

    /// The record of a request at its start.
    pub fn new(mode: Mode, decision: Decision) -> Self {
        Self {
            decision,
            policy: None,
            mode: match mode {
                Mode::Enforce => "enforce",
                Mode::Observe => "observe",
            },
            would_be: None,
            http_method: String::new(),
            status: 0,
            method: None,
            version: None,
            tool: None,
            prompt: None,
            resource: None,
            subject: None,
            client: None,
            connection: None,
            account: None,
            connection_age_s: None,
            approval: None,
            approver: None,
            requester: None,
            roles: Vec::new(),
            identified_by: None,
            token_age_s: None,
            actors: Vec::new(),
            acting_as: None,
            acting_as_roles: Vec::new(),
            upstream_credential: None,
            lookups: None,
            lookup_ms: None,
            decided_by: None,
            decision_ms: None,
            decision_cached: false,
            arguments_set: Vec::new(),
            arguments_removed: Vec::new(),
            hidden_items: None,
            dropped_items: None,
            redacted: Vec::new(),
            hidden_names: None,
            withheld_errors: None,
            withheld: BTreeMap::new(),
            unreadable_items: Vec::new(),
            pins_broken: Vec::new(),
            pins_full: false,
            address: None,
            request_id: None,
            request_bytes: 0,
            duration_ms: 0,
        }
    }

    /// One line of JSON in ASCII. So no value can end the line or change the direction of a terminal's
    /// text.
    pub fn to_json(&self) -> String {
        let mut line = Vec::with_capacity(USUAL_LINE);
        let mut serializer = Serializer::with_formatter(&mut line, AsciiFormatter);
        match self.serialize(&mut serializer) {
            Ok(()) => String::from_utf8(line).unwrap_or_default(),
            Err(_) => String::new(),
        }
    }
}

/// Writes JSON in ASCII.
struct AsciiFormatter;

impl Formatter for AsciiFormatter {
    /// Writes a part of a string that JSON does not escape.
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~');
        if fragment
            .bytes()
            .fold(true, |all, byte| all & is_plain(byte))
        {
            return writer.write_all(fragment.as_bytes());
        }
        for character in fragment.chars() {
            let mut units = [0; 2];
            match character {
                ' '..='~' => write!(writer, "{character}")?,
                _ => {
                    for unit in character.encode_utf16(&mut units) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether a character ends a line, or changes how the text around it is read.
pub(crate) fn changes_text(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}'
        )
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A name from a request, short enough for a log.
pub fn name(text: &str) -> String {
    if text.len() <= MAX_NAME {
        return text.to_owned();
    }
    match text.char_indices().nth(MAX_NAME) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A caller or an actor, in the form that the policy allows in the log. `key` comes from the environment.
pub fn person(policy: &Policy, user: &str, key: Option<&str>) -> Option<String> {
    match policy.audit.subject {
        Subject::Omit => None,
        Subject::Plain => Some(name(user)),
        Subject::Hash => {
            let key = key.unwrap_or(&policy.resource);
            let hash = hmac_sha256::HMAC::mac(user.as_bytes(), key.as_bytes());
            let short = hash.iter().take(8);
            Some(short.map(|byte| format!("{byte:02x}")).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b45_a_record_is_one_line_of_ascii() {
        let mut record = Record::new(
            Mode::Enforce,
            Decision {
                verdict: Verdict::Blocked,
                reason: "no_role",
                evidence: vec![Evidence::new("roles", "no role of the caller allows it")],
                next_action: None,
            },
        );
        record.tool = Some(name(
            "evil\r\n{\"decision\":\"approved\"}\u{202e}\u{1F600}\u{7f}",
        ));
        let json = record.to_json();
        assert!(
            json.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{json}"
        );
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            read["gen_ai.tool.name"],
            "evil\r\n{\"decision\":\"approved\"}\u{202e}\u{1F600}\u{7f}"
        );
        assert_eq!(read["decision"], "blocked");
    }

    #[test]
    fn names_are_cut() {
        assert_eq!(name(&"é".repeat(500)).chars().count(), MAX_NAME + 3);
    }
}
