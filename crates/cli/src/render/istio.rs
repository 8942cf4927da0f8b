//! An EnvoyFilter for a sidecar of Istio, from `envoy/istio-envoyfilter.yaml`.

use super::envoy_file::{quoted, set_policy, set_variables};
use super::template::Template;
use super::{RenderArguments, RenderInput, RenderedFile};
use crate::Failure;
use crate::policy_needs::{NeededCluster, ServerAddress, is_of_mcp_server};

const ISTIO: &str = include_str!("../../../../envoy/istio-envoyfilter.yaml");

pub(super) fn render(
    input: &RenderInput,
    arguments: &RenderArguments,
) -> Result<Vec<RenderedFile>, Failure> {
    let (filter, entry, rule, end) = shipped()?;
    let mut text = filter_text(filter, input, arguments)?;
    for cluster in &input.needs.clusters {
        let Some(server) = cluster.server.as_ref().filter(|server| !is_in_mesh(server)) else {
            continue;
        };
        for part in [Some(&entry), server.tls.then_some(&rule)]
            .into_iter()
            .flatten()
        {
            text.push_str("---\n");
            text.push_str(&outside(part, cluster, server, arguments)?.text());
        }
    }
    text.push_str(&end);
    Ok(vec![RenderedFile {
        name: "istio-envoyfilter.yaml",
        text,
    }])
}

/// The documents of the shipped file, and the comment at its end.
fn shipped() -> Result<(Template, Template, Template, String), Failure> {
    let mut parts = ISTIO.split("---\n").map(str::to_owned);
    let (Some(filter), Some(entry), Some(rule), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Failure::usage(
            "the shipped configuration has other documents",
            "report this as a bug",
        ));
    };
    let end = rule
        .find("\n# ")
        .map_or(rule.len(), |end| end.saturating_add(1));
    let (rule, end) = rule.split_at(end);
    Ok((
        Template::of(&filter),
        Template::of(&entry),
        Template::of(rule),
        end.to_owned(),
    ))
}

fn filter_text(
    mut filter: Template,
    input: &RenderInput,
    arguments: &RenderArguments,
) -> Result<String, Failure> {
    filter.set("#   mcp-auth render ", &arguments.command())?;
    if let Some(namespace) = &arguments.namespace {
        filter.set("namespace: ", &quoted(namespace))?;
    }
    if let Some((key, value)) = arguments
        .workload
        .as_ref()
        .and_then(|it| it.split_once('='))
    {
        let label = format!("{{{}: {}}}", quoted(key), quoted(value));
        filter.set("labels: ", &label)?;
    }
    if let Some(server) = arguments.upstream.first() {
        let port = ServerAddress::of_url(server).map(|server| server.port);
        let port = port.ok_or_else(|| {
            Failure::usage(
                "the MCP server is no URL",
                "write --upstream with its port, such as --upstream http://crm:8000",
            )
        })?;
        filter.set("portNumber: ", &port.to_string())?;
    }
    set_module(&mut filter, arguments)?;
    set_variables(&mut filter, input)?;
    let mut names = Vec::new();
    let port = filter.value("portNumber: ")?;
    for cluster in &input.needs.clusters {
        let own = format!("inbound|{port}||");
        let own_keys = cluster.keys.iter().filter(|key| is_of_mcp_server(key));
        names.extend(own_keys.map(|key| (key.clone(), own.clone())));
        let Some(server) = &cluster.server else {
            continue;
        };
        let name = format!("outbound|{}||{}", server.port, server.host);
        let keys = cluster.keys.iter().filter(|key| !is_of_mcp_server(key));
        names.extend(keys.map(|key| (key.clone(), name.clone())));
    }
    set_policy(&mut filter, &input.text_with_clusters(&names)?)?;
    Ok(filter.text())
}

/// The URL and the hash of the module.
fn set_module(template: &mut Template, arguments: &RenderArguments) -> Result<(), Failure> {
    if let Some(module) = &arguments.module {
        template.set("uri: ", module)?;
    }
    if let Some(hash) = module_hash(arguments)? {
        template.set("sha256: ", &hash)?;
    }
    Ok(())
}

/// The hash of the module, quoted.
pub(super) fn module_hash(arguments: &RenderArguments) -> Result<Option<String>, Failure> {
    let Some(hash) = &arguments.sha256 else {
        return Ok(None);
    };
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    match is_hash {
        true => Ok(Some(format!("\"{}\"", hash.to_ascii_lowercase()))),
        false => Err(Failure::usage(
            "the SHA-256 of the module has no 64 hexadecimal digits",
            "print it with `sha256sum mcp_auth_filter.wasm`",
        )),
    }
}

/// Whether Istio knows the host without a ServiceEntry: a service of the cluster.
fn is_in_mesh(server: &ServerAddress) -> bool {
    server.host.ends_with(".local") || server.host.ends_with(".svc")
}

/// A resource for a server outside the mesh.
fn outside(
    shipped: &Template,
    cluster: &NeededCluster,
    server: &ServerAddress,
    arguments: &RenderArguments,
) -> Result<Template, Failure> {
    let mut part = shipped.clone();
    let name = cluster.name.to_ascii_lowercase().replace(['_', '.'], "-");
    part.set("name: ", &quoted(&name))?;
    if let Some(namespace) = &arguments.namespace {
        part.set("namespace: ", &quoted(namespace))?;
    }
    part.rename("login.example.com", &server.host);
    let (name, port) = match server.tls {
        true => ("http-over-tls", server.port),
        false => ("http", server.port),
    };
    if part.line("- {number: ").is_ok() {
        let value = format!("{port}, name: {name}, protocol: HTTP, targetPort: {port}}}");
        part.set("- {number: ", &value)?;
    }
    Ok(part)
}
