//! The edits of a message before the server reads it: arguments, ids, headers.

use super::arguments;
use super::arrived::Authenticated;
use super::mirrored_headers;
use super::opened_ids::OpenedState;
use super::understand::Understood;
use crate::authorize::operations as operations_of;
use crate::consent::elicitation::without_answer;
use crate::integer_ids::IntegerIds;
use crate::limits::MAX_DEPTH;
use crate::refusal::{ArgumentError, Refusal};
use crate::response::inspect::{Inspect, ResultOf};
use crate::response::request_ids::{self, RenamedId};
use crate::response::schemas::Hidden;
use crate::response::spellings;
use base::json::tree::Node;
use mcp::headers::HeaderEdit;
use mcp::method::Era;
use policy::{Hold, Operation};

/// The edits of a request before the server reads it.
#[derive(Default)]
pub(crate) struct RequestEdits {
    /// Replaces the body.
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) headers: Vec<HeaderEdit>,
}

/// A message as the server reads it.
pub(super) struct EditedMessage {
    pub(super) edits: RequestEdits,
    /// Names of arguments that were set.
    pub(super) set: Vec<String>,
    /// Names of arguments that were removed.
    pub(super) removed: Vec<String>,
    /// The id that the server knows it by, if it differs from the client's.
    pub(super) renamed: Option<RenamedId>,
}

impl Authenticated {
    /// Finds how the server spells arguments that the filter adds, if another worker saw it.
    pub(super) async fn find_spellings(&self, understood: &Understood<'_>) {
        let engine = &self.request.engine;
        let target = understood.targets().ok();
        let target = target.and_then(|targets| targets.first().copied());
        let Some(target) = target.filter(|_| understood.is_call()) else {
            return;
        };
        let operations = operations_of(&engine.policy, self.caller.identity(), target);
        let hidden = Hidden::new(&engine.policy, self.caller.identity(), operations);
        if !hidden.adds_some() || engine.spellings.of(target).is_some() {
            return;
        }
        if let Some(key) = spellings::key(&engine.policy.resource, target)
            && let Some(known) = self.request.effects.remember(key).await
        {
            engine.spellings.learn(target, &known);
        }
    }

    /// The edits of a message before the server reads it.
    pub(super) fn edit(
        &self,
        understood: &Understood<'_>,
        operations: &[&Operation],
        state: Option<&OpenedState>,
        answer: (Inspect, &ResultOf),
        body: &[u8],
    ) -> Result<EditedMessage, Refusal> {
        let (policy, message) = (self.request.policy(), understood.message);
        let identity = self.caller.identity();
        if let Some(completes) = &message.params.completed_argument
            && let Some(name) = policy.ruled_name(completes, operations)
        {
            // Its completions would be the same for all callers.
            return Err(Refusal::Argument(ArgumentError::Rejected(name.to_owned())));
        }
        let answered = understood.answered_target();
        let of_answered = answered.map(|target| operations_of(policy, identity, target));
        let ruling = of_answered.as_deref().unwrap_or(operations);
        let spellings = match understood.is_call() && !operations.is_empty() {
            true => understood.targets()?,
            false => Vec::new(),
        };
        let spellings = spellings.first().and_then(|target| {
            let known = &self.request.engine.spellings;
            known.of(*target)
        });
        let spellings = spellings.unwrap_or_default();
        let rewritten = arguments::rewrite(policy, identity, message, ruling, &spellings, body);
        let mut rewritten = rewritten.map_err(Refusal::Argument)?;
        let mirrored = mirrored_headers::Mirrored::new(&self.request, understood, operations, body);
        let mut headers = mirrored.follow(&rewritten.changes)?;
        let renamed = self.id_for_server(understood.era, answer);
        let answered = understood.answered.as_ref().map(|answered| &answered.id);
        let id = renamed.as_ref().map(|renamed| &renamed.server).or(answered);
        if let (Some(id), Some(span)) = (id, &message.id_span) {
            rewritten.edits.replace(span.clone(), id.as_str());
        }
        if let Some((span, id)) = &self.handles.cancelled {
            rewritten.edits.replace(span.clone(), id.as_str());
        }
        let of_server = state.iter().copied().filter_map(OpenedState::servers);
        for opened in understood.tasks.ids.iter().chain(of_server) {
            let quoted = serde_json::Value::from(opened.id.as_str()).to_string();
            rewritten.edits.replace(opened.span.clone(), quoted);
        }
        if self.request.engine.secrets.sealer.is_none()
            && let Some(extension) = &message.params.tasks_extension
        {
            // Without the extension a server answers with the result instead of a task.
            rewritten.edits.remove(extension.cut(0));
        }
        let mut edited = rewritten.edits.apply(body);
        if edited
            .as_ref()
            .is_some_and(|edited| edited.len() > policy.max_body)
        {
            return Err(Refusal::TooLarge);
        }
        let sent = edited.as_deref().unwrap_or(body);
        let hidden = Hidden::new(policy, identity, operations.to_vec());
        headers.extend(mirrored.declare(&hidden, sent)?);
        if !headers.is_empty() && policy.hold == Hold::BufferFilter {
            return Err(Refusal::HeadersLeft);
        }
        if matches!(state, Some(OpenedState::Own(_))) {
            let asked = Node::read(sent, MAX_DEPTH).ok();
            let without = asked.and_then(|asked| without_answer(&asked, sent));
            edited = without.or(edited);
        }
        Ok(EditedMessage {
            edits: RequestEdits {
                body: edited,
                headers,
            },
            set: rewritten.set,
            removed: rewritten.removed,
            renamed,
        })
    }

    /// The id for the server, if it differs from the client's.
    fn id_for_server(
        &self,
        era: Era,
        (inspect, result_of): (Inspect, &ResultOf),
    ) -> Option<RenamedId> {
        let journal = self.request.journal();
        let id = journal.id.as_ref()?;
        let is_like_ours = || request_ids::integer(id).is_some_and(IntegerIds::has);
        if era == Era::Modern || !inspect.depends_on_request(result_of) && !is_like_ours() {
            return None;
        }
        let engine = &self.request.engine;
        let next = || engine.integer_ids.take(engine.secrets.random.0);
        request_ids::for_server(id, journal.record.method.as_deref(), result_of, next)
    }
}
