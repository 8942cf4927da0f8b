//! Judging a message: what it asks, whether the caller may, and what is changed on the way.

use super::{Exchange, MAX_DEPTH, Now, ResponseState};
use crate::authorize::{Target, authorize, operations};
use crate::decision::Evidence;
use crate::identity::VerifiedToken;
use crate::mcp::headers::{Disagreement, HeaderEdit, agree};
use crate::mcp::message::params::Reference;
use crate::mcp::message::{Message, MessageError, Shape};
use crate::mcp::method::{Era, Method};
use crate::policy::{ArgumentRule, Hold};
use crate::refusal::Refusal;
use crate::rewrite::arguments::{ArgumentError, rewrite};
use crate::rewrite::param_headers::follow;

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
        let policy = std::rc::Rc::clone(&self.policy);
        let untargeted = |refusal| (refusal, None);
        let era = agree(&self.headers, message)
            .map_err(|error| untargeted(Refusal::Disagreement(error)))?;
        self.asked.era = Some(era);
        let method = method_of(message, era).map_err(untargeted)?;
        let targets = targets(message, method).map_err(untargeted)?;
        let first = targets.first().copied().unwrap_or(Target::Server);
        let refused = |refusal| (refusal, Some(first));

        let identity = token.identity();
        let operations = operations(&policy, identity, first);
        if let Some(completes) = &message.params.completes
            && let Some(name) = policy.names.find(&crate::mcp::names::fold(completes))
            && policy.argument_rule(name, &operations) != ArgumentRule::Keep
        {
            // Its completions would be everybody's.
            let name = policy.names.name(name).to_owned();
            return Err(refused(Refusal::Argument(ArgumentError::Rejected(name))));
        }
        let mut rewrite = rewrite(&policy, identity, message, &operations, body)
            .map_err(|error| refused(Refusal::Argument(error)))?;
        let arguments = message
            .params
            .arguments
            .as_ref()
            .map(|(span, _)| span.clone());
        let params = if era == Era::Modern {
            let is_ruled = |folded: &str| {
                let name = policy.names.find(folded);
                name.is_some_and(|name| {
                    policy.argument_rule(name, &operations) != ArgumentRule::Keep
                })
            };
            follow(&self.headers, body, arguments, &rewrite.changes, is_ruled)
                .map_err(|error| refused(Refusal::Disagreement(error)))?
        } else {
            Vec::new()
        };
        if !params.is_empty() && policy.hold == Hold::BufferFilter {
            // The headers went on before the body was here.
            let error = Disagreement::Mismatch("mcp-param-*");
            return Err(refused(Refusal::Disagreement(error)));
        }
        if let Some(extension) = &message.params.tasks_extension {
            rewrite.edits.remove(extension.cut(0));
        }
        let edited = rewrite.edits.apply(body);
        if edited
            .as_ref()
            .is_some_and(|edited| edited.len() > policy.max_body)
        {
            return Err(refused(Refusal::TooLarge));
        }
        let sent = edited.as_deref().unwrap_or(body);
        let arguments = if operations.iter().any(|operation| operation.when.is_some()) {
            sent_arguments(sent, &policy.names).map_err(|error| refused(Refusal::Message(error)))?
        } else {
            Vec::new()
        };

        let mut evidence = Vec::new();
        for target in &targets {
            let caller = Self::caller(token, now);
            let found = authorize(&policy, caller, *target, Some(&arguments))
                .map_err(|denial| (Refusal::Denied(denial), Some(*target)))?;
            evidence.extend(found);
        }
        evidence.extend(rewrite_evidence(&rewrite.set, &rewrite.removed));
        self.record.arguments_set = rewrite.set;
        self.record.arguments_removed = rewrite.removed;
        let reason = if first == Target::Server {
            "session"
        } else {
            "allowed"
        };
        self.approve(reason, evidence);
        if matches!(method, Some(Method::List(_))) {
            self.response = ResponseState::Filter;
        }
        Ok((edited, params))
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

/// The arguments as the server will read them: from the bytes that are sent.
fn sent_arguments(
    sent: &[u8],
    names: &crate::mcp::names::NameTable,
) -> Result<Vec<u8>, MessageError> {
    let message = Message::read(sent, names, MAX_DEPTH)?;
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
