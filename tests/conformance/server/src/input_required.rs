//! Calls that take several requests: the server answers with questions, and the client sends the
//! same request again with the answers. How version 2026-07-28 asks.

use rmcp::{ErrorData, model::*};
use serde_json::{Value, json};

use crate::{
    ask::{form, may_be_asked, roots, sampling},
    prompts,
    tools::{Definition, text},
};

pub const TOOLS: &[Definition] = &[
    Definition::plain("test_input_required_result_elicitation", "Asks the user"),
    Definition::plain(
        "test_input_required_result_sampling",
        "Asks the client's model",
    ),
    Definition::plain(
        "test_input_required_result_list_roots",
        "Asks for directories",
    ),
    Definition::plain(
        "test_input_required_result_request_state",
        "Gives the client a state",
    ),
    Definition::plain(
        "test_input_required_result_tampered_state",
        "Refuses an altered state",
    ),
    Definition::plain(
        "test_input_required_result_multiple_inputs",
        "Asks three at once",
    ),
    Definition::plain("test_input_required_result_multi_round", "Asks twice"),
    Definition::plain(
        "test_input_required_result_capabilities",
        "Asks what can be answered",
    ),
    Definition::plain("test_streaming_elicitation", "Asks the user, on a stream"),
    Definition::plain("test_missing_capability", "Needs a client that can sample"),
];

/// The question whose answer comes back under this key.
fn question(key: &str) -> Value {
    let text = json!({"type": "string"});
    match key {
        "user_name" => form("What is your name?", json!({"name": text})),
        "user_context" => form(
            "What context should the prompt use?",
            json!({"context": text}),
        ),
        "confirm" => form("Please confirm", json!({"ok": {"type": "boolean"}})),
        "step1" => form("Step 1: What is your name?", json!({"name": text})),
        "step2" => form(
            "Step 2: What is your favorite color?",
            json!({"color": text}),
        ),
        "capital_question" => sampling("What is the capital of France?", 100),
        "greeting" => sampling("Generate a greeting", 50),
        _ => roots(),
    }
}

/// An answer that asks these questions.
pub fn questions(keys: &[&str]) -> Result<InputRequiredResult, ErrorData> {
    let all: Value = keys
        .iter()
        .map(|key| (key.to_string(), question(key)))
        .collect();
    let requests = serde_json::from_value(all).map_err(internal)?;
    Ok(InputRequiredResult::new(Some(requests), None))
}

fn internal(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

/// The answer to a question; one that is no object counts as missing.
pub fn answer<'a>(responses: &'a Option<InputResponses>, key: &str) -> Option<&'a Value> {
    responses
        .as_ref()?
        .get(key)
        .filter(|answer| answer.is_object())
}

pub fn get_prompt(request: &GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
    let Some(answer) = answer(&request.input_responses, "user_context") else {
        return Ok(questions(&["user_context"])?.into());
    };
    let context = &answer["content"]["context"];
    Ok(prompts::message(vec![ContentBlock::text(format!(
        "The context is {context}"
    ))]))
}

pub fn call(
    seal: &RequestStateCodec,
    request: &CallToolRequestParams,
    client: &ClientCapabilities,
) -> Result<CallToolResponse, ErrorData> {
    let conversation = Conversation { seal, request };
    match request.name.as_ref() {
        "test_input_required_result_sampling" => conversation.one("capital_question", |answer| {
            format!("The model says {}", answer["content"]["text"])
        }),
        "test_input_required_result_list_roots" => conversation.one("client_roots", |answer| {
            format!("The directories are {}", answer["roots"])
        }),
        "test_input_required_result_request_state"
        | "test_input_required_result_tampered_state" => {
            conversation.rounds(&[&["confirm"]], "state-ok")
        }
        "test_input_required_result_multiple_inputs" => conversation.rounds(
            &[&["user_name", "greeting", "client_roots"]],
            "All is answered",
        ),
        "test_input_required_result_multi_round" => {
            conversation.rounds(&[&["step1"], &["step2"]], "Both steps are done")
        }
        "test_input_required_result_capabilities" => conversation.what_can_be_answered(client),
        "test_missing_capability" => needs_sampling(client),
        _ => conversation.one("user_name", |answer| greeting(&answer["content"]["name"])),
    }
}

/// How a person is greeted who gave a name.
pub fn greeting(name: &Value) -> String {
    format!("Hello, {}!", name.as_str().unwrap_or("stranger"))
}

fn needs_sampling(client: &ClientCapabilities) -> Result<CallToolResponse, ErrorData> {
    if client.sampling.is_some() {
        return Ok(text("The client can sample"));
    }
    let needed = ClientCapabilities::builder().enable_sampling().build();
    Err(ErrorData::missing_required_client_capability(needed))
}

/// One request of a call that may take several.
struct Conversation<'a> {
    seal: &'a RequestStateCodec,
    request: &'a CallToolRequestParams,
}

impl Conversation<'_> {
    /// One question, and no state.
    fn one(
        &self,
        key: &str,
        done: impl Fn(&Value) -> String,
    ) -> Result<CallToolResponse, ErrorData> {
        match answer(&self.request.input_responses, key) {
            Some(answer) => Ok(text(done(answer))),
            None => Ok(questions(&[key])?.into()),
        }
    }

    /// The questions of each round; the state that the client carries is the number of the round.
    fn rounds(&self, rounds: &[&[&str]], done: &str) -> Result<CallToolResponse, ErrorData> {
        let asked = self.round()?;
        let answered = match asked.checked_sub(1).and_then(|last| rounds.get(last)) {
            Some(keys) if self.has_all(keys) => asked,
            Some(_) => asked - 1,
            None => 0,
        };
        let Some(keys) = rounds.get(answered) else {
            return Ok(text(done));
        };
        let mut next = questions(keys)?;
        next.request_state = Some(self.seal.seal_json(&(answered + 1)).map_err(internal)?);
        Ok(next.into())
    }

    /// How many rounds of questions the client has seen; its word counts only with the seal.
    fn round(&self) -> Result<usize, ErrorData> {
        match &self.request.request_state {
            None => Ok(0),
            Some(state) => self
                .seal
                .open_json(state)
                .map_err(|_| ErrorData::invalid_params("requestState was altered", None)),
        }
    }

    fn has_all(&self, keys: &[&str]) -> bool {
        keys.iter()
            .all(|key| answer(&self.request.input_responses, key).is_some())
    }

    fn what_can_be_answered(
        &self,
        client: &ClientCapabilities,
    ) -> Result<CallToolResponse, ErrorData> {
        let mut keys = vec!["user_name", "greeting", "client_roots"];
        keys.retain(|key| may_be_asked(client, &question(key)) && !self.has_all(&[key]));
        if keys.is_empty() {
            return Ok(text("Nothing is left to ask"));
        }
        Ok(questions(&keys)?.into())
    }
}
