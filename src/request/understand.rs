//! A message's method in its era, its targets, and the contents of its answer.

use super::arrived::Authenticated;
use super::opened_ids::OpenedTasks;
use crate::authorize::{Target, operations};
use crate::refusal::Refusal;
use crate::response::inspect::{Inspect, ResultOf};
use crate::response::server_requests::SealedRequest;
use crate::response::{request_ids, result_size, results};
use base::json::outline::{self, Outline};
use mcp::headers::agree;
use mcp::message::params::Reference;
use mcp::message::{Message, MessageError, Shape};
use mcp::method::{Era, List, Method};
use policy::{Policy, ServerErrors};

/// A message that is understood.
pub(crate) struct Understood<'m> {
    pub(crate) message: &'m Message<'m>,
    pub(crate) era: Era,
    /// `None` for a client's response.
    pub(crate) method: Option<Method>,
    pub(crate) tasks: OpenedTasks,
    /// For a client's response: the request of the server that it answers.
    pub(crate) answered: Option<SealedRequest>,
}

impl<'m> Understood<'m> {
    /// Reads the method of a message, and opens the ids of its tasks.
    pub(super) fn of(
        authenticated: &mut Authenticated,
        message: &'m Message<'m>,
    ) -> Result<Self, Refusal> {
        authenticated.check_session(message)?;
        request_ids::check(message)?;
        let request = &authenticated.request;
        let needs_headers = !request.policy().compat.missing_mcp_headers;
        let era = agree(&request.headers, message, needs_headers);
        let era = era.map_err(Refusal::HeaderMismatch)?;
        request.journal().era = era;
        let method = method_of(message, era)?;
        let tasks = authenticated.open_tasks(message, method, era)?;
        let answered = match (message.shape, message.id) {
            (Shape::Response, Some(id)) => authenticated.open_answered(id)?,
            _ => None,
        };
        if method == Some(Method::Task) {
            let tool = tasks.tools.first().map(|tool| crate::audit::name(tool));
            authenticated.request.journal().record.tool = tool;
        }
        Ok(Self {
            message,
            era,
            method,
            tasks,
            answered,
        })
    }

    /// All targets of the message. Each must be allowed.
    pub(super) fn targets(&self) -> Result<Vec<Target<'_>>, Refusal> {
        let params = &self.message.params;
        let of_tasks = self.tasks.tools.iter().map(|tool| Target::Tool(tool));
        let name = || {
            let name = params.name.as_deref();
            name.ok_or(Refusal::MissingParameter("name"))
        };
        let target = match self.method {
            // A task has the target of its tool.
            Some(Method::Task) => return Ok(of_tasks.collect()),
            Some(Method::CallTool) => Target::Tool(name()?),
            Some(Method::GetPrompt) => Target::Prompt(name()?),
            Some(Method::UseResource) => {
                let uri = params.uri.as_deref();
                Target::Resource(uri.ok_or(Refusal::MissingParameter("uri"))?)
            }
            Some(Method::Complete) => match &params.reference {
                Some(Reference::Prompt(name)) => Target::Prompt(name),
                Some(Reference::Resource(uri)) if uri.contains('{') => {
                    Target::ResourceTemplate(uri)
                }
                Some(Reference::Resource(uri)) => Target::Resource(uri),
                None => return Err(Refusal::MissingParameter("ref")),
            },
            Some(Method::Listen) => {
                let subscriptions = params.subscriptions.iter();
                let mut targets = vec![Target::Server];
                targets.extend(subscriptions.map(|uri| Target::Resource(uri)));
                targets.extend(of_tasks);
                return Ok(targets);
            }
            Some(Method::List(_) | Method::Session) | None => Target::Server,
        };
        Ok(vec![target])
    }

    /// For a client's response: the target whose argument rules apply to it.
    pub(super) fn answered_target(&self) -> Option<Target<'_>> {
        let of_task = self.tasks.tools.first();
        let of_task = of_task.filter(|_| self.method.is_none());
        let answered = self.answered.as_ref().and_then(SealedRequest::target);
        answered.or_else(|| of_task.map(|tool| Target::Tool(tool)))
    }

    /// Whether it is a call of a tool or a request for a prompt.
    pub(super) fn is_call(&self) -> bool {
        matches!(self.method, Some(Method::CallTool | Method::GetPrompt))
    }

    /// Whether the client asks to run the call as a task.
    pub(crate) fn asks_task(&self) -> bool {
        self.message.params.asks_task
    }

    /// Whether the answer may ask for input first (MCP 2026-07-28 "Multi Round-Trip Requests").
    pub(super) fn may_be_asked_back(&self) -> bool {
        self.era == Era::Modern && (self.is_call() || self.method == Some(Method::UseResource))
    }

    /// The target whose rules apply to the answer.
    pub(super) fn result_of(&self, first: Target<'_>) -> ResultOf {
        match self.method {
            Some(Method::Listen) => ResultOf::Anything,
            _ => ResultOf::of(first),
        }
    }

    /// The parts of the answer that are inspected because of the method.
    pub(super) fn inspects(&self) -> Inspect {
        let handles = match (self.method, self.era) {
            (Some(Method::CallTool), Era::Legacy) => self.asks_task(),
            (Some(Method::Task), _) => true,
            (Some(Method::Listen), _) => !self.tasks.tools.is_empty(),
            _ => self.may_be_asked_back(),
        };
        Inspect {
            lists: matches!(self.method, Some(Method::List(_))),
            own_tools: self.method == Some(Method::List(List::Tools))
                && !self.message.params.has_cursor,
            handles,
            ..Inspect::default()
        }
    }
}

/// The parts of an answer that are inspected, because of its method (`of_method`) and the policy's rules.
pub(super) fn inspects(
    authenticated: &Authenticated,
    of_method: Inspect,
    result_of: &ResultOf,
) -> Inspect {
    let request = &authenticated.request;
    let policy = request.policy();
    let journal = request.journal();
    let method = journal.record.method.as_deref();
    let rules = results::rules_for(policy, Some(&authenticated.caller), result_of);
    let is_stream = request.method() == "GET";
    // A resumed stream may still have the answer.
    let has_instructions = is_stream || matches!(method, Some("initialize" | "server/discover"));
    let errors = hides_in_errors(policy);
    // A shared cache must not keep answers that depend on the caller: resources, and instructions that name
    // tools.
    let of_caller = method == Some("resources/read")
        || has_instructions && errors && policy.instructions.is_none();
    let binds = journal.era == Era::Legacy
        && request.engine.secrets.sealer.is_some()
        && has_own_rules(authenticated, result_of);
    Inspect {
        requests: binds,
        lists: of_method.lists || of_caller && journal.era == Era::Modern,
        results: !rules.is_empty() || !authenticated.handles.redact.is_empty(),
        instructions: has_instructions && policy.instructions.is_some(),
        errors,
        max_result: result_size::limit(policy, result_of),
        ..of_method
    }
}

/// Whether a tool or prompt has argument rules of its own, which apply also to answers of the client.
fn has_own_rules(authenticated: &Authenticated, result_of: &ResultOf) -> bool {
    let Some(target @ (Target::Tool(_) | Target::Prompt(_))) = result_of.target() else {
        return false;
    };
    let identity = authenticated.caller.identity();
    let operations = operations(authenticated.request.policy(), identity, target);
    operations
        .iter()
        .any(|operation| !operation.arguments.is_empty())
}

fn hides_in_errors(policy: &Policy) -> bool {
    match policy.errors {
        ServerErrors::HideNames => !policy.known_tools.is_empty(),
        ServerErrors::Keep => false,
        ServerErrors::Withhold => true,
    }
}

/// The method, if a client may use it in this era. `None` for a client's response.
fn method_of(message: &Message<'_>, era: Era) -> Result<Option<Method>, Refusal> {
    let method = match message.shape {
        Shape::Request => Method::of_request(&message.method, era),
        Shape::Notification => Method::of_notification(&message.method, era),
        Shape::Response if era == Era::Legacy => return Ok(None),
        // Clients send only requests and notifications in 2026-07-28.
        Shape::Response => return Err(Refusal::Message(MessageError::Type("method"))),
    };
    method.map(Some).ok_or(Refusal::UnknownMethod)
}

/// The body from the arguments on, as the server will read them. The body was read strictly before its edits.
pub(super) fn from_arguments(sent: &[u8]) -> &[u8] {
    let start = outline::find(sent, &["params", "arguments"]);
    let found = start.and_then(|start| sent.get(start..));
    // `null` are no arguments.
    let object = found.filter(|found| found.starts_with(b"{"));
    object.unwrap_or(b"{}")
}

/// The arguments of a request, as the server will read them.
pub(super) fn arguments_in(sent: &[u8]) -> &[u8] {
    let from = from_arguments(sent);
    let end = Outline::new(from, 0).value().map_or(0, |span| span.end);
    from.get(..end).unwrap_or_default()
}

/// The arguments of a message, as written.
pub(crate) fn arguments<'b>(message: &Message<'_>, body: &'b [u8]) -> &'b [u8] {
    let arguments = message.params.arguments.as_ref();
    let arguments = arguments.and_then(|(span, _)| body.get(span.clone()));
    arguments.unwrap_or(b"{}")
}
