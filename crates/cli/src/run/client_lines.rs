//! What is printed at the start: the URL, and a line for each client.

use std::net::SocketAddr;

use serde_json::json;

use crate::terminal_text::printable;

/// The name of the server in clients.
const NAME: &str = "my-server";

/// The introduction. `unreachable`: servers that do not answer.
pub(super) fn introduction(
    resources: &[&str],
    listen: SocketAddr,
    upstream: &[String],
    policy: &str,
    notes: &[String],
    unreachable: &[String],
) -> String {
    let mut lines = Vec::new();
    let mut line =
        |label: &str, text: &str| lines.push(format!("{label:<15}{}\n", printable(text)));
    line("Policy", policy);
    line("MCP server", &upstream.join(", "));
    for resource in resources {
        line("URL", resource);
        for (client, text) in of_clients(resource) {
            line(client, &text);
        }
    }
    line("Listening on", &listen.to_string());
    for note in notes {
        line("Note", note);
    }
    for server in unreachable {
        line(
            "Warning",
            &format!("nothing answers at {server}: start your MCP server"),
        );
    }
    let text: String = lines.concat();
    format!(
        "{text}\nDecisions, as they are made. A change of the policy's file is loaded. Ctrl-C ends.\n"
    )
}

/// How each client is told.
fn of_clients(url: &str) -> [(&'static str, String); 6] {
    let vs_code = json!({"name": NAME, "type": "http", "url": url});
    let cursor = json!({"mcpServers": {NAME: {"url": url}}});
    let chatgpt = match url.starts_with("https://") {
        true => format!("Settings > Connectors > Create: {url}"),
        false => "takes https URLs on the internet only: use a tunnel, and its URL as `resource`"
            .to_owned(),
    };
    [
        (
            "  Claude Code",
            format!("claude mcp add --transport http {NAME} {url}"),
        ),
        (
            "  Claude",
            format!(
                " Settings > Connectors, or in claude_desktop_config.json: npx mcp-remote {url}"
            ),
        ),
        ("  ChatGPT", chatgpt),
        ("  VS Code", format!("code --add-mcp '{vs_code}'")),
        ("  Cursor", format!("in ~/.cursor/mcp.json: {cursor}")),
        (
            "  Inspector",
            format!("npx @modelcontextprotocol/inspector --transport http --server-url {url}"),
        ),
    ]
}
