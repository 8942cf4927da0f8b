//! Results that are larger than `max_result` of their tool, prompt or resource: an error that says the size
//! replaces them. A result is never cut.

use serde_json::{Value, json};

use super::Answering;
use super::inspect::ResultOf;
use crate::audit::Record;
use crate::authorize::Target;
use crate::refusal::{Refusal, ResultSize, error_body, failed_result};
use base::json::Span;
use base::json::outline::{self, OutlineMember};
use mcp::headers::Headers;
use oauth::Identity;
use policy::Policy;

/// The JSON-RPC error code in place of a large result of a prompt or resource.
const INVALID_PARAMS: i64 = -32602;

/// The largest result of a target that the caller receives. For an unknown target, the smallest limit of
/// all.
pub(crate) fn limit(policy: &Policy, result_of: &ResultOf) -> Option<usize> {
    let smallest = policy.smallest_max_result?;
    // Placeholders are for grants of resources only.
    let nobody = Identity::anonymous();
    let (operations, name) = match result_of.target() {
        None => return Some(smallest),
        Some(Target::Server) => return None,
        Some(Target::Tool(name)) => (&policy.tools, name),
        Some(Target::Prompt(name)) => (&policy.prompts, name),
        Some(Target::Resource(uri) | Target::ResourceTemplate(uri)) => {
            let rules = policy.resources.iter();
            let limits = rules.filter_map(|rule| {
                rule.max_result
                    .filter(|_| rule.pattern.matches(uri, nobody))
            });
            return limits.min();
        }
    };
    let limits = operations.iter().filter_map(|operation| {
        let limit = operation.max_result;
        limit.filter(|_| operation.pattern.matches(name, nobody))
    });
    limits.min()
}

impl Answering {
    /// The refusal of an answer whose headers announce a larger result than the caller receives.
    pub(super) fn announces_large_result(&self, headers: &Headers) -> Option<Refusal> {
        self.limit_of_body()?;
        let length = headers.one(super::LENGTH).ok().flatten()?;
        let size = length.trim().parse::<usize>().ok()?;
        self.body_too_large(ResultSize::Bytes(size))
    }

    /// The refusal of an answer that has this size, or has it already before its end.
    pub(super) fn body_too_large(&self, size: ResultSize) -> Option<Refusal> {
        let limit = self.limit_of_body()?;
        let (ResultSize::Bytes(bytes) | ResultSize::AtLeast(bytes)) = size;
        (bytes > limit).then_some(Refusal::ResultTooLarge(size, limit))
    }

    /// The limit of a whole answer, if all of it is the result. The answer to `tasks/get` has the state of the
    /// task beside the result.
    fn limit_of_body(&self) -> Option<usize> {
        let limit = self.inspect.max_result?;
        self.is_whole_result().then_some(limit)
    }

    fn is_whole_result(&self) -> bool {
        let method = self.request.method.as_deref();
        self.request.id.is_some()
            && matches!(
                method,
                Some("tools/call" | "prompts/get" | "resources/read" | "tasks/result")
            )
    }

    /// The message in place of one whose result is too large. On a stream of its own it has the id that the server
    /// wrote.
    pub(super) fn replace_large_result(&self, body: &[u8], record: &mut Record) -> Option<Vec<u8>> {
        let limit = self.inspect.max_result.filter(|most| body.len() > *most)?;
        let members = outline::members(body, 0)?;
        if !has_one(&members, &["result", "error"]) || self.has_task(body, &members) {
            return None;
        }
        let id = match &self.request.id {
            Some(id) => Some(id.as_slice()),
            None => value_of(&members, "id").and_then(|span| body.get(span)),
        };
        let refusal = Refusal::ResultTooLarge(ResultSize::Bytes(body.len()), limit);
        self.note_withheld_answer(&refusal, record);
        Some(self.large_result(&refusal, id))
    }

    /// The task in a message without its large result.
    pub(super) fn replace_large_task_result(
        &self,
        body: &[u8],
        record: &mut Record,
    ) -> Option<Vec<u8>> {
        let limit = self.inspect.max_result.filter(|most| body.len() > *most)?;
        let members = outline::members(body, 0)?;
        let task = self.task(&members)?;
        let inside = outline::members(body, task.start)?;
        let (key, span) = ["result", "error"].into_iter().find_map(|key| {
            let span = value_of(&inside, key)?;
            (span.len() > limit).then_some((key, span))
        })?;
        let refusal = Refusal::ResultTooLarge(ResultSize::Bytes(span.len()), limit);
        self.note_withheld_answer(&refusal, record);
        let text = refusal.summary();
        let replaced = match key {
            "result" => failed_result(&text, self.request.era),
            _ => json!({"code": INVALID_PARAMS, "message": text}),
        };
        let (before, after) = (body.get(..span.start)?, body.get(span.end..)?);
        Some([before, replaced.to_string().as_bytes(), after].concat())
    }

    /// The error in place of a large result: for a tool as its result, which models read.
    pub(super) fn large_result(&self, refusal: &Refusal, id: Option<&[u8]>) -> Vec<u8> {
        let text = refusal.summary();
        let calls_tool = matches!(self.result_of, ResultOf::Tool(_));
        match (id, calls_tool) {
            (Some(id), true) => {
                let result: Value = failed_result(&text, self.request.era);
                crate::refusal::result(id, &result).body
            }
            _ => error_body(id, INVALID_PARAMS, &text, None),
        }
    }

    fn has_task(&self, body: &[u8], members: &[OutlineMember]) -> bool {
        let inside = self
            .task(members)
            .and_then(|task| outline::members(body, task.start));
        inside.is_some_and(|inside| has_one(&inside, &["taskId"]))
    }

    /// The part of a message that may be a task with its result: the answer to `tasks/get`, or the parameters
    /// of a notification.
    fn task(&self, members: &[OutlineMember]) -> Option<Span> {
        match self.is_whole_result() {
            false => value_of(members, "result").or_else(|| value_of(members, "params")),
            true => value_of(members, "params"),
        }
    }
}

fn has_one(members: &[OutlineMember], keys: &[&str]) -> bool {
    keys.iter().any(|key| value_of(members, key).is_some())
}

fn value_of(members: &[OutlineMember], key: &str) -> Option<Span> {
    let mut members = members.iter();
    let found = members.find(|member| member.key == key.as_bytes());
    found.map(|member| member.value.clone())
}
