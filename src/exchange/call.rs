//! Judging a message: what it asks, whether the caller may, and what is changed on the way.

use std::rc::Rc;

use super::{Exchange, MAX_DEPTH, Now, ResponseState};
use crate::authorize::{Target, authorize, may_see, operations};
use crate::decision::Evidence;
use crate::identity::VerifiedToken;
use crate::mcp::headers::{Disagreement, HeaderEdit, Headers, agree};
use crate::mcp::message::params::Reference;
use crate::mcp::message::{Message, MessageError, Shape};
use crate::mcp::method::{Era, Method};
use crate::mcp::names::fold;
use crate::policy::{Hold, Policy};
use crate::refusal::Refusal;
use crate::rewrite::arguments::{ArgumentError, rewrite};
use crate::rewrite::param_headers::{PARAM_HEADERS, follow};

/// A request for very many resources does not fill the log.
const MAX_EVIDENCE: usize = 16;

/// A refusal, and what the caller wanted to use.
type Refused<'m> = (Refusal, Option<Target<'m>>);
/// What replaces the body, and the changes of `Mcp-Param-*` headers.
type Released = (Option<Vec<u8>>, Vec<HeaderEdit>);

impl Exchange {
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
        body: &[u8],
        token: &VerifiedToken,
        now: Now,
    ) -> Result<Released, Refused<'m>> {
        let policy = Rc::clone(&self.policy);
        let ask = Ask::of(&self.headers, message).map_err(|refusal| (refusal, None))?;
        let caller = Self::caller(token, now);
        // What a role does not allow is not looked at any further: its arguments are nobody's.
        if let Some(target) = ask
            .targets
            .iter()
            .find(|target| !may_see(&policy, caller, **target))
            && let Err(denial) = authorize(&policy, caller, *target, None)
        {
            return Err((Refusal::Denied(denial), Some(*target)));
        }
        let first = ask.first();
        let edit = Edit::of(&policy, &self.headers, message, &ask, body, token)
            .map_err(|refusal| (refusal, Some(first)))?;
        let sent = edit.body.as_deref().unwrap_or(body);
        let arguments = sent_arguments(&policy, token, first, sent)
            .map_err(|error| (Refusal::Message(error), Some(first)))?;

        let mut evidence = Vec::new();
        for target in &ask.targets {
            let found = authorize(&policy, caller, *target, Some(&arguments))
                .map_err(|denial| (Refusal::Denied(denial), Some(*target)))?;
            if evidence.len() < MAX_EVIDENCE {
                evidence.extend(found);
            }
        }
        evidence.extend(rewrite_evidence(&edit.set, &edit.removed));
        self.record.arguments_set = edit.set;
        self.record.arguments_removed = edit.removed;
        let reason = if first == Target::Server {
            "session"
        } else {
            "allowed"
        };
        self.approve(reason, evidence);
        if matches!(ask.method, Some(Method::List(_))) {
            self.response = ResponseState::Filter;
        }
        Ok((edit.body, edit.params))
    }
}

/// What a message asks for, once it is understood.
struct Ask<'m> {
    era: Era,
    /// `None` for a client's answer.
    method: Option<Method>,
    /// Everything it wants to use; each has to be allowed.
    targets: Vec<Target<'m>>,
}

impl<'m> Ask<'m> {
    fn of(headers: &Headers, message: &'m Message<'_>) -> Result<Self, Refusal> {
        let era = agree(headers, message).map_err(Refusal::Disagreement)?;
        let method = method_of(message, era)?;
        let targets = targets(message, method)?;
        Ok(Self {
            era,
            method,
            targets,
        })
    }

    fn first(&self) -> Target<'m> {
        self.targets.first().copied().unwrap_or(Target::Server)
    }
}

/// What changes in a message before the server reads it.
struct Edit {
    body: Option<Vec<u8>>,
    params: Vec<HeaderEdit>,
    set: Vec<String>,
    removed: Vec<String>,
}

impl Edit {
    fn of(
        policy: &Policy,
        headers: &Headers,
        message: &Message<'_>,
        ask: &Ask<'_>,
        body: &[u8],
        token: &VerifiedToken,
    ) -> Result<Self, Refusal> {
        let operations = operations(policy, token.identity(), ask.first());
        if let Some(completes) = &message.params.completes
            && let Some(name) = policy.ruled_name(&fold(completes), &operations)
        {
            // Its completions would be everybody's.
            return Err(Refusal::Argument(ArgumentError::Rejected(name.to_owned())));
        }
        let mut rewrite = rewrite(policy, token.identity(), message, &operations, body)
            .map_err(Refusal::Argument)?;
        let mut params = Vec::new();
        if ask.era == Era::Modern {
            let arguments = message
                .params
                .arguments
                .as_ref()
                .map(|(span, _)| span.clone());
            let is_ruled = |folded: &str| policy.ruled_name(folded, &operations).is_some();
            params = follow(headers, body, arguments, &rewrite.changes, is_ruled)
                .map_err(Refusal::Disagreement)?;
        }
        if !params.is_empty() && policy.hold == Hold::BufferFilter {
            // The headers went on before the body was here.
            return Err(Refusal::Disagreement(Disagreement::Mismatch(PARAM_HEADERS)));
        }
        if let Some(extension) = &message.params.tasks_extension {
            rewrite.edits.remove(extension.cut(0));
        }
        let edited = rewrite.edits.apply(body);
        if edited
            .as_ref()
            .is_some_and(|edited| edited.len() > policy.max_body)
        {
            return Err(Refusal::TooLarge);
        }
        Ok(Self {
            body: edited,
            params,
            set: rewrite.set,
            removed: rewrite.removed,
        })
    }
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
    match method {
        None => Err(Refusal::UnknownMethod),
        Some(Method::Task) => Err(Refusal::Task),
        Some(_) if message.params.names_task => Err(Refusal::Task),
        Some(method) => Ok(Some(method)),
    }
}

/// Everything the message wants to use; each has to be allowed.
fn targets<'m>(
    message: &'m Message<'_>,
    method: Option<Method>,
) -> Result<Vec<Target<'m>>, Refusal> {
    let params = &message.params;
    let name = || {
        params
            .name
            .as_deref()
            .ok_or(Refusal::MissingParameter("name"))
    };
    let target = match method {
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
            return Ok(targets);
        }
        Some(Method::List(_) | Method::Session | Method::Task) | None => Target::Server,
    };
    Ok(vec![target])
}

/// The arguments as the server will read them, from the bytes that are sent; nothing if no
/// condition asks for them.
fn sent_arguments(
    policy: &Policy,
    token: &VerifiedToken,
    target: Target<'_>,
    sent: &[u8],
) -> Result<Vec<u8>, MessageError> {
    let operations = operations(policy, token.identity(), target);
    if operations.iter().all(|operation| operation.when.is_none()) {
        return Ok(Vec::new());
    }
    let message = Message::read(sent, &policy.names, MAX_DEPTH)?;
    let arguments = message
        .params
        .arguments
        .and_then(|(span, _)| sent.get(span));
    Ok(arguments.unwrap_or(b"{}").to_vec())
}

fn rewrite_evidence(set: &[String], removed: &[String]) -> Vec<Evidence> {
    let changed = [("set from the token", set), ("taken out", removed)];
    let changed = changed.iter().filter(|(_, names)| !names.is_empty());
    changed
        .map(|(what, names)| Evidence::new("arguments", format!("{}: {what}", names.join(", "))))
        .collect()
}
