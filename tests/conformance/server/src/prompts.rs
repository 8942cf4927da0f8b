//! Prompts, and completion of what is typed into them.

use rmcp::{ErrorData, model::*};

use crate::{content, input_required};

pub fn list() -> Vec<Prompt> {
    let argument = |name: &str| PromptArgument::new(name).with_required(true);
    let prompt = |name: &str, description: &str, arguments: &[&str]| {
        let arguments: Vec<_> = arguments.iter().map(|name| argument(name)).collect();
        Prompt::new(
            name,
            Some(description),
            (!arguments.is_empty()).then_some(arguments),
        )
    };
    vec![
        prompt("test_simple_prompt", "Takes nothing", &[]),
        prompt(
            "test_prompt_with_arguments",
            "Repeats what it takes",
            &["arg1", "arg2"],
        ),
        prompt(
            "test_prompt_with_embedded_resource",
            "Embeds a resource",
            &["resourceUri"],
        ),
        prompt("test_prompt_with_image", "Shows an image", &[]),
        prompt(
            "test_input_required_result_prompt",
            "Asks the user first",
            &[],
        ),
    ]
}

pub fn get(request: &GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
    let argument = |name: &str| {
        let value = request.arguments.as_ref().and_then(|all| all.get(name));
        value.and_then(|value| value.as_str()).unwrap_or_default()
    };
    let contents = match request.name.as_str() {
        "test_simple_prompt" => vec![ContentBlock::text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => {
            let (first, second) = (argument("arg1"), argument("arg2"));
            let text = format!("Prompt with arguments: arg1='{first}', arg2='{second}'");
            vec![ContentBlock::text(text)]
        }
        "test_prompt_with_embedded_resource" => {
            let text = "Embedded resource content for testing.";
            let resource = content::resource(argument("resourceUri"), "text/plain", text);
            vec![
                resource,
                ContentBlock::text("Please process the embedded resource above."),
            ]
        }
        "test_prompt_with_image" => {
            vec![
                content::image(),
                ContentBlock::text("Please analyze the image above."),
            ]
        }
        "test_input_required_result_prompt" => return input_required::get_prompt(request),
        name => {
            return Err(ErrorData::invalid_params(
                format!("Unknown prompt: {name}"),
                None,
            ));
        }
    };
    Ok(message(contents))
}

/// A prompt of the user's messages.
pub fn message(contents: Vec<ContentBlock>) -> GetPromptResponse {
    let messages = contents
        .into_iter()
        .map(|each| PromptMessage::new(Role::User, each));
    GetPromptResult::new(messages.collect()).into()
}

/// The cities that begin as the user did.
pub fn complete(typed: &str) -> Result<CompleteResult, ErrorData> {
    let cities = ["paris", "park city", "parma", "tehran", "tel aviv"];
    let values = cities
        .into_iter()
        .filter(|city| city.starts_with(typed))
        .map(String::from);
    let info = CompletionInfo::with_all_values(values.collect());
    info.map(CompleteResult::new)
        .map_err(|error| ErrorData::internal_error(error, None))
}
