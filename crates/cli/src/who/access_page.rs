//! The page of `mcp-auth who`: a table of tools and callers, and the reasons for each tool.

use std::fmt::Write;

use super::WhoRow;
use crate::page::{escaped, page, prose};

/// The page of these rows. `policy`: the file; `resource`: the server.
pub(super) fn access_page(rows: &[WhoRow], policy: &str, resource: &str) -> String {
    let mut body = format!(
        "<p class=\"dim\"><code>{}</code> for <code>{}</code></p>\n",
        escaped(policy),
        escaped(resource)
    );
    body.push_str(
        "<p><b class=\"yes\">yes</b> always, <b class=\"ask\">if</b> something more is needed, \
         <b class=\"no\">no</b> never.</p>\n",
    );
    let callers = distinct(rows.iter().map(|row| row.caller.as_str()));
    let tools = distinct(rows.iter().map(|row| row.tool.as_str()));
    body.push_str("<div class=\"wide\"><table><tr><th class=\"first\">Tool</th>");
    for caller in &callers {
        let _ = write!(body, "<th class=\"m\">{}</th>", escaped(shown(caller)));
    }
    body.push_str("</tr>\n");
    for tool in &tools {
        let _ = write!(
            body,
            "<tr><th class=\"first\"><code>{}</code></th>",
            escaped(tool)
        );
        for caller in &callers {
            let row = rows
                .iter()
                .find(|row| row.tool == *tool && row.caller == *caller);
            let (class, word) = row.map_or(("dim", "-"), mark);
            let _ = write!(body, "<td class=\"m {class}\">{word}</td>");
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</table></div>\n<h2>Why</h2>\n");
    // One tool is asked about: its reasons are what the reader wants.
    let open = if tools.len() == 1 { " open" } else { "" };
    for tool in &tools {
        let of_tool: Vec<&WhoRow> = rows.iter().filter(|row| row.tool == *tool).collect();
        let allowed: Vec<&str> = of_tool
            .iter()
            .filter(|row| row.access.is_allowed)
            .map(|row| shown(&row.caller))
            .collect();
        let allowed = match allowed.as_slice() {
            [] => "no caller".to_owned(),
            allowed => allowed.join(", "),
        };
        let _ = write!(
            body,
            "<details{open}><summary><code>{}</code> <span class=\"dim\">{}</span></summary><dl>",
            escaped(tool),
            escaped(&allowed)
        );
        for row in of_tool {
            let (class, word) = mark(row);
            let _ = write!(
                body,
                "<dt><b class=\"{class}\">{word}</b> {}</dt><dd>{}</dd>",
                escaped(shown(&row.caller)),
                prose(&row.access.why)
            );
        }
        body.push_str("</dl></details>\n");
    }
    page("Who may call what", &body)
}

/// A caller, in words.
fn shown(caller: &str) -> &str {
    match caller {
        "*" => "* any caller",
        caller => caller,
    }
}

/// The class and the word for an access.
fn mark(row: &WhoRow) -> (&'static str, &'static str) {
    match (row.access.is_allowed, row.access.is_conditional()) {
        (false, _) => ("no", "no"),
        (true, true) => ("ask", "if"),
        (true, false) => ("yes", "yes"),
    }
}

/// Each text once, in its order.
fn distinct<'r>(texts: impl Iterator<Item = &'r str>) -> Vec<&'r str> {
    let mut found = Vec::new();
    for text in texts {
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}
