//! The filter's own call to the server for one record.

use super::{PlannedLookups, WrittenValue};
use crate::authorize::{Target, operations as operations_of};
use crate::limits::MAX_DEPTH;
use crate::lookups::LookupDigest;
use crate::refusal::LookupFault;
use crate::request::arguments;
use crate::request::arrived::Authenticated;
use crate::request::mirrored_headers;
use crate::request::needs::CallerCredential;
use crate::request::understand;
use crate::response::spellings;
use base::http::{HttpRequest, LOOKUP_MARK};
use base::json::Reader;
use mcp::headers::{HeaderEdit, Headers, PARAM_PREFIX, missing};
use mcp::message::Message;
use mcp::method::Era;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use policy::{Lookup, Mode, RecordOwner, is_plain_uri};

/// The maximum size of an answer.
pub(super) const MAX_ANSWER: usize = 256 * 1024;
/// Characters of an argument that a URI has as they are (RFC 3986 section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A look-up of one rule.
pub(super) struct LookupCall<'a> {
    pub(super) authenticated: &'a Authenticated,
    pub(super) planned: &'a PlannedLookups,
    pub(super) owner: &'a RecordOwner,
    /// The `Authorization` of the call, if the caller has one of its own.
    pub(super) credential: &'a CallerCredential,
}

/// A look-up to be made.
pub(super) struct MadeLookup {
    pub(super) request: HttpRequest,
    /// The JSON-RPC id.
    pub(super) id: u32,
    /// The digest of the caller and the look-up, if it may be known.
    pub(super) digest: Option<LookupDigest>,
}

/// Whether a request is the look-up of a filter.
pub(super) fn is_lookup(headers: &Headers) -> bool {
    headers.has(LOOKUP_MARK)
}

/// The digest of texts. It depends on their borders.
pub(super) fn digest<'t>(texts: impl IntoIterator<Item = &'t str>) -> LookupDigest {
    let mut hash = hmac_sha256::Hash::new();
    for text in texts {
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.finalize()
}

impl LookupCall<'_> {
    /// The call for one record.
    pub(super) fn of_record(
        &self,
        record: &[WrittenValue],
        rule: &str,
    ) -> Result<MadeLookup, LookupFault> {
        let engine = &self.authenticated.request.engine;
        let id = engine.integer_ids.take(engine.secrets.random.0);
        let params = match &self.owner.lookup {
            Lookup::Tool { name, arguments } => tool_params(name, arguments, record),
            Lookup::Resource(_) => resource_params(record)?,
        };
        let (method, target) = match &self.owner.lookup {
            Lookup::Tool { name, .. } => ("tools/call", Some(Target::Tool(name))),
            Lookup::Resource(_) => ("resources/read", None),
        };
        let meta = self.meta();
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}{meta}}}}}"#
        );
        let body = self.rewritten(body.into_bytes(), target)?;
        let request = self.request(&body, target)?;
        let digest = self.owner.cache.map(|_| self.digest(rule, &params));
        Ok(MadeLookup {
            request: HttpRequest { body, ..request },
            id,
            digest,
        })
    }

    /// The `_meta` of 2026-07-28. The look-up has no capabilities, so that the server does not ask back.
    fn meta(&self) -> String {
        const PREFIX: &str = "io.modelcontextprotocol/";
        if self.planned.era == Era::Legacy {
            return String::new();
        }
        let info = self.planned.client_info.as_ref();
        let info = info.map(|info| format!(r#","{PREFIX}clientInfo":{info}"#));
        format!(
            r#","_meta":{{"{PREFIX}protocolVersion":"2026-07-28","{PREFIX}clientCapabilities":{{}}{}}}"#,
            info.unwrap_or_default()
        )
    }

    /// The message with the arguments that the policy sets for its tool. The argument rules must not change the
    /// look-up's own arguments: it would ask for another record.
    fn rewritten(&self, body: Vec<u8>, target: Option<Target<'_>>) -> Result<Vec<u8>, LookupFault> {
        let Some(target) = target else {
            return Ok(body);
        };
        let engine = &self.authenticated.request.engine;
        let policy = &engine.policy;
        let identity = self.authenticated.caller.identity();
        let message = Message::read(&body, &policy.names, MAX_DEPTH).map_err(|_| NOT_A_MESSAGE)?;
        let operations = operations_of(policy, identity, target);
        let spellings = engine.spellings.of(target).unwrap_or_default();
        let rewritten =
            arguments::rewrite(policy, identity, &message, &operations, &spellings, &body);
        let rewritten = rewritten.map_err(|_| RULED)?;
        if !rewritten.changes.is_empty() {
            return Err(RULED);
        }
        Ok(rewritten.edits.apply(&body).unwrap_or(body))
    }

    /// The call without its body.
    fn request(&self, body: &[u8], target: Option<Target<'_>>) -> Result<HttpRequest, LookupFault> {
        let request = &self.authenticated.request;
        let policy = request.policy();
        let server = policy.upstream.server.as_ref();
        let server = server.ok_or(LookupFault::Unavailable)?;
        let own = |name| request.headers.one(name).ok().flatten().unwrap_or_default();
        let text =
            |text: &Option<String>, name| text.clone().unwrap_or_else(|| own(name).to_owned());
        let headers = vec![
            (":method", "POST".to_owned()),
            (":path", text(&server.path, ":path")),
            (":authority", text(&server.authority, ":authority")),
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json, text/event-stream".to_owned()),
            (LOOKUP_MARK, "1".to_owned()),
        ];
        let edits = match policy.mode {
            // The server receives the client's headers.
            Mode::Observe => Vec::new(),
            Mode::Enforce => self.authenticated.headers_for_server(None, self.credential),
        };
        let mut passed = passed(&request.headers, edits, self.planned.era);
        if self.planned.era == Era::Modern {
            let message = Message::read(body, &policy.names, MAX_DEPTH);
            let message = &message.map_err(|_| NOT_A_MESSAGE)?;
            let identity = self.authenticated.caller.identity();
            let operations = target.map(|target| operations_of(policy, identity, target));
            let arguments = understand::arguments(message, body);
            let mirrored =
                mirrored_headers::of_arguments(&operations.unwrap_or_default(), arguments);
            let all = missing(&Headers::default(), message);
            let sets = all.into_iter().chain(mirrored);
            passed.extend(sets.filter_map(|edit| match edit {
                HeaderEdit::Set(name, value) => Some((name, value)),
                HeaderEdit::Remove(_) => None,
            }));
        }
        Ok(HttpRequest {
            cluster: server.cluster.clone(),
            headers,
            passed,
            body: Vec::new(),
            timeout: Some(self.owner.timeout),
            max_answer: Some(MAX_ANSWER),
        })
    }

    /// The digest of the caller, in its view and session, and of what the look-up asks.
    fn digest(&self, rule: &str, asked: &str) -> LookupDigest {
        let caller = &self.authenticated.caller;
        let identity = caller.identity();
        let mut roles = identity.roles.clone();
        roles.sort_unstable();
        let session = self.authenticated.handles.session.as_deref();
        let texts = [
            caller.token().map_or("", |token| token.issuer_name()),
            caller.own().user.as_deref().unwrap_or_default(),
            caller.view(),
            identity.user.as_deref().unwrap_or_default(),
            identity.organization.as_deref().unwrap_or_default(),
            session.unwrap_or_default(),
            rule,
            asked,
        ];
        let credential = self.credential.headers();
        let credential = credential.flat_map(|(name, value)| [name, value]);
        let roles = roles.iter().map(String::as_str);
        // An empty text ends the credential, which has a changing number of texts.
        digest(texts.into_iter().chain(credential).chain([""]).chain(roles))
    }
}

const NOT_A_MESSAGE: LookupFault =
    LookupFault::NotPossible("its arguments do not make a valid message");
const RULED: LookupFault = LookupFault::NotPossible(
    "an argument rule of the policy would change an argument of the look-up; give the tool \
     `arguments: {NAME: keep}`",
);

/// The parameters of a call of a tool.
fn tool_params(
    name: &str,
    arguments: &[(String, policy::LookupValue)],
    record: &[WrittenValue],
) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let arguments = arguments.iter().zip(record);
    let arguments = arguments.map(|((key, _), value)| format!("{}:{}", quoted(key), value.json));
    let arguments: Vec<String> = arguments.collect();
    format!(
        r#""name":{},"arguments":{{{}}}"#,
        quoted(name),
        arguments.join(",")
    )
}

/// The parameters of a request for a resource. An argument cannot change the rest of the URI.
fn resource_params(record: &[WrittenValue]) -> Result<String, LookupFault> {
    let mut uri = String::new();
    for value in record {
        let text = match Reader::new(value.json.as_bytes(), 1).string() {
            Ok(text) => text.value.into_owned(),
            Err(_) => value.json.clone(),
        };
        match value.is_argument {
            true => uri.extend(utf8_percent_encode(&text, UNRESERVED)),
            false => uri.push_str(&text),
        }
    }
    if !is_plain_uri(&uri) {
        return Err(LookupFault::NotPossible(
            "servers could read its URI in different ways",
        ));
    }
    Ok(format!(r#""uri":{}"#, serde_json::Value::from(uri)))
}

/// The headers of the client's request as the server would receive them, without those of its body, its
/// connection and its message.
fn passed(received: &Headers, edits: Vec<HeaderEdit>, era: Era) -> Vec<(String, String)> {
    let is_edited = |name: &str| {
        let mut edits = edits.iter();
        edits.any(|edit| {
            let (HeaderEdit::Remove(edited) | HeaderEdit::Set(edited, _)) = edit;
            edited == name
        })
    };
    let kept = received.iter().filter(|(name, _)| !is_edited(name));
    let text = |(name, value): (&str, &[u8])| {
        Some((name.to_owned(), String::from_utf8(value.to_vec()).ok()?))
    };
    let mut passed: Vec<(String, String)> = kept.filter_map(text).collect();
    passed.extend(edits.into_iter().filter_map(|edit| match edit {
        HeaderEdit::Set(name, value) => Some((name, value)),
        HeaderEdit::Remove(_) => None,
    }));
    passed.retain(|(name, _)| !is_of_message(name, era));
    passed
}

/// Whether a header belongs to the client's message or connection, or steers Envoy.
fn is_of_message(name: &str, era: Era) -> bool {
    match name {
        "accept" | "accept-encoding" | "connection" | "content-encoding" | "content-length"
        | "content-type" | "expect" | "host" | "keep-alive" | "last-event-id" | "mcp-method"
        | "mcp-name" | "proxy-connection" | "range" | "te" | "trailer" | "transfer-encoding"
        | "upgrade" | LOOKUP_MARK => true,
        // It is set again for 2026-07-28.
        "mcp-protocol-version" => era == Era::Modern,
        _ => {
            let starts = [":", "x-envoy-", "if-", PARAM_PREFIX];
            starts.iter().any(|start| name.starts_with(start))
        }
    }
}

impl Authenticated {
    /// Finds how the server spells arguments that the filter adds to a look-up.
    pub(super) async fn find_lookup_spellings(&self, lookup: &Lookup) {
        let engine = &self.request.engine;
        let Lookup::Tool { name, .. } = lookup else {
            return;
        };
        let target = Target::Tool(name);
        let operations = operations_of(&engine.policy, self.caller.identity(), target);
        let adds = operations
            .iter()
            .any(|operation| !operation.arguments.is_empty());
        if adds
            && let Some(key) = spellings::key(&engine.policy.resource, target)
            && let Some(known) = self.request.effects.remember(key).await
        {
            engine.spellings.learn(target, &known);
        }
    }
}
