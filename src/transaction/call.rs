//! Judging a message: what it asks, whether the caller may, and what is changed on the way.

use std::rc::Rc;

use super::confirm::Consent;
use super::handles::{Opened, OpenedMessage, State};
use super::waiting::Waiting;
use super::{MAX_DEPTH, Now, Transaction};
use crate::authorize::{Caller, Denial, Target, authorize, operations};
use crate::consent::elicitation::without_answer;
use crate::reasons::Approval;
use crate::refusal::Refusal;
use crate::response::inspect::{Inspect, ResultOf};
use crate::response::request_ids;
use crate::response::schemas::Hidden;
use crate::rewrite::arguments::{ArgumentError, Change, rewrite};
use crate::rewrite::declared_headers::rebuild;
use crate::rewrite::param_headers::follow;
use base::json::tree::Node;
use mcp::headers::{HeaderEdit, NAME, agree, encode, missing};
use mcp::message::params::Reference;
use mcp::message::{Message, MessageError, Shape};
use mcp::method::{Era, List, Method};
use mcp::names::fold;
use oauth::Identity;
use policy::{Hold, Operation, ParamHeader, Policy};

/// A request for very many resources does not fill the log.
const MAX_EVIDENCE: usize = 16;

/// A refusal, and what the caller wanted to use.
type Refused<'m> = (Refusal, Option<Target<'m>>);

impl Transaction {
    /// Puts into the record what the message is about.
    pub(super) fn note_message(&mut self, message: &Message<'_>) {
        use crate::audit::name;
        if message.shape != Shape::Response {
            self.record.method = Some(name(&message.method));
        }
        let params = &message.params;
        let named = params.name.as_deref().map(name);
        match &*message.method {
            "tools/call" => self.record.tool = named,
            "prompts/get" => self.record.prompt = named,
            _ => {}
        }
        let uri = params.uri.as_deref();
        self.record.resource =
            uri.map(|uri| name(uri.split(['?', '#']).next().unwrap_or_default()));
    }

    /// Decides about a message and makes the edits it needs.
    pub(super) fn judge_message<'m>(
        &mut self,
        message: &'m Message<'_>,
        ask: &'m Ask,
        body: &[u8],
        caller: Caller<'_>,
        now: Now,
    ) -> Result<Waiting, Refused<'m>> {
        let policy = Rc::clone(&self.policy);
        let targets = targets(message, ask).map_err(|refusal| (refusal, None))?;
        // What a role does not allow is not looked at any further: its arguments are nobody's.
        for target in &targets {
            match authorize(&policy, caller, *target, None) {
                Ok(_) | Err(Denial::Scope { .. } | Denial::TooOld { .. }) => {}
                Err(denial) => return Err((Refusal::Denied(denial), Some(*target))),
            }
        }
        let first = targets.first().copied().unwrap_or(Target::Server);
        if ask.method == Some(Method::CallTool)
            && let Some(rule) = self.seen.blocks(&policy, first)
        {
            return Err((Refusal::PinBroken(rule), Some(first)));
        }
        let operations = operations(&policy, caller.identity, first);
        let state = match ask.may_be_asked_back() {
            true => self.open_state(message, body, now),
            // No server gave it out: earlier versions have none.
            false if message.params.request_state.is_some() => Err(Refusal::RequestState),
            false => Ok(None),
        };
        let state = state.map_err(|refusal| (refusal, Some(first)))?;
        Self::heed(state.as_ref()).map_err(|refusal| (refusal, Some(first)))?;
        let result_of = match ask.method {
            Some(Method::Listen) => ResultOf::Anything,
            _ => ResultOf::of(first),
        };
        self.prepare_answer(ask.inspects(), result_of);
        let of_server = state.iter().filter_map(State::servers);
        let handles = ask.opened.handles.iter().chain(of_server);
        let mut edit = self
            .edit(message, ask, &operations, handles, body, caller.identity)
            .map_err(|refusal| (refusal, Some(first)))?;
        if matches!(state, Some(State::Own(_))) {
            let sent = edit.body.as_deref().unwrap_or(body);
            let asked = Node::read(sent, MAX_DEPTH).ok();
            let without = asked.and_then(|asked| without_answer(&asked, sent));
            edit.body = without.or(edit.body);
        }
        let sent = edit.body.as_deref().unwrap_or(body);
        let arguments = sent_arguments(&policy, ask, &operations, sent)
            .map_err(|error| (Refusal::Message(error), Some(first)))?;

        self.judge_completion(ask, caller.identity, sent)
            .map_err(|refusal| (refusal, Some(first)))?;
        let mut evidence = Vec::new();
        for target in &targets {
            let found = authorize(&policy, caller, *target, arguments.as_deref())
                .map_err(|denial| (Refusal::Denied(denial), Some(*target)))?;
            if evidence.len() < MAX_EVIDENCE {
                evidence.extend(found);
            }
        }
        evidence.extend(self.rewrite_evidence(&edit.set, &edit.removed));
        self.record.arguments_set = edit.set;
        self.record.arguments_removed = edit.removed;
        let is_call = matches!(ask.method, Some(Method::CallTool | Method::GetPrompt));
        let consent = match is_call {
            true => self.confirm(first, &operations, state.as_ref(), sent, now),
            false => Ok(Consent::NotNeeded),
        };
        let consent = consent.map_err(|refusal| (refusal, Some(first)))?;
        let reason = if first == Target::Server {
            Approval::SessionAllowed
        } else {
            Approval::Allowed
        };
        self.approve(reason, evidence);
        if matches!(consent, Consent::Given(_)) {
            self.note_agreed();
        }
        Ok(Waiting {
            body: edit.body,
            headers: edit.headers,
            needs: self
                .requirements(is_call, &operations, consent)
                .map_err(|refusal| (refusal, Some(first)))?,
        })
    }

    /// Understands what a message asks for, and whose handles it names.
    pub(super) fn understand(&mut self, message: &Message<'_>, now: Now) -> Result<Ask, Refusal> {
        request_ids::check(message)?;
        let era = agree(
            &self.headers,
            message,
            !self.policy.compat.missing_mcp_headers,
        )
        .map_err(Refusal::HeaderMismatch)?;
        self.asked.era = era;
        let method = method_of(message, era)?;
        let opened = self.open_message(message, method, now)?;
        if method == Some(Method::Task) {
            self.record.tool = opened.tools.first().map(|tool| crate::audit::name(tool));
        }
        Ok(Ask {
            era,
            method,
            asks_task: message.params.asks_task,
            is_first_page: !message.params.has_cursor,
            opened,
        })
    }

    /// What changes in a message before the server reads it.
    fn edit<'h>(
        &self,
        message: &Message<'_>,
        ask: &Ask,
        operations: &[&Operation],
        handles: impl Iterator<Item = &'h Opened>,
        body: &[u8],
        identity: &Identity,
    ) -> Result<Edit, Refusal> {
        let policy = &*self.policy;
        if let Some(completes) = &message.params.completes
            && let Some(name) = policy.ruled_name(&fold(completes), operations)
        {
            // Its completions would be everybody's.
            return Err(Refusal::Argument(ArgumentError::Rejected(name.to_owned())));
        }
        let mut rewrite =
            rewrite(policy, identity, message, operations, body).map_err(Refusal::Argument)?;
        let mut headers = self.mirror_headers(message, ask, operations, &rewrite.changes, body)?;
        if let (Some(id), Some(span)) = (self.id_for_server(), &message.id_span) {
            rewrite.edits.replace(span.clone(), id);
        }
        for opened in handles {
            let quoted = serde_json::Value::from(opened.handle.as_str()).to_string();
            rewrite.edits.replace(opened.span.clone(), quoted);
        }
        if self.secrets.sealer.is_none()
            && let Some(extension) = &message.params.tasks_extension
        {
            // A server that cannot answer with a task answers with the result.
            rewrite.edits.remove(extension.cut(0));
        }
        let edited = rewrite.edits.apply(body);
        if edited
            .as_ref()
            .is_some_and(|edited| edited.len() > policy.max_body)
        {
            return Err(Refusal::TooLarge);
        }
        let sent = edited.as_deref().unwrap_or(body);
        let hidden = Hidden::new(policy, identity, operations.to_vec());
        headers.extend(self.declared_headers(message, ask, operations, &hidden, body, sent)?);
        if !headers.is_empty() && policy.hold == Hold::BufferFilter {
            return Err(Refusal::HeadersLeft);
        }
        Ok(Edit {
            body: edited,
            headers,
            set: rewrite.set,
            removed: rewrite.removed,
        })
    }

    /// The id the server gets, as JSON, where it is not the client's.
    fn id_for_server(&self) -> Option<String> {
        let id = self.asked.id.as_ref()?;
        if !self.inspect.depends_on_request() || self.asked.era == Era::Modern {
            return None;
        }
        request_ids::for_server(id, self.record.method.as_deref(), &self.result_of)
    }

    /// The headers that mirror what changes in the body.
    fn mirror_headers(
        &self,
        message: &Message<'_>,
        ask: &Ask,
        operations: &[&Operation],
        changes: &[Change],
        body: &[u8],
    ) -> Result<Vec<HeaderEdit>, Refusal> {
        if ask.era != Era::Modern {
            return Ok(Vec::new());
        }
        let arguments = message.params.arguments.as_ref();
        let arguments = arguments.map(|(span, _)| span.clone());
        let declared = declared(ask, operations);
        let is_ruled = |folded: &str| self.policy.ruled_name(folded, operations).is_some();
        let mut headers = follow(&self.headers, body, arguments, changes, &declared, is_ruled)
            .map_err(Refusal::HeaderMismatch)?;
        if self.policy.compat.missing_mcp_headers {
            headers.extend(missing(&self.headers, message));
        }
        let named = ask.opened.named.as_deref();
        headers.extend(named.map(|task| HeaderEdit::Set(NAME.to_owned(), encode(task))));
        Ok(headers)
    }

    /// The headers that mirror declared arguments.
    fn declared_headers(
        &self,
        message: &Message<'_>,
        ask: &Ask,
        operations: &[&Operation],
        hidden: &Hidden<'_>,
        body: &[u8],
        sent: &[u8],
    ) -> Result<Vec<HeaderEdit>, Refusal> {
        let declared = declared(ask, operations);
        if ask.era != Era::Modern || declared.is_empty() {
            return Ok(Vec::new());
        }
        let sent_message =
            Message::read(sent, &self.policy.names, MAX_DEPTH).map_err(Refusal::Message)?;
        let received = arguments(message, body);
        let compat = self.policy.compat.missing_mcp_headers;
        rebuild(
            &self.headers,
            received,
            arguments(&sent_message, sent),
            &declared,
            // Lists do not tell a client of every argument that has one.
            |header| compat || hidden.hides_path(&header.argument),
        )
        .map_err(Refusal::HeaderMismatch)
    }
}

/// The arguments of a call that headers mirror; the most specific operation's word counts.
fn declared<'o>(ask: &Ask, operations: &[&'o Operation]) -> Vec<&'o ParamHeader> {
    let mut declared: Vec<&ParamHeader> = Vec::new();
    if ask.method != Some(Method::CallTool) {
        return declared;
    }
    for header in operations
        .iter()
        .flat_map(|operation| &operation.param_headers)
    {
        let is_known = |known: &&ParamHeader| {
            known.header == header.header || known.argument == header.argument
        };
        if !declared.iter().any(is_known) {
            declared.push(header);
        }
    }
    declared
}

/// The arguments of a message, as they stand in it.
fn arguments<'b>(message: &Message<'_>, body: &'b [u8]) -> &'b [u8] {
    let span = message
        .params
        .arguments
        .as_ref()
        .map(|(span, _)| span.clone());
    span.and_then(|span| body.get(span)).unwrap_or(b"{}")
}

/// What a message asks for, once it is understood.
pub(super) struct Ask {
    era: Era,
    /// `None` for a client's answer.
    pub(super) method: Option<Method>,
    /// Whether the call is to become a task.
    pub(super) asks_task: bool,
    /// Whether it asks for a list from its beginning.
    is_first_page: bool,
    opened: OpenedMessage,
}

impl Ask {
    /// Whether the answer may ask for more input first (MCP 2026-07-28 "Multi Round-Trip
    /// Requests").
    fn may_be_asked_back(&self) -> bool {
        let method = self.method;
        self.era == Era::Modern
            && matches!(
                method,
                Some(Method::CallTool | Method::GetPrompt | Method::UseResource)
            )
    }

    /// What of the answer has to be looked at.
    fn inspects(&self) -> Inspect {
        let handles = match (self.method, self.era) {
            (Some(Method::CallTool), Era::Legacy) => self.asks_task,
            (Some(Method::Task), _) => true,
            (Some(Method::Listen), _) => !self.opened.tools.is_empty(),
            _ => self.may_be_asked_back(),
        };
        Inspect {
            lists: matches!(self.method, Some(Method::List(_))),
            own_tools: self.method == Some(Method::List(List::Tools)) && self.is_first_page,
            handles,
            ..Inspect::default()
        }
    }
}

/// What changes in a message before the server reads it.
struct Edit {
    body: Option<Vec<u8>>,
    headers: Vec<HeaderEdit>,
    set: Vec<String>,
    removed: Vec<String>,
}

/// The method, if it is one a client may use in this era. `None` for a client's answer.
fn method_of(message: &Message<'_>, era: Era) -> Result<Option<Method>, Refusal> {
    let method = match message.shape {
        Shape::Request => Method::of_request(&message.method, era),
        Shape::Notification => Method::of_notification(&message.method, era),
        Shape::Response if era == Era::Legacy => return Ok(None),
        // Only requests and notifications are sent in 2026-07-28.
        Shape::Response => return Err(Refusal::Message(MessageError::Type("method"))),
    };
    method.map(Some).ok_or(Refusal::UnknownMethod)
}

/// Everything the message wants to use; each has to be allowed.
fn targets<'m>(message: &'m Message<'_>, ask: &'m Ask) -> Result<Vec<Target<'m>>, Refusal> {
    let params = &message.params;
    let of_tasks = ask.opened.tools.iter().map(|tool| Target::Tool(tool));
    let name = || {
        params
            .name
            .as_deref()
            .ok_or(Refusal::MissingParameter("name"))
    };
    let target = match ask.method {
        // A task is its tool's.
        Some(Method::Task) => return Ok(of_tasks.collect()),
        Some(Method::CallTool) => Target::Tool(name()?),
        Some(Method::GetPrompt) => Target::Prompt(name()?),
        Some(Method::UseResource) => {
            let uri = params.uri.as_deref();
            Target::Resource(uri.ok_or(Refusal::MissingParameter("uri"))?)
        }
        Some(Method::Complete) => match &params.reference {
            Some(Reference::Prompt(name)) => Target::Prompt(name),
            Some(Reference::Resource(uri)) if uri.contains('{') => Target::ResourceTemplate(uri),
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

/// The arguments as the server will read them, from the bytes that are sent. Nothing if no
/// condition asks for them, or if they were judged before, when the task was made.
fn sent_arguments(
    policy: &Policy,
    ask: &Ask,
    operations: &[&Operation],
    sent: &[u8],
) -> Result<Option<Vec<u8>>, MessageError> {
    let judged_before = matches!(ask.method, Some(Method::Task | Method::Listen));
    if judged_before || operations.iter().all(|operation| operation.when.is_none()) {
        return Ok(None);
    }
    arguments_in(policy, sent).map(Some)
}

/// The arguments of a request, as the server will read them.
pub(super) fn arguments_in(policy: &Policy, sent: &[u8]) -> Result<Vec<u8>, MessageError> {
    let message = Message::read(sent, &policy.names, MAX_DEPTH)?;
    Ok(arguments(&message, sent).to_vec())
}
