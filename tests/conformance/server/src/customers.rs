//! A tool whose answer holds what not every caller may have: not the suite's, but the filter's tests.

use rmcp::model::{CallToolResponse, CallToolResult};
use serde_json::json;

use crate::tools::Definition;

pub const TOOLS: &[Definition] = &[Definition::plain(
    "test_customers",
    "Answers with customers of two organizations",
)];

pub fn call() -> CallToolResponse {
    CallToolResult::structured(json!({
        "customers": [
            {"id": 1, "name": "Ann Acker", "organization_id": "org-a", "ssn": "123-45-6789", "limit": 5000, "vip": true},
            {"id": 2, "name": "Bo Bär", "organization_id": "org-b", "ssn": "987-65-4321", "limit": 7777, "vip": false},
            {"id": 3, "name": "Zoë Zander", "organization_id": "org-a", "ssn": "555-44-3333", "limit": 9000, "vip": true},
        ],
        "total": 3,
    }))
    .into()
}
