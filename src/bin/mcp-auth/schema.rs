//! `mcp-auth schema`: the JSON Schema of a policy. `docs/policy.schema.json` holds the same.

use mcp_auth_filter::policy::document::Document;

use crate::{Failure, Outcome};

pub(crate) fn run() -> Result<Outcome, Failure> {
    let mut schema = schemars::schema_for!(Document);
    schema.insert("title".to_owned(), "Policy of mcp-auth-filter".into());
    let schema = serde_json::to_string_pretty(&schema).map_err(|error| {
        Failure::usage(
            format!("cannot write the schema: {error}"),
            "report this as a bug",
        )
    })?;
    Ok(Outcome {
        stdout: schema + "\n",
        ..Outcome::default()
    })
}
