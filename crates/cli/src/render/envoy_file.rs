//! The configuration of Envoy, from `envoy/envoy.yaml`.

use std::net::SocketAddr;

use url::Url;

use super::template::{Template, indented};
use super::{RenderArguments, RenderInput, RenderedFile};
use crate::Failure;
use crate::policy_needs::ServerAddress;
use crate::terminal_text::printable;

const ENVOY: &str = include_str!("../../../../envoy/envoy.yaml");
/// The cluster of the only MCP server.
const SERVER: &str = "mcp_server";
/// The port of a `resource` that names none.
const DEFAULT_PORT: u16 = 10000;
/// The place of the filter in a file that Envoy watches.
const POLICY_DIRECTORY: &str = "/etc/envoy/policy";
/// The certificates of authorities that Envoy trusts, as Debian and the image of Envoy have them.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Files and addresses of this machine, in place of those of the shipped configuration.
#[derive(Debug, Default)]
pub(crate) struct MachinePlaces {
    /// The port of the admin interface, on loopback. 0: any free one.
    pub(crate) admin_port: Option<u16>,
    /// The certificates of authorities.
    pub(crate) authorities: Option<String>,
    /// The directory of the file with the filter.
    pub(crate) policy_directory: Option<String>,
}

/// An MCP server behind a policy.
struct McpServer {
    /// Its cluster.
    cluster: String,
    address: ServerAddress,
    /// Its path, if Envoy has to replace the policy's.
    path: Option<String>,
    /// The path of the policy's requests; `None` for the only policy.
    route: Option<String>,
}

pub(super) fn one_file(
    input: &RenderInput,
    arguments: &RenderArguments,
) -> Result<Vec<RenderedFile>, Failure> {
    let template = configuration(input, arguments, &MachinePlaces::default())?;
    Ok(vec![RenderedFile {
        name: "envoy.yaml",
        text: template.text(),
    }])
}

/// Envoy's file, and the filter in a file of its own.
pub(crate) fn two_files(
    input: &RenderInput,
    arguments: &RenderArguments,
    places: &MachinePlaces,
) -> Result<Vec<RenderedFile>, Failure> {
    let directory = places.policy_directory.as_deref();
    let directory = directory.unwrap_or(POLICY_DIRECTORY);
    let mut template = configuration(input, arguments, places)?;
    let head = template.line("- name: mcp_auth")?;
    let block = template.block(head);
    let typed_config = template.line_in(block.clone(), "typed_config:")?;
    let filter = template.part(typed_config..block.end).dedented();
    let discovered = format!(
        "- name: mcp_auth\n  config_discovery:\n    config_source:\n      path_config_source:\n        \
         path: {directory}/mcp_auth.yaml\n        watched_directory: {{path: {directory}}}\n      \
         resource_api_version: V3\n    \
         type_urls: [type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm]"
    );
    template.replace(block, Vec::new());
    template.add_behind(head, &discovered);
    template.replace(head..head.saturating_add(1), Vec::new());
    let mut text = String::from(
        "# The filter and its policy. To change it, write a new file beside this one, and move it over this one.\n\
         resources:\n  - \"@type\": type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig\n    \
         name: mcp_auth\n",
    );
    text.push_str(&indented(&filter, "    ").join("\n"));
    text.push('\n');
    Ok(vec![
        RenderedFile {
            name: "envoy.yaml",
            text: template.text(),
        },
        RenderedFile {
            name: "mcp_auth.yaml",
            text,
        },
    ])
}

/// Envoy's configuration as a text, for a run on this machine.
fn configuration(
    input: &RenderInput,
    arguments: &RenderArguments,
    places: &MachinePlaces,
) -> Result<Template, Failure> {
    let mut template = Template::of(ENVOY);
    template.set("#   mcp-auth render ", &arguments.command())?;
    let listen = listen_address(input, arguments);
    let address = quoted(&listen.ip().to_string());
    let address = format!("address: {address}, port_value: {}", listen.port());
    template.rename("address: 0.0.0.0, port_value: 10000", &address);
    if let Some(port) = places.admin_port {
        template.rename("port_value: 9901", &format!("port_value: {port}"));
    }
    fit_buffer(&mut template, "per_connection_buffer_limit_bytes: ", input)?;
    if let Some(module) = &arguments.module {
        template.set("local: {filename: ", &format!("{}}}", quoted(module)))?;
    }
    set_variables(&mut template, input)?;
    let servers = servers(input, arguments)?;
    set_routes(&mut template, &servers)?;
    let authorities = places.authorities.as_deref().unwrap_or(AUTHORITIES);
    set_clusters(&mut template, input, &servers, authorities)?;
    let own = |key: &str| {
        let index = key
            .strip_prefix("policies[")
            .and_then(|rest| rest.split_once(']'));
        let index = index.and_then(|(index, _)| index.parse::<usize>().ok());
        servers.get(index.unwrap_or(0)).or(servers.first())
    };
    let renamed = input.clusters_of_mcp_servers().filter_map(|(key, name)| {
        let server = own(key)?;
        (server.cluster != *name).then(|| (key.clone(), server.cluster.clone()))
    });
    let renamed: Vec<_> = renamed.collect();
    // Last: a policy may have lines like those that are searched.
    match renamed.as_slice() {
        [] => set_policy(&mut template, &input.text)?,
        names => set_policy(&mut template, &input.text_with_clusters(names)?)?,
    }
    Ok(template)
}

/// The address of the listener.
pub(crate) fn listen_address(input: &RenderInput, arguments: &RenderArguments) -> SocketAddr {
    arguments.listen.unwrap_or_else(|| {
        let resource = input
            .first()
            .and_then(|policy| Url::parse(&policy.resource).ok());
        let port = resource.and_then(|url| url.port()).unwrap_or(DEFAULT_PORT);
        match input.needs.is_local {
            true => SocketAddr::from(([127, 0, 0, 1], port)),
            false => SocketAddr::from(([0, 0, 0, 0], port)),
        }
    })
}

/// Lets Envoy buffer what the policy lets pass, and never less than the shipped limit.
pub(super) fn fit_buffer(
    template: &mut Template,
    key: &str,
    input: &RenderInput,
) -> Result<(), Failure> {
    let bytes = match fits(shipped_buffer(), input.needs.buffer) {
        true => shipped_buffer(),
        false => buffer_for(input.needs.buffer),
    };
    template.set(key, &bytes.to_string())
}

/// The limit of the shipped configuration, in bytes.
fn shipped_buffer() -> usize {
    let lines = ENVOY.lines().map(str::trim_start);
    let mut limits =
        lines.filter_map(|line| line.strip_prefix("per_connection_buffer_limit_bytes: "));
    limits
        .next()
        .and_then(|limit| limit.trim().parse().ok())
        .unwrap_or(0)
}

/// The capabilities that the module needs, as shipped.
pub(crate) fn capabilities() -> Vec<&'static str> {
    let list = ENVOY
        .split_once("allowed_capabilities:")
        .unwrap_or_default();
    let lines = list.1.lines().skip(1).map(str::trim);
    let lines = lines.take_while(|line| line.ends_with(": {}") || line.starts_with('#'));
    lines.filter_map(|line| line.strip_suffix(": {}")).collect()
}

/// Whether a buffer of this many bytes is enough where `needed` bytes are needed.
pub(crate) fn fits(limit: usize, needed: usize) -> bool {
    limit >= needed
}

/// The buffer for a need of this many bytes: whole MiB.
fn buffer_for(needed: usize) -> usize {
    const MIB: usize = 1024 * 1024;
    needed.div_ceil(MIB).saturating_mul(MIB)
}

/// Passes the policy's variables to the module.
pub(super) fn set_variables(template: &mut Template, input: &RenderInput) -> Result<(), Failure> {
    let variables = input.needs.variables.join(", ");
    template.set(
        "environment_variables: ",
        &format!("{{host_env_keys: [{variables}]}}"),
    )
}

/// Puts a policy into the filter's configuration.
pub(super) fn set_policy(template: &mut Template, policy: &str) -> Result<(), Failure> {
    let kind = template.line("\"@type\": type.googleapis.com/google.protobuf.Struct")?;
    let value = kind.saturating_add(1);
    template.replace_block(value, policy);
    Ok(())
}

/// The MCP servers of the policies.
fn servers(input: &RenderInput, arguments: &RenderArguments) -> Result<Vec<McpServer>, Failure> {
    let policies: Vec<&policy::Policy> = input.policies().collect();
    if let ([policy], [url]) = (policies.as_slice(), arguments.upstream.as_slice()) {
        return Ok(vec![server(policy, url, None)?]);
    }
    let mut servers: Vec<McpServer> = Vec::new();
    for policy in &policies {
        let given = arguments.upstream.iter().find_map(|given| {
            let (path, url) = given.split_once('=')?;
            (path == policy.path || path == policy.resource).then_some(url)
        });
        let Some(url) = given else {
            let (message, next) = match policies.len() {
                1 => (
                    "the MCP server is not named".to_owned(),
                    "name it with --upstream URL, such as --upstream http://127.0.0.1:8000/mcp"
                        .to_owned(),
                ),
                _ => (
                    format!(
                        "the MCP server of {} is not named",
                        printable(&policy.resource)
                    ),
                    format!("name it with --upstream {}=URL", printable(&policy.path)),
                ),
            };
            return Err(Failure::usage(message, next));
        };
        let own = server(policy, url, Some(policy.path.clone()))?;
        if servers.iter().any(|other| other.route == own.route) {
            return Err(Failure::usage(
                format!("two policies have the path {}", printable(&policy.path)),
                "give each policy a path of its own with `path`, or write a virtual host for each by hand",
            ));
        }
        servers.push(own);
    }
    Ok(servers)
}

fn server(policy: &policy::Policy, url: &str, route: Option<String>) -> Result<McpServer, Failure> {
    let Some((address, parsed)) = ServerAddress::of_url(url).zip(Url::parse(url).ok()) else {
        return Err(Failure::usage(
            format!("`{}` is no URL of an MCP server", printable(url)),
            "write it with scheme and host, such as http://127.0.0.1:8000/mcp",
        ));
    };
    let is_same = parsed.path() == policy.path || matches!(parsed.path(), "" | "/");
    let cluster = match &route {
        None => SERVER.to_owned(),
        Some(path) => {
            let word = |character: char| match character.is_ascii_alphanumeric() {
                true => character,
                false => '_',
            };
            format!("{SERVER}{}", path.chars().map(word).collect::<String>())
        }
    };
    Ok(McpServer {
        cluster,
        address,
        path: (!is_same).then(|| parsed.path().to_owned()),
        route,
    })
}

/// One route for each server, with the settings of the shipped route.
fn set_routes(template: &mut Template, servers: &[McpServer]) -> Result<(), Failure> {
    let block = template.block(template.line("routes:")?);
    let shipped = template.part(block.clone());
    let mut lines = Vec::new();
    for server in servers {
        let mut route = shipped.clone();
        if let Some(path) = &server.route {
            route.rename("{prefix: /}", &format!("{{path: {}}}", quoted(path)));
        }
        route.set("cluster: ", &server.cluster)?;
        let cluster = route.line("cluster: ")?;
        if let Some(path) = &server.path {
            // Every path but the policy's is answered by the filter.
            let path = quoted(path);
            let rewrite =
                format!("regex_rewrite: {{pattern: {{regex: \"^[^?]*\"}}, substitution: {path}}}");
            route.add_behind(cluster, &rewrite);
        }
        if server.address.tls {
            let host = quoted(&server.address.authority());
            route.add_behind(cluster, &format!("host_rewrite_literal: {host}"));
        }
        lines.extend(route.into_lines());
    }
    template.replace(block, lines);
    Ok(())
}

/// The settings of a cluster that the policy names, as shipped, for a list.
pub(super) fn named_cluster(name: &str, server: &ServerAddress) -> Result<Template, Failure> {
    let template = Template::of(ENVOY);
    let (_, other) = shipped_clusters(&template)?;
    cluster(&other, name, server, AUTHORITIES)
}

/// The shipped cluster of the MCP server, and that of a server that the policy names.
fn shipped_clusters(template: &Template) -> Result<(Template, Template), Failure> {
    let block = template.block(template.line("clusters:")?);
    match template.items(block).as_slice() {
        [server, other] => Ok((template.part(server.clone()), template.part(other.clone()))),
        _ => Err(Failure::usage(
            "the shipped configuration has other clusters",
            "report this as a bug",
        )),
    }
}

/// One cluster for each server, with the settings of the shipped clusters.
fn set_clusters(
    template: &mut Template,
    input: &RenderInput,
    servers: &[McpServer],
    authorities: &str,
) -> Result<(), Failure> {
    let block = template.block(template.line("clusters:")?);
    let (server, other) = shipped_clusters(template)?;
    let mut lines = Vec::new();
    let mcp = servers
        .iter()
        .map(|it| (&server, it.cluster.as_str(), &it.address));
    let named = input.needs.clusters.iter();
    let named = named.filter_map(|it| Some((&other, it.name.as_str(), it.server.as_ref()?)));
    for (shipped, name, address) in mcp.chain(named) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(cluster(shipped, name, address, authorities)?.into_lines());
    }
    template.replace(block, lines);
    Ok(())
}

fn cluster(
    shipped: &Template,
    name: &str,
    server: &ServerAddress,
    authorities: &str,
) -> Result<Template, Failure> {
    let mut cluster = shipped.clone();
    let name = quoted(name);
    cluster.set("- name: ", &name)?;
    cluster.set("cluster_name: ", &name)?;
    let host = quoted(&server.host);
    cluster.set(
        "- endpoint: ",
        &format!(
            "{{address: {{socket_address: {{address: {host}, port_value: {}}}}}}}",
            server.port
        ),
    )?;
    if server.tls {
        let line = cluster.line("connect_timeout: ")?;
        cluster.add_behind(line, &tls(server, authorities));
    }
    Ok(cluster)
}

/// TLS that verifies the name of the server.
fn tls(server: &ServerAddress, authorities: &str) -> String {
    let host = quoted(&server.host);
    let (sni, kind) = match server.host.parse::<std::net::IpAddr>() {
        Ok(_) => (String::new(), "IP_ADDRESS"),
        Err(_) => (format!("    sni: {host}\n"), "DNS"),
    };
    format!(
        "transport_socket:\n  name: envoy.transport_sockets.tls\n  typed_config:\n    \
         \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext\n\
         {sni}    common_tls_context:\n      validation_context:\n        \
         trusted_ca: {{filename: {}}}\n        match_typed_subject_alt_names:\n          \
         - {{san_type: {kind}, matcher: {{exact: {host}}}}}",
        quoted(authorities)
    )
}

/// A scalar of YAML in flow style. It is quoted where it could be read as another value.
pub(crate) fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
    let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    let is_ip = text.parse::<std::net::Ipv4Addr>().is_ok();
    let is_value = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
        .contains(&text.to_ascii_lowercase().as_str());
    if (is_word || is_ip) && !is_value && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}
