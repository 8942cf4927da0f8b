//! `Mcp-Param-*` headers, which mirror arguments (MCP 2026-07-28 "Custom Headers").
//!
//! The tool's schema declares which header mirrors which argument. For arguments that the policy declares
//! (`param_headers`), the client's header is compared with its argument. Then the header is built from the
//! value that the server will read. So it is right also for a server that does not compare them, and for
//! arguments that the filter adds. Any other header must have the value of an argument, and mirrors this
//! argument.

mod declared;
mod undeclared;

use super::Request;
use super::arguments::Change;
use super::understand::{Understood, arguments};
use crate::limits::MAX_DEPTH;
use crate::refusal::Refusal;
use crate::response::schemas::Hidden;
use mcp::headers::{HeaderEdit, HeaderMismatch, Headers, NAME, encode, missing};
use mcp::message::Message;
use mcp::method::{Era, Method};
use policy::{Operation, ParamHeader};

/// The name of these headers in errors.
const MISMATCH: HeaderMismatch = HeaderMismatch::Mismatch("mcp-param-*");

/// The headers of one message.
pub(super) struct Mirrored<'a> {
    request: &'a Request,
    understood: &'a Understood<'a>,
    operations: &'a [&'a Operation],
    /// The arguments of a call that the policy declares.
    declared: Vec<&'a ParamHeader>,
    body: &'a [u8],
}

impl<'a> Mirrored<'a> {
    /// The headers of a message. `body` is the message.
    pub(super) fn new(
        request: &'a Request,
        understood: &'a Understood<'a>,
        operations: &'a [&'a Operation],
        body: &'a [u8],
    ) -> Self {
        Self {
            request,
            understood,
            operations,
            declared: declared_in(understood, operations),
            body,
        }
    }

    /// The edits of the headers that the policy does not declare, for these changes of values.
    pub(super) fn follow(&self, changes: &[Change]) -> Result<Vec<HeaderEdit>, Refusal> {
        let Understood { message, era, .. } = self.understood;
        if *era != Era::Modern {
            return Ok(Vec::new());
        }
        let (policy, headers) = (self.request.policy(), &self.request.headers);
        let span = message.params.arguments.as_ref();
        let span = span.map(|(span, _)| span.clone());
        let is_ruled = |key: &str| policy.ruled_name(key, self.operations).is_some();
        let holds_ruled = |text: &str| policy.ruled_name_in_json(text, self.operations).is_some();
        let declared = &self.declared;
        let edits = undeclared::follow(
            headers,
            self.body,
            span,
            changes,
            declared,
            is_ruled,
            holds_ruled,
        );
        let mut edits = edits.map_err(Refusal::HeaderMismatch)?;
        if policy.compat.missing_mcp_headers {
            edits.extend(missing(headers, message));
        }
        let named = self.understood.tasks.named.as_deref();
        edits.extend(named.map(|task| HeaderEdit::Set(NAME.to_owned(), encode(task))));
        Ok(edits)
    }

    /// The declared headers for the server, with the body `sent`.
    pub(super) fn declare(
        &self,
        hidden: &Hidden<'_>,
        sent: &[u8],
    ) -> Result<Vec<HeaderEdit>, Refusal> {
        if self.understood.era != Era::Modern || self.declared.is_empty() {
            return Ok(Vec::new());
        }
        let policy = self.request.policy();
        let message = Message::read(sent, &policy.names, MAX_DEPTH).map_err(Refusal::Message)?;
        let compat = policy.compat.missing_mcp_headers;
        declared::rebuild(
            &self.request.headers,
            arguments(self.understood.message, self.body),
            arguments(&message, sent),
            &self.declared,
            // Lists do not show the client all arguments that have a header.
            |header| compat || hidden.hides_path(&header.argument),
        )
        .map_err(Refusal::HeaderMismatch)
    }
}

/// The headers of a call that the filter makes itself, with these arguments.
pub(super) fn of_arguments(operations: &[&Operation], arguments: &[u8]) -> Vec<HeaderEdit> {
    let declared: Vec<&ParamHeader> = operations
        .iter()
        .flat_map(|operation| &operation.param_headers)
        .collect();
    if declared.is_empty() {
        return Vec::new();
    }
    let none = Headers::default();
    let edits = declared::rebuild(&none, b"{}", arguments, &declared, |_| true);
    edits.unwrap_or_default()
}

/// The declared arguments of a call. Of two operations, the more specific one counts.
fn declared_in<'o>(
    understood: &Understood<'_>,
    operations: &[&'o Operation],
) -> Vec<&'o ParamHeader> {
    let mut declared: Vec<&ParamHeader> = Vec::new();
    if understood.method != Some(Method::CallTool) {
        return declared;
    }
    let headers = operations
        .iter()
        .flat_map(|operation| &operation.param_headers);
    for header in headers {
        let is_known = |known: &&ParamHeader| {
            known.header == header.header || known.argument == header.argument
        };
        if !declared.iter().any(is_known) {
            declared.push(header);
        }
    }
    declared
}

/// A single value, as a header writes it.
#[derive(Debug, Clone, PartialEq)]
struct Single {
    text: String,
    /// The value of a number: 42 and 42.0 are equal, the text `042` differs.
    number: Option<f64>,
}

impl Single {
    fn new(text: String, is_number: bool) -> Self {
        let number = number(&text).filter(|_| is_number);
        Self { text, number }
    }

    /// Whether a header with this text has the value.
    fn is_stated_by(&self, stated: &str) -> bool {
        stated == self.text || self.number.is_some() && number(stated) == self.number
    }
}

/// A number that a float holds exactly.
fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.abs() < 9e15)
}
