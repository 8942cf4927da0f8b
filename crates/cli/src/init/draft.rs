//! The draft of a policy, and the questions that the lists of a server do not answer.

mod identity_rules;
mod owner_rules;

use std::collections::BTreeMap;
use std::fmt::Write;

use mcp::argument_names::fold;
use policy::{ArgumentRule, IdentityField, builtin_arguments};
use serde_json::Value;

use self::identity_rules::arguments;
use super::ServerLists;
use super::danger::{Doubt, danger};
use crate::pin;
use crate::render::quoted;
use crate::terminal_text::{printable, wrapped};

/// The maximum width of a list of names.
const WIDTH: usize = 100;

/// The callers of a policy.
#[derive(Debug)]
pub(super) struct Callers {
    /// `issuers`, as YAML.
    pub(super) text: String,
    /// Whether their identity has an organization.
    pub(super) has_organization: bool,
    /// Whether their identity has roles.
    pub(super) has_roles: bool,
    /// What to find out.
    pub(super) questions: Vec<String>,
}

/// A draft of a policy.
#[derive(Debug)]
pub(super) struct Draft {
    head: String,
    callers: String,
    roles: String,
    arguments: String,
    tools: String,
    results: String,
    /// The tools that neither annotations nor names explain.
    unclear: Vec<String>,
    /// What to find out.
    pub(super) questions: Vec<String>,
}

/// The tools with an argument or a field, and whether it is required.
type Uses<'l> = BTreeMap<String, Vec<(&'l str, bool)>>;

impl Draft {
    /// The draft for a server. `callers`: those of an identity provider; without them one local caller.
    pub(super) fn of(lists: &ServerLists, callers: Option<Callers>, resource: &str) -> Self {
        let server = lists.server.as_deref().unwrap_or("an MCP server");
        let arguments = arguments(lists);
        let names_organization = arguments.keys().any(|name| is_organization(name));
        let is_local = callers.is_none();
        let callers = callers.unwrap_or_else(|| local(names_organization));
        let head = format!(
            "# The policy for {}: a draft. The questions are at its end.\n# `mcp-auth check` checks it, and \
             `mcp-auth explain` shows what it decides.\nresource: {resource}  # the URL that clients use\n",
            printable(server)
        );
        let mut draft = Self {
            head,
            callers: callers.text,
            roles: String::new(),
            arguments: String::new(),
            tools: String::new(),
            results: String::new(),
            unclear: Vec::new(),
            questions: callers.questions,
        };
        draft.add_roles(lists, is_local, callers.has_roles);
        draft.add_arguments(&arguments, lists.tools.len(), callers.has_organization);
        draft.add_results(lists, callers.has_organization);
        draft
    }

    /// The policy.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n{}\n{}", self.head, self.callers, self.roles);
        for (key, section) in [
            ("arguments", &self.arguments),
            ("tools", &self.tools),
            ("results", &self.results),
        ] {
            if section.is_empty() {
                continue;
            }
            let is_comment = |line: &str| line.trim_start().starts_with('#');
            match section.lines().all(is_comment) {
                true => {
                    let _ = write!(text, "\n# {key}:\n{section}");
                }
                false => {
                    let _ = write!(text, "\n{key}:\n{section}");
                }
            }
        }
        text.push_str("\nseal: {key_env: MCP_AUTH_KEY}  # the key that binds sessions to their caller; openssl rand -hex 32\n");
        if !self.questions.is_empty() {
            text.push_str("\n# Questions that the lists do not answer:\n");
        }
        for (question, number) in self.questions.iter().zip(1..) {
            let question = printable(question);
            text.push_str(&wrapped(&format!("# {number}. "), "#    ", &question));
        }
        text
    }

    fn ask(&mut self, question: impl Into<String>) {
        self.questions.push(question.into());
    }

    fn add_roles(&mut self, lists: &ServerLists, is_local: bool, has_roles: bool) {
        let mut by_danger: [Vec<&str>; 3] = Default::default();
        for tool in &lists.tools {
            let Some(name) = tool.get("name").and_then(Value::as_str) else {
                continue;
            };
            let (danger, doubt) = danger(name, tool);
            match doubt {
                Some(Doubt::Unclear) => self.unclear.push(printable(name)),
                Some(Doubt::Contradiction) => self.ask(format!(
                    "`{name}` says that it only reads, and its name says otherwise. It is taken for a tool that \
                     destroys."
                )),
                None => {}
            }
            if let Some(names) = by_danger.get_mut(danger as usize) {
                names.push(name);
            }
        }
        let [reads, writes, destroys] = by_danger;
        if !self.unclear.is_empty() {
            let them = self.unclear.join(", ");
            self.ask(format!(
                "What do these tools do? They have no annotations, and their names do not say; they are taken for tools \
                 that change something: {them}."
            ));
        }
        let reader = if has_roles { "reader" } else { "\"*\"" };
        let mut out = String::from("roles:  # a call that no role allows is refused\n");
        let _ = writeln!(out, "  {reader}:  # tools that only read");
        let _ = write!(out, "{}", list("    tools: ", &reads));
        let prompts: Vec<&str> = names(&lists.prompts, "name").collect();
        if !prompts.is_empty() {
            let _ = write!(out, "{}", list("    prompts: ", &prompts));
        }
        let resources = self.resource_patterns(lists);
        if !resources.is_empty() {
            let resources: Vec<&str> = resources.iter().map(String::as_str).collect();
            let _ = write!(out, "{}", list("    resources: ", &resources));
        }
        let extends = |name: &str| match name {
            "\"*\"" => String::new(),
            name => format!("    extends: [{name}]\n"),
        };
        let mut last = reader;
        if !writes.is_empty() {
            let _ = write!(
                out,
                "  editor:  # tools that change something\n{}{}",
                extends(last),
                list("    tools: ", &writes)
            );
            last = "editor";
        }
        if !destroys.is_empty() {
            let _ = write!(
                out,
                "  admin:  # tools that destroy something, or can do anything\n{}{}",
                extends(last),
                list("    tools: ", &destroys)
            );
            for name in destroys.iter().take(3) {
                let _ = writeln!(
                    self.tools,
                    "  # {}: {{confirm: true}}  # asks the user before each call",
                    key(name)
                );
            }
        }
        if is_local && last != reader {
            self.ask(
                "You have the role reader. Which tools should your models be able to use without you? Add the role \
                 editor under `local`, or move single tools.",
            );
        }
        if !has_roles && last != reader {
            self.ask(
                "No token has a role, so only the role `*` counts: move tools there that all signed-in users may call.",
            );
        }
        self.roles = out;
    }

    /// The resources: by URI if they are few, else by their schemes.
    fn resource_patterns(&mut self, lists: &ServerLists) -> Vec<String> {
        let mut patterns: Vec<String> = names(&lists.resources, "uri").map(str::to_owned).collect();
        if patterns.len() > 8 {
            let scheme = |uri: &String| {
                uri.split_once("://")
                    .map_or(uri.clone(), |(scheme, _)| format!("{scheme}://*"))
            };
            patterns = patterns.iter().map(scheme).collect();
            patterns.sort_unstable();
            patterns.dedup();
            self.ask(
                "Which resources should all readers see? There are many, so they are allowed by their schemes.",
            );
        }
        for template in names(&lists.templates, "uriTemplate") {
            let pattern = template_pattern(template);
            if !patterns.contains(&pattern) {
                patterns.push(pattern);
            }
        }
        patterns
    }
}

/// One caller, on the user's own machine.
fn local(names_organization: bool) -> Callers {
    let organization = if names_organization {
        ", organization: my-org"
    } else {
        ""
    };
    let text = format!(
        "local: {{user: me{organization}, roles: [reader]}}  # one caller, on this machine, without tokens\n"
    );
    let mut questions = Vec::new();
    if names_organization {
        questions.push(
            "What is the id of your organization at this server? It stands for `my-org`."
                .to_owned(),
        );
    }
    Callers {
        text,
        has_organization: names_organization,
        has_roles: true,
        questions,
    }
}

/// Whether a tool says that it only reads.
pub(super) fn is_read_only(tool: &Value) -> bool {
    tool.pointer("/annotations/readOnlyHint")
        .and_then(Value::as_bool)
        == Some(true)
}

fn names<'l>(items: &'l [Value], key: &'static str) -> impl Iterator<Item = &'l str> {
    items.iter().filter_map(move |item| item.get(key)?.as_str())
}

fn is_organization(name: &str) -> bool {
    builtin_arguments(true).any(|(known, rule)| {
        fold(known) == fold(name) && rule == ArgumentRule::Set(IdentityField::Organization)
    })
}

/// The pattern for the URIs of a template: `{organization}` and `{user}` are the caller's own.
fn template_pattern(template: &str) -> String {
    let mut pattern = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        pattern.push_str(before);
        let (expression, after) = behind.split_once('}').unwrap_or((behind, ""));
        let name = expression.trim_start_matches(['+', '#', '/', '.', ';', '?', '&']);
        let rule = builtin_arguments(true).find(|(known, _)| fold(known) == fold(name));
        pattern.push_str(match rule {
            Some((_, ArgumentRule::Set(IdentityField::Organization))) => "{organization}",
            Some((_, ArgumentRule::Set(IdentityField::User))) => "{user}",
            _ => "*",
        });
        rest = after;
    }
    pattern + rest
}

/// A key or a name in YAML.
fn key(name: &str) -> String {
    match quoted(name) {
        plain if plain == name => plain,
        _ => pin::key(name),
    }
}

/// A list in flow style, broken into lines.
fn list(first: &str, names: &[&str]) -> String {
    let indent = " ".repeat(first.len().saturating_add(1));
    let mut text = format!("{first}[");
    let mut width = text.len();
    for (name, number) in names.iter().zip(0_usize..) {
        let name = key(name);
        if number > 0 {
            text.push(',');
            let is_full = width.saturating_add(name.len()) > WIDTH && !first.is_empty();
            text.push_str(&if is_full {
                format!("\n{indent}")
            } else {
                " ".to_owned()
            });
            width = if is_full { indent.len() } else { width };
        }
        width = width.saturating_add(name.len()).saturating_add(2);
        text.push_str(&name);
    }
    text + "]\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_has_the_callers_own_values() {
        assert_eq!(
            template_pattern("crm://{org_id}/c/{+path}?x={y}"),
            "crm://{organization}/c/*?x=*"
        );
    }
}
