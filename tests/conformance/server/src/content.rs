//! Tools that answer at once, with every kind of content.

use rmcp::{ErrorData, model::*};
use serde_json::{Value, json};

use crate::tools::{Definition, text};

/// One red pixel.
pub const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
/// No sound.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

pub const TOOLS: &[Definition] = &[
    Definition::plain("test_simple_text", "Answers with text"),
    Definition::plain("test_image_content", "Answers with an image"),
    Definition::plain("test_audio_content", "Answers with audio"),
    Definition::plain("test_embedded_resource", "Answers with a resource"),
    Definition::plain(
        "test_multiple_content_types",
        "Answers with text, image and resource",
    ),
    Definition::plain("test_error_handling", "Fails"),
    Definition::with(
        "test_custom_header",
        "Takes an argument mirrored in a header",
        mirrored,
    ),
    Definition::with(
        "json_schema_2020_12_tool",
        "Has an elaborate schema",
        elaborate,
    ),
];

pub fn call(request: &CallToolRequestParams) -> Result<CallToolResponse, ErrorData> {
    let content = match request.name.as_ref() {
        "test_simple_text" => vec![ContentBlock::text(
            "This is a simple text response for testing.",
        )],
        "test_image_content" => vec![image()],
        "test_audio_content" => vec![ContentBlock::Audio(AudioContent::new(WAV, "audio/wav"))],
        "test_embedded_resource" => vec![resource(
            "test://embedded-resource",
            "text/plain",
            "This is an embedded resource content.",
        )],
        "test_multiple_content_types" => vec![
            ContentBlock::text("Multiple content types test:"),
            image(),
            resource(
                "test://mixed-content-resource",
                "application/json",
                &json!({"test": "data", "value": 123}).to_string(),
            ),
        ],
        "test_error_handling" => {
            let content =
                ContentBlock::text("This tool intentionally returns an error for testing");
            return Ok(CallToolResult::error(vec![content]).into());
        }
        _ => return Ok(text(arguments(request).to_string())),
    };
    Ok(CallToolResult::success(content).into())
}

pub fn image() -> ContentBlock {
    ContentBlock::image(PNG, "image/png")
}

pub fn resource(uri: &str, mime_type: &str, text: &str) -> ContentBlock {
    ContentBlock::resource(ResourceContents::text(text, uri).with_mime_type(mime_type))
}

/// The arguments as JSON.
pub fn arguments(request: &CallToolRequestParams) -> Value {
    Value::Object(request.arguments.clone().unwrap_or_default())
}

fn mirrored() -> Value {
    json!({
        "type": "object",
        "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
        "required": ["region"],
    })
}

/// The keywords that a server or a proxy is likely to lose.
fn elaborate() -> Value {
    let address = json!({
        "$anchor": "addressDef",
        "type": "object",
        "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": address},
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": false,
    })
}
