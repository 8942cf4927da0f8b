//! Tools that go on after the answer: the client polls for the result of a task.

use std::time::Duration;

use rmcp::{
    ErrorData,
    model::*,
    task_manager::{TaskContext, TaskExit, TaskManager, TaskOptions},
};
use serde_json::{Value, json};

use crate::{
    ask::form,
    content::arguments,
    input_required::{answer, greeting, questions},
    tools::{Definition, text},
};

pub const TOOLS: &[Definition] = &[
    Definition::with("greet", "Greets, at once", || takes("name", "string")),
    Definition::with("slow_compute", "Takes some seconds", || {
        takes("seconds", "number")
    }),
    Definition::plain("failing_job", "Ends with a tool's error"),
    Definition::plain("protocol_error_job", "Ends with a protocol error"),
    Definition::with("confirm_delete", "Asks once in the middle", || {
        takes("filename", "string")
    }),
    Definition::plain("multi_input", "Asks two things in the middle"),
    Definition::plain("test_tool_with_task", "Asks first, then becomes a task"),
];

/// Without tasks, these could not give their answer.
const TASKS_ONLY: [&str; 4] = [
    "failing_job",
    "confirm_delete",
    "multi_input",
    "test_tool_with_task",
];

const SHORT: Duration = Duration::from_millis(200);

fn takes(argument: &str, kind: &str) -> Value {
    json!({"type": "object", "properties": {argument: {"type": kind}}})
}

pub async fn call(
    tasks: &TaskManager,
    request: &CallToolRequestParams,
    client: &ClientCapabilities,
) -> Result<CallToolResponse, ErrorData> {
    let name = request.name.as_ref();
    if TASKS_ONLY.contains(&name) && !client.supports_tasks() {
        let needed = ClientCapabilities::builder().enable_tasks().build();
        return Err(ErrorData::missing_required_client_capability(needed));
    }
    let user = answer(&request.input_responses, "user_name");
    if name == "greet" {
        return Ok(text(greeting(&arguments(request)["name"])));
    }
    if name == "test_tool_with_task" && user.is_none() {
        return Ok(questions(&["user_name"])?.into());
    }
    let job = Job {
        name: name.to_string(),
        arguments: arguments(request),
        user: user
            .map(|answer| answer["content"]["name"].clone())
            .unwrap_or_default(),
    };
    if client.supports_tasks() {
        let task = tasks.spawn(TaskOptions::default(), |task| {
            Box::pin(job.in_background(task))
        });
        return Ok(CreateTaskResult::new(task).into());
    }
    job.alone().await.map(CallToolResponse::from)
}

/// What a call has to do.
struct Job {
    name: String,
    arguments: Value,
    user: Value,
}

impl Job {
    async fn in_background(self, task: TaskContext) -> Result<CallToolResult, TaskExit> {
        match self.name.as_str() {
            "confirm_delete" => {
                let question = format!("Delete {}?", self.arguments["filename"]);
                let properties = json!({"confirm": {"type": "boolean"}});
                let answer = ask(&task, "confirm", form(&question, properties)).await?;
                Ok(said(format!("confirmed: {}", answer["content"]["confirm"])))
            }
            "multi_input" => {
                let value = || form("Which value?", json!({"value": {"type": "string"}}));
                // Both at once, so that one can be answered while the other is open.
                let (first, second) =
                    tokio::join!(ask(&task, "first", value()), ask(&task, "second", value()));
                let values = [first?, second?].map(|answer| answer["content"]["value"].clone());
                Ok(said(json!(values).to_string()))
            }
            _ => tokio::select! {
                () = task.cancelled() => Err(TaskExit::Cancelled),
                result = self.alone() => Ok(result?),
            },
        }
    }

    /// A task that asks for no input.
    async fn alone(self) -> Result<CallToolResult, ErrorData> {
        match self.name.as_str() {
            "slow_compute" => {
                let seconds = self.arguments["seconds"].as_f64().unwrap_or(1.0);
                tokio::time::sleep(Duration::from_secs_f64(seconds.clamp(0.0, 60.0))).await;
                Ok(said(format!("computed for {seconds} seconds")))
            }
            "failing_job" => {
                tokio::time::sleep(SHORT).await;
                Ok(CallToolResult::error(vec![ContentBlock::text(
                    "The job failed",
                )]))
            }
            "protocol_error_job" => {
                tokio::time::sleep(SHORT).await;
                Err(ErrorData::internal_error("The job broke", None))
            }
            _ => {
                tokio::time::sleep(SHORT).await;
                Ok(said(greeting(&self.user)))
            }
        }
    }
}

async fn ask(task: &TaskContext, key: &str, question: Value) -> Result<Value, TaskExit> {
    let request = serde_json::from_value(question)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    task.request_input(key, request).await
}

fn said(text: String) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}
