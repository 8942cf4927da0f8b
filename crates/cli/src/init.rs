//! `mcp-auth init`: a first policy, from what a server lists and from what its identity provider publishes.

mod ask;
mod danger;
mod draft;
mod provider;
mod schema_names;
mod web;

pub(crate) use self::schema_names::of_schema;

use std::path::PathBuf;

use serde_json::{Value, json};

use self::draft::Draft;
use self::provider::ProviderName;
use crate::terminal_text::{count, wrapped};
use crate::{CommandOutput, Failure, files, policy_file};

/// The arguments of `mcp-auth init`.
#[derive(Debug, clap::Args)]
pub(crate) struct InitArguments {
    /// The URL of a running MCP server. Its tools, prompts and resources are read.
    #[arg(long, conflicts_with_all = ["tools", "command"])]
    url: Option<String>,
    /// In place of a server: its saved answers to `tools/list`, `prompts/list` and the like.
    #[arg(long, value_name = "LIST", conflicts_with = "command")]
    tools: Vec<PathBuf>,
    /// In place of a URL: the command of a server that speaks on standard input and output, after `--`.
    #[arg(last = true)]
    command: Vec<String>,
    /// A header for the server, such as its credential.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Call the tools that only read and need no arguments, to find the fields of their answers.
    #[arg(long)]
    sample: bool,
    /// The identity provider whose tokens are accepted. Without it, the policy has one caller, for your own
    /// machine.
    #[arg(long, value_enum)]
    provider: Option<ProviderName>,
    /// The issuer. Its discovery document is read.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The audience of tokens. Default: the resource, or what the provider uses.
    #[arg(long)]
    audience: Option<String>,
    /// The URL that clients will use. Default: http://127.0.0.1:10000 and the path of the server.
    #[arg(long, value_name = "URL")]
    resource: Option<String>,
    /// The file to write. It must not exist. Default: standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print JSON: the file or the policy, the numbers of what was read, and the questions.
    #[arg(long)]
    json: bool,
}

/// What a server offers.
#[derive(Debug, Default)]
struct ServerLists {
    /// Its name.
    server: Option<String>,
    /// Its tools, prompts, resources and resource templates.
    tools: Vec<Value>,
    prompts: Vec<Value>,
    resources: Vec<Value>,
    templates: Vec<Value>,
    /// Answers of tools, by the name of the tool.
    samples: Vec<(String, Value)>,
}

pub(crate) fn run(arguments: &InitArguments) -> Result<CommandOutput, Failure> {
    if let Some(path) = arguments.output.as_ref().filter(|path| path.exists()) {
        return Err(Failure::usage(
            format!("{} exists", files::name(path)),
            "name another file with --output, or move this one away",
        ));
    }
    let lists = lists(arguments)?;
    let resource = resource(arguments)?;
    let callers = match (arguments.provider, &arguments.issuer) {
        (None, None) => None,
        (name, issuer) => {
            let name = name.unwrap_or(ProviderName::Generic);
            let audience = arguments.audience.as_deref();
            Some(provider::callers(name, issuer.as_deref(), audience)?)
        }
    };
    let draft = Draft::of(&lists, callers, &resource);
    let text = draft.text();
    // The draft is checked as every policy is.
    policy_file::parse("the draft", &text).map_err(|failure| {
        Failure::usage(
            failure.shown().trim_end(),
            "report this as a bug, with the lists",
        )
    })?;
    if let Some(path) = &arguments.output {
        std::fs::write(path, &text).map_err(|error| {
            Failure::usage(
                format!("cannot write {}: {error}", files::name(path)),
                "check the path and its permissions",
            )
        })?;
    }
    let file = arguments.output.as_deref().map(files::name);
    if arguments.json {
        let all = json!({
            "file": file,
            "policy": file.is_none().then_some(text),
            "tools": lists.tools.len(),
            "prompts": lists.prompts.len(),
            "resources": lists.resources.len(),
            "resource_templates": lists.templates.len(),
            "questions": draft.questions,
        });
        return Ok(CommandOutput {
            stdout: format!("{all:#}\n"),
            ..CommandOutput::default()
        });
    }
    let summary = summary(&lists, &draft, arguments);
    let (stdout, stderr) = match file {
        None => (text, summary),
        Some(file) => (format!("wrote {file}\n{summary}"), String::new()),
    };
    Ok(CommandOutput {
        stdout,
        stderr,
        status: 0,
    })
}

fn lists(arguments: &InitArguments) -> Result<ServerLists, Failure> {
    if let Some(url) = &arguments.url {
        return ask::over_http(url, &arguments.header, arguments.sample);
    }
    if let Some((program, rest)) = arguments.command.split_first() {
        return ask::over_stdio(program, rest, arguments.sample);
    }
    if arguments.tools.is_empty() {
        return Err(Failure::usage(
            "there is no server to read",
            "give its URL with --url, its saved lists with --tools, or its command after --",
        ));
    }
    ask::saved(&arguments.tools)
}

/// The URL that clients will use.
fn resource(arguments: &InitArguments) -> Result<String, Failure> {
    let given = match (&arguments.resource, &arguments.url) {
        (Some(resource), _) => return Ok(resource.clone()),
        (None, Some(url)) => url,
        (None, None) => return Ok("http://127.0.0.1:10000/mcp".to_owned()),
    };
    let url = url::Url::parse(given).map_err(|error| {
        Failure::usage(
            format!("the URL of the server: {error}"),
            "write it with its scheme",
        )
    })?;
    let path = match url.path() {
        "" | "/" => "/mcp",
        path => path,
    };
    Ok(format!("http://127.0.0.1:10000{path}"))
}

fn summary(lists: &ServerLists, draft: &Draft, arguments: &InitArguments) -> String {
    let counts = [
        (lists.tools.len(), "tool"),
        (lists.prompts.len(), "prompt"),
        (lists.resources.len(), "resource"),
        (lists.templates.len(), "resource template"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .map(|(number, noun)| count(*number, noun))
        .collect();
    let mut summary = format!("read {}\n", counts.join(", "));
    let questions = draft.questions.len();
    if questions > 0 {
        let text = format!(
            "{} at the end of the policy: read them first",
            count(questions, "question")
        );
        summary.push_str(&format!("{text}\n"));
    }
    let file = arguments
        .output
        .as_ref()
        .map_or_else(|| "policy.yaml".to_owned(), |path| files::name(path));
    let url = arguments
        .url
        .as_deref()
        .unwrap_or("http://127.0.0.1:8000/mcp");
    let next = format!("Next: mcp-auth run {file} --upstream {url}");
    summary.push_str(&wrapped("", "  ", &next));
    summary
}
