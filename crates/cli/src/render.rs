//! `mcp-auth render`: the complete configuration of a proxy for a policy.
//!
//! The shipped files are the templates. So each setting, limit and comment is written once, and a file that
//! is rendered for the demo's policy is the shipped file.

mod compose;
mod envoy_file;
mod gateway;
mod istio;
mod template;

pub(crate) use self::envoy_file::{
    MachinePlaces, capabilities, fits, listen_address, quoted, two_files as watched_files,
};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::diagnostic::Diagnostic;
use crate::policy_file::Loaded;
use crate::policy_needs::{NeededCluster, PolicyNeeds, ServerAddress, is_of_mcp_server};
use crate::terminal_text::printable;
use crate::yaml::YamlDocument;
use crate::{CommandOutput, Failure, diagnostic, files, policy_file};

/// The arguments of `mcp-auth render`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct RenderArguments {
    /// The policy, in YAML or JSON; `-` reads standard input.
    pub(crate) policy: PathBuf,
    /// The proxy.
    #[arg(long = "for", value_enum)]
    pub(crate) target: ProxyKind,
    /// The MCP server. Of several policies: `PATH=URL` for each, with the path of the policy.
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Vec<String>,
    /// The server of a cluster that the policy names. Default: the host that the policy says.
    #[arg(long, value_name = "NAME=URL")]
    pub(crate) cluster: Vec<String>,
    /// The address that clients connect to. Default: the port of `resource` or 10000, with `local` on
    /// 127.0.0.1 only.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// The module: a file for Envoy, a URL for Istio and Envoy Gateway.
    #[arg(long, value_name = "FILE or URL")]
    pub(crate) module: Option<String>,
    /// The SHA-256 of the module behind a URL, in hexadecimal.
    #[arg(long, value_name = "HEX")]
    pub(crate) sha256: Option<String>,
    /// The namespace of the MCP server, for Istio and Envoy Gateway.
    #[arg(long)]
    pub(crate) namespace: Option<String>,
    /// The label of the MCP server's pods, for Istio.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) workload: Option<String>,
    /// The Gateway, for Envoy Gateway.
    #[arg(long, value_name = "NAME")]
    pub(crate) gateway: Option<String>,
    /// The listener of the Gateway. Default: https.
    #[arg(long, value_name = "NAME")]
    pub(crate) listener: Option<String>,
    /// The HTTPRoute of the MCP server, for Envoy Gateway.
    #[arg(long, value_name = "NAME")]
    pub(crate) route: Option<String>,
    /// The directory to write the files to. Default: standard output, if it is one file.
    #[arg(long, short, value_name = "DIRECTORY")]
    pub(crate) output: Option<PathBuf>,
    /// Print JSON: the files that were written, or without --output their texts, and the warnings.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The proxy that a configuration is for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProxyKind {
    /// One file for Envoy, with the policy in it.
    #[default]
    Envoy,
    /// Envoy, with the filter and the policy in a file that Envoy watches.
    EnvoyFile,
    /// An EnvoyFilter for a sidecar of Istio.
    Istio,
    /// An EnvoyExtensionPolicy for Envoy Gateway, with the patches that it needs.
    EnvoyGateway,
    /// Docker Compose, with Envoy's file.
    Compose,
}

/// A policy with what its proxy needs.
#[derive(Debug)]
pub(crate) struct RenderInput {
    /// The policy's text as YAML, for the place of a value in a configuration.
    text: String,
    /// The policies.
    pub(crate) loaded: Loaded,
    /// Their needs, with all addresses.
    pub(crate) needs: PolicyNeeds,
}

/// A file that is rendered.
#[derive(Debug)]
pub(crate) struct RenderedFile {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its text.
    pub(crate) text: String,
}

pub(crate) fn run(arguments: &RenderArguments) -> Result<CommandOutput, Failure> {
    let input = RenderInput::read(arguments)?;
    let rendered = match arguments.target {
        ProxyKind::Envoy => envoy_file::one_file(&input, arguments)?,
        ProxyKind::EnvoyFile => {
            envoy_file::two_files(&input, arguments, &MachinePlaces::default())?
        }
        ProxyKind::Istio => istio::render(&input, arguments)?,
        ProxyKind::EnvoyGateway => gateway::render(&input, arguments)?,
        ProxyKind::Compose => compose::render(&input, arguments)?,
    };
    let warnings = &input.loaded.warnings;
    let paths = match &arguments.output {
        Some(directory) => write(directory, &rendered)?,
        None => Vec::new(),
    };
    if arguments.json {
        let files = rendered
            .iter()
            .enumerate()
            .map(|(index, file)| match paths.get(index) {
                Some(path) => json!({"name": file.name, "path": path}),
                None => json!({"name": file.name, "text": file.text}),
            });
        let files: Vec<Value> = files.collect();
        let warnings: Vec<Value> = warnings.iter().map(Diagnostic::json).collect();
        return Ok(CommandOutput {
            stdout: format!("{:#}\n", json!({"files": files, "warnings": warnings})),
            ..CommandOutput::default()
        });
    }
    let stdout = match (rendered.as_slice(), paths.as_slice()) {
        ([only], []) => only.text.clone(),
        (several, []) => {
            let names: Vec<&str> = several.iter().map(|file| file.name).collect();
            return Err(Failure::usage(
                format!("this writes {}", names.join(" and ")),
                "name a directory with --output DIRECTORY",
            ));
        }
        (_, paths) => paths.iter().map(|path| format!("wrote {path}\n")).collect(),
    };
    Ok(CommandOutput {
        stdout,
        stderr: diagnostic::report(warnings),
        ..CommandOutput::default()
    })
}

/// Writes the files. Returns the name of each.
fn write(directory: &Path, rendered: &[RenderedFile]) -> Result<Vec<String>, Failure> {
    let failure = |path: &Path, error: std::io::Error| {
        Failure::usage(
            format!("cannot write {}: {error}", files::name(path)),
            "check the path and its permissions",
        )
    };
    std::fs::create_dir_all(directory).map_err(|error| failure(directory, error))?;
    let mut names = Vec::new();
    for file in rendered {
        let path = directory.join(file.name);
        std::fs::write(&path, &file.text).map_err(|error| failure(&path, error))?;
        names.push(files::name(&path));
    }
    Ok(names)
}

impl RenderInput {
    /// Reads the policy, and finds the addresses of its clusters.
    pub(crate) fn read(arguments: &RenderArguments) -> Result<Self, Failure> {
        let (text, loaded) = policy_file::load_with_text(&arguments.policy)?;
        let mut needs = PolicyNeeds::of(&loaded.policies)?;
        for given in &arguments.cluster {
            let (name, url) = given.split_once('=').unwrap_or_default();
            let known = needs.clusters.iter_mut().find(|known| known.name == name);
            match (known, ServerAddress::of_url(url)) {
                (Some(cluster), Some(server)) => cluster.server = Some(server),
                (None, Some(_)) => {
                    return Err(Failure::usage(
                        format!("the policy names no cluster `{}`", printable(name)),
                        match needs.clusters.as_slice() {
                            [] => "leave the option away".to_owned(),
                            some => format!("it names {}", names(some.iter().map(|it| &it.name))),
                        },
                    ));
                }
                (_, None) => {
                    return Err(Failure::usage(
                        format!("`{}` is no cluster with a URL", printable(given)),
                        "write --cluster NAME=URL, such as --cluster login=https://login.example.com",
                    ));
                }
            }
        }
        let is_open = |it: &&NeededCluster| it.server.is_none() && !it.is_of_mcp_server();
        if let Some(open) = needs.clusters.iter().find(is_open) {
            return Err(Failure::usage(
                format!(
                    "the policy does not say where the cluster `{}` is ({})",
                    printable(&open.name),
                    printable(&open.keys.join(", "))
                ),
                format!(
                    "name its server with --cluster {}=URL",
                    printable(&open.name)
                ),
            ));
        }
        Ok(Self {
            text: embeddable(&text, &loaded),
            loaded,
            needs,
        })
    }

    /// The first policy.
    fn first(&self) -> Option<&policy::Policy> {
        self.loaded.policies.first().map(|(policy, _)| policy)
    }

    /// The policies.
    pub(crate) fn policies(&self) -> impl Iterator<Item = &policy::Policy> {
        self.loaded.policies.iter().map(|(policy, _)| policy)
    }

    /// The keys that name the cluster of an MCP server itself, each with the name.
    fn clusters_of_mcp_servers(&self) -> impl Iterator<Item = (&String, &String)> {
        let clusters = self.needs.clusters.iter();
        let keys = clusters.flat_map(|it| it.keys.iter().map(move |key| (key, &it.name)));
        keys.filter(|(key, _)| is_of_mcp_server(key))
    }

    /// The policy with other names of clusters.
    fn text_with_clusters(&self, names: &[(String, String)]) -> Result<String, Failure> {
        let bug = || Failure::usage("the policy cannot be changed", "report this as a bug");
        let documents = YamlDocument::read_all(&self.text).map_err(|_| bug())?;
        let document = YamlDocument::single(documents).map_err(|_| bug())?;
        let mut edits = Vec::new();
        for (key, name) in names {
            let value = document.root().value(key).ok_or_else(bug)?;
            edits.push((value.characters(), Value::from(name.as_str()).to_string()));
        }
        edits.sort_by_key(|(characters, _)| characters.start);
        let mut text = String::new();
        let mut characters = self.text.chars();
        let mut position = 0_usize;
        for (range, new) in edits {
            let before = range.start.saturating_sub(position);
            text.extend(characters.by_ref().take(before));
            text.push_str(&new);
            let old = range.end.saturating_sub(range.start);
            characters.by_ref().take(old).for_each(drop);
            position = range.end;
        }
        text.extend(characters);
        Ok(text)
    }
}

/// The policy as YAML that can be indented: as it is written, if it is in block style.
fn embeddable(text: &str, loaded: &Loaded) -> String {
    let text = text.trim_start_matches('\u{feff}');
    let is_json = text.trim_start().starts_with('{');
    let is_plain =
        |line: &str| !line.starts_with(['%', '\t']) && !line.starts_with("---") && line != "...";
    if !is_json && text.lines().all(is_plain) {
        return text.trim_end().to_owned() + "\n";
    }
    let documents = loaded.policies.iter().map(|(_, json)| json);
    let value = match loaded.policies.first() {
        Some((policy, json)) if policy.label.is_none() => json.clone(),
        _ => serde_json::json!({"policies": documents.collect::<Vec<_>>()}),
    };
    format!("{value:#}\n")
}

/// Names between backticks.
fn names<'n>(names: impl Iterator<Item = &'n String>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{}`", printable(name))).collect();
    names.join(", ")
}

impl RenderArguments {
    /// The arguments of the command that writes this file, for its head.
    fn command(&self) -> String {
        let target = self.target.to_possible_value();
        let target = target.map_or_else(String::new, |value| value.get_name().to_owned());
        let mut command = format!("{} --for {target}", self.policy.display());
        let listen = self.listen.map(|address| address.to_string());
        let options = [
            ("upstream", self.upstream.as_slice()),
            ("cluster", self.cluster.as_slice()),
            ("listen", listen.as_slice()),
            ("module", self.module.as_slice()),
            ("sha256", self.sha256.as_slice()),
            ("namespace", self.namespace.as_slice()),
            ("workload", self.workload.as_slice()),
            ("gateway", self.gateway.as_slice()),
            ("listener", self.listener.as_slice()),
            ("route", self.route.as_slice()),
        ];
        for (name, values) in options {
            for value in values {
                command.push_str(&format!(" --{name} {value}"));
            }
        }
        printable(&command)
    }
}
