//! Resources and a template of resources.

use rmcp::{ErrorData, model::*};
use serde_json::json;

use crate::content::PNG;

const TEXT: &str = "test://static-text";
const BINARY: &str = "test://static-binary";

pub fn list() -> Vec<Resource> {
    vec![
        Resource::new(TEXT, "text")
            .with_description("A text")
            .with_mime_type("text/plain"),
        Resource::new(BINARY, "image")
            .with_description("An image")
            .with_mime_type("image/png"),
    ]
}

pub fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new("test://template/{id}/data", "data")
            .with_description("What is known about an id")
            .with_mime_type("application/json"),
    ]
}

pub fn read(uri: &str) -> Result<ResourceContents, ErrorData> {
    let id = uri
        .strip_prefix("test://template/")
        .and_then(|rest| rest.strip_suffix("/data"));
    match (uri, id) {
        (TEXT, _) => {
            let text = "This is the content of the static text resource.";
            Ok(ResourceContents::text(text, uri).with_mime_type("text/plain"))
        }
        (BINARY, _) => Ok(ResourceContents::blob(PNG, uri).with_mime_type("image/png")),
        (_, Some(id)) => {
            let data =
                json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
            Ok(ResourceContents::text(data.to_string(), uri).with_mime_type("application/json"))
        }
        _ => {
            let data = json!({"uri": uri});
            Err(ErrorData::resource_not_found(
                "Resource not found",
                Some(data),
            ))
        }
    }
}
