//! The headers that mirror arguments, checked.

use super::ParamHeader;
use super::document::OperationDocument;
use super::error::{Errors, PolicyError};
use mcp::headers::PARAM_PREFIX;

pub(super) fn compile_param_headers(
    section: &str,
    path: &str,
    operation: &OperationDocument,
    errors: &mut Errors,
) -> Vec<ParamHeader> {
    let path = format!("{path}.param_headers");
    if section != "tools" && !operation.param_headers.is_empty() {
        errors.push(PolicyError::new(
            path.as_str(),
            "headers mirror arguments of tools only",
        ));
    }
    let mut compiled: Vec<ParamHeader> = Vec::new();
    for (argument, name) in &operation.param_headers {
        // RFC 9110 section 5.6.2.
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let header = format!("{PARAM_PREFIX}{}", name.to_ascii_lowercase());
        if name.is_empty() || !name.bytes().all(token) {
            let message = format!("found `{name}`, expected what follows `Mcp-Param-`");
            errors.push(PolicyError::new(format!("{path}.{argument}"), message));
        } else if compiled.iter().any(|other| other.header == header) {
            let message = format!("`{name}` mirrors another argument already");
            errors.push(PolicyError::new(format!("{path}.{argument}"), message));
        }
        let argument: Vec<String> = argument.split('.').map(str::to_owned).collect();
        if argument.iter().any(String::is_empty) {
            let message = "expected an argument's name, or names with dots between them";
            let path = format!("{path}.{}", argument.join("."));
            errors.push(PolicyError::new(path, message));
        }
        compiled.push(ParamHeader { argument, header });
    }
    compiled
}
