//! The draft of a policy, and the questions that the lists of a server do not answer.

use std::collections::BTreeMap;
use std::fmt::Write;

use mcp::argument_names::fold;
use policy::{ArgumentRule, IdentityField, builtin_arguments};
use serde_json::Value;

use super::ServerLists;
use super::schema_names::{of_result, of_schema};
use crate::pin;
use crate::render::quoted;
use crate::terminal_text::{printable, wrapped};

/// The maximum width of a list of names.
const WIDTH: usize = 100;
/// Words of tools that only read.
const READS: [&str; 22] = [
    "get", "list", "search", "find", "read", "fetch", "show", "describe", "query", "count",
    "lookup", "view", "check", "status", "who", "whoami", "browse", "download", "export", "help",
    "ping", "echo",
];
/// Words of tools that destroy.
const DESTROYS: [&str; 15] = [
    "delete",
    "remove",
    "drop",
    "purge",
    "destroy",
    "erase",
    "wipe",
    "truncate",
    "revoke",
    "kill",
    "reset",
    "terminate",
    "uninstall",
    "refund",
    "transfer",
];
/// Words of tools that can do anything.
const EXECUTES: [&str; 8] = [
    "exec", "execute", "eval", "shell", "run", "sql", "command", "script",
];
/// Words of tools whose argument names another user: data, not the caller.
const MANAGES_USERS: [&str; 6] = ["invite", "assign", "grant", "member", "users", "share"];
/// Fields that few callers should see, folded.
const SENSITIVE: [&str; 24] = [
    "ssn",
    "social_security_number",
    "card_number",
    "credit_card",
    "credit_card_number",
    "cvv",
    "iban",
    "account_number",
    "password",
    "password_hash",
    "secret",
    "api_key",
    "access_token",
    "refresh_token",
    "private_key",
    "tax_id",
    "passport",
    "passport_number",
    "date_of_birth",
    "dob",
    "birth_date",
    "salary",
    "client_secret",
    "pin_code",
];

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

/// What a tool may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Danger {
    Reads,
    Writes,
    Destroys,
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

    fn add_roles(&mut self, lists: &ServerLists, is_local: bool, has_roles: bool) {
        let mut by_danger: [Vec<&str>; 3] = Default::default();
        for tool in &lists.tools {
            let Some(name) = tool.get("name").and_then(Value::as_str) else {
                continue;
            };
            let danger = self.danger(name, tool);
            if let Some(names) = by_danger.get_mut(danger as usize) {
                names.push(name);
            }
        }
        let [reads, writes, destroys] = by_danger;
        if !self.unclear.is_empty() {
            let them = self.unclear.join(", ");
            self.questions.push(format!(
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
            self.questions.push("You have the role reader. Which tools should your models be able to use without you? Add the role editor \
                                 under `local`, or move single tools.".to_owned());
        }
        if !has_roles && last != reader {
            self.questions.push("No token has a role, so only the role `*` counts: move tools there that all signed-in users may call."
                .to_owned());
        }
        self.roles = out;
    }

    /// What a tool may do, by its annotations, else by its name.
    fn danger(&mut self, name: &str, tool: &Value) -> Danger {
        let hint = |hint: &str| {
            tool.pointer(&format!("/annotations/{hint}"))
                .and_then(Value::as_bool)
        };
        let words = words(name);
        let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
        let reads_first = words
            .iter()
            .find(|word| READS.contains(&word.as_str()) || DESTROYS.contains(&word.as_str()));
        let by_name = if has(&EXECUTES)
            || has(&DESTROYS) && !reads_first.is_some_and(|word| READS.contains(&word.as_str()))
        {
            Danger::Destroys
        } else if has(&READS) {
            Danger::Reads
        } else {
            Danger::Writes
        };
        let hinted = match (hint("readOnlyHint"), hint("destructiveHint")) {
            (Some(true), _) => Some(Danger::Reads),
            (_, Some(true)) => Some(Danger::Destroys),
            (Some(false), _) | (_, Some(false)) => Some(Danger::Writes),
            (None, None) => None,
        };
        match hinted {
            None => {
                if by_name == Danger::Writes {
                    self.unclear.push(printable(name));
                }
                by_name
            }
            Some(Danger::Reads) if by_name == Danger::Destroys => {
                self.questions.push(format!("`{name}` says that it only reads, and its name says otherwise. It is taken for a tool that destroys."));
                Danger::Destroys
            }
            Some(hinted) if has(&EXECUTES) && hinted == Danger::Writes => by_name.max(hinted),
            Some(hinted) => hinted,
        }
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
            self.questions.push("Which resources should all readers see? There are many, so they are allowed by their schemes."
                .to_owned());
        }
        for template in names(&lists.templates, "uriTemplate") {
            let pattern = template_pattern(template);
            if !patterns.contains(&pattern) {
                patterns.push(pattern);
            }
        }
        patterns
    }

    fn add_arguments(&mut self, uses: &Uses<'_>, tool_count: usize, has_organization: bool) {
        let built_in: Vec<(String, ArgumentRule)> = builtin_arguments(has_organization)
            .map(|(name, rule)| (fold(name).into_owned(), rule))
            .collect();
        let mut required: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (name, tools) in uses {
            let rule = built_in
                .iter()
                .find(|(known, _)| *known == fold(name))
                .map(|(_, rule)| rule);
            let who = tool_names(tools);
            let manages = tools.iter().any(|(tool, _)| {
                words(tool)
                    .iter()
                    .any(|word| MANAGES_USERS.contains(&word.as_str()))
            });
            match rule {
                Some(ArgumentRule::Set(field)) => {
                    let field = match field {
                        IdentityField::User => "user",
                        IdentityField::Organization => "organization",
                    };
                    let _ = writeln!(
                        self.arguments,
                        "  {}: {{set: {field}}}  # identifies the caller, by its name; in {who}",
                        key(name)
                    );
                    for (tool, _) in tools.iter().filter(|(_, is_required)| *is_required) {
                        required
                            .entry(tool)
                            .or_default()
                            .push(format!("{}: {{set: {field}}}", key(name)));
                    }
                    if manages && field == "user" {
                        self.questions.push(format!("Is `{name}` of {who} the caller, or another user? If it is data, write `keep` for that tool."));
                    }
                }
                Some(ArgumentRule::Remove) => {
                    let _ = writeln!(
                        self.arguments,
                        "  {}: remove  # the caller's rights come from the token; in {who}",
                        key(name)
                    );
                    if manages {
                        self.questions.push(format!("Is `{name}` of {who} the caller's own, or that of another user? If it is data, write `keep` for that tool."));
                    }
                }
                Some(_) => {
                    let _ = writeln!(
                        self.arguments,
                        "  {}: reject  # may identify the caller; in {who}",
                        key(name)
                    );
                    self.questions.push(format!("Does `{name}` of {who} identify the caller, or is it data? Calls with it are refused until the rule says \
                                                 `set: user`, `set: organization`, `remove` or `keep`."));
                }
                None if is_like_identity(name) => {
                    self.questions.push(format!("Does `{name}` of {who} identify the caller? It is passed as it comes. If it does, add it under \
                                                 `arguments`."));
                }
                None => {}
            }
        }
        // What every tool requires is one rule.
        let mut everywhere: Option<Vec<String>> = None;
        for rules in required.values() {
            everywhere = Some(match everywhere {
                None => rules.clone(),
                Some(common) => common
                    .into_iter()
                    .filter(|rule| rules.contains(rule))
                    .collect(),
            });
        }
        let everywhere = everywhere.filter(|_| tool_count > 1 && required.len() == tool_count);
        let everywhere = everywhere.unwrap_or_default();
        let mut add = |tool: &str, rules: &[String]| {
            let comment = "required there: set also where it is left out";
            let rules = rules.join(", ");
            let _ = writeln!(
                self.tools,
                "  {}: {{arguments: {{{rules}}}}}  # {comment}",
                key(tool)
            );
        };
        if !everywhere.is_empty() {
            add("*", &everywhere);
        }
        for (tool, mut rules) in required {
            rules.retain(|rule| !everywhere.contains(rule));
            if !rules.is_empty() {
                add(tool, &rules);
            }
        }
    }

    fn add_results(&mut self, lists: &ServerLists, has_organization: bool) {
        let fields = fields(lists);
        for (name, tools) in &fields {
            let names: Vec<&str> = tools.iter().map(|(tool, _)| *tool).collect();
            let is_user = builtin_arguments(true).any(|(known, rule)| {
                fold(known) == fold(name) && rule == ArgumentRule::Set(IdentityField::User)
            }) || ["owner", "owner_id", "created_by"]
                .map(fold)
                .contains(&fold(name));
            if is_organization(name) {
                let comment = if has_organization { "" } else { "# " };
                let tools = list("", &names);
                let _ = writeln!(
                    self.results,
                    "  {comment}- {{tools: {}, owner: {{field: {}, is: organization}}}}",
                    tools.trim_end(),
                    key(name)
                );
                if !has_organization {
                    self.questions.push(format!("Answers name an owner in `{name}`. Which organization does a caller have? With \
                                                 `identity.organization`, answers lose the objects of others."));
                }
            } else if is_user {
                let tools = list("", &names);
                let _ = writeln!(
                    self.results,
                    "  # - {{tools: {}, owner: {{field: {}, is: user}}}}",
                    tools.trim_end(),
                    key(name)
                );
                self.questions.push(format!("Is `{name}` in answers the owner of an object? If a caller may see only its own, use the rule \
                                             for it under `results`."));
            }
        }
        let hidden: Vec<(&str, Vec<&str>)> = fields
            .iter()
            .filter(|(name, _)| SENSITIVE.map(fold).contains(&fold(name)))
            .map(|(name, tools)| (name.as_str(), tools.iter().map(|(tool, _)| *tool).collect()))
            .collect();
        if !hidden.is_empty() {
            let mut tools: Vec<&str> = hidden
                .iter()
                .flat_map(|(_, tools)| tools.iter().copied())
                .collect();
            tools.sort_unstable();
            tools.dedup();
            let names: Vec<&str> = hidden.iter().map(|(name, _)| *name).collect();
            let (tools, names) = (list("", &tools), list("", &names));
            let _ = writeln!(
                self.results,
                "  - {{tools: {}, redact: {}, text: keep}}",
                tools.trim_end(),
                names.trim_end()
            );
            self.questions.push("Which roles may see the hidden fields? Name them with `unless_role` under `results`.".to_owned());
        }
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

/// The arguments of all tools and prompts.
fn arguments(lists: &ServerLists) -> Uses<'_> {
    let mut uses = Uses::new();
    for tool in &lists.tools {
        let name = tool.get("name").and_then(Value::as_str);
        let (Some(name), Some(schema)) = (name, tool.get("inputSchema")) else {
            continue;
        };
        for (argument, is_required) in of_schema(schema) {
            uses.entry(argument).or_default().push((name, is_required));
        }
    }
    uses
}

/// The fields of the answers of all tools, by their output schemas and samples.
fn fields(lists: &ServerLists) -> Uses<'_> {
    let mut uses = Uses::new();
    let mut add = |field: String, tool| {
        let tools: &mut Vec<(&str, bool)> = uses.entry(field).or_default();
        if !tools.iter().any(|(known, _)| *known == tool) {
            tools.push((tool, false));
        }
    };
    for tool in &lists.tools {
        let name = tool.get("name").and_then(Value::as_str);
        if let (Some(name), Some(schema)) = (name, tool.get("outputSchema")) {
            of_schema(schema)
                .into_iter()
                .for_each(|(field, _)| add(field, name));
        }
    }
    for (tool, result) in &lists.samples {
        of_result(result)
            .into_iter()
            .for_each(|field| add(field, tool));
    }
    uses
}

/// `crm.getCustomer_v2` as `crm`, `get`, `customer`, `v2`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for character in name.chars() {
        let begins = !character.is_alphanumeric() || character.is_uppercase() && was_lower;
        if begins {
            words.push(String::new());
        }
        if let (true, Some(word)) = (character.is_alphanumeric(), words.last_mut()) {
            word.extend(character.to_lowercase());
        }
        was_lower = character.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

fn is_organization(name: &str) -> bool {
    builtin_arguments(true).any(|(known, rule)| {
        fold(known) == fold(name) && rule == ArgumentRule::Set(IdentityField::Organization)
    })
}

/// Whether a name that is not in the built-in list has a word of it.
fn is_like_identity(name: &str) -> bool {
    const WORDS: [&str; 9] = [
        "user",
        "organization",
        "organisation",
        "org",
        "tenant",
        "workspace",
        "owner",
        "caller",
        "impersonate",
    ];
    words(name)
        .iter()
        .any(|word| WORDS.contains(&word.as_str()))
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

/// Some of the tools.
fn tool_names(tools: &[(&str, bool)]) -> String {
    let shown: Vec<String> = tools
        .iter()
        .take(3)
        .map(|(tool, _)| printable(tool))
        .collect();
    match tools.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
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
    fn names_are_split_into_words() {
        assert_eq!(
            words("crm.getCustomer_v2"),
            ["crm", "get", "customer", "v2"]
        );
        assert_eq!(words("HTTP-Fetch"), ["http", "fetch"]);
    }

    #[test]
    fn a_template_has_the_callers_own_values() {
        assert_eq!(
            template_pattern("crm://{org_id}/c/{+path}?x={y}"),
            "crm://{organization}/c/*?x=*"
        );
    }
}
