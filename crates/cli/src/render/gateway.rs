//! An EnvoyPatchPolicy for Envoy Gateway, from `envoy/envoy-gateway.yaml`.

use super::envoy_file::{fit_buffer, named_cluster, quoted, set_policy, set_variables};
use super::istio::set_module;
use super::template::{Template, indented};
use super::{RenderArguments, RenderInput, RenderedFile};
use crate::Failure;
use crate::policy_needs::ServerAddress;

const GATEWAY: &str = include_str!("../../../../envoy/envoy-gateway.yaml");
/// The cluster that Envoy downloads the module from.
const MODULE: &str = "mcp_auth_module";
/// The Gateway and its namespace in the shipped file.
const SHIPPED: (&str, &str) = ("crm", "eg");

pub(super) fn render(
    input: &RenderInput,
    arguments: &RenderArguments,
) -> Result<Vec<RenderedFile>, Failure> {
    let mut template = Template::of(GATEWAY);
    template.set("#   mcp-auth render ", &arguments.command())?;
    let namespace = arguments.namespace.as_deref().unwrap_or(SHIPPED.0);
    let gateway = arguments.gateway.as_deref().unwrap_or(SHIPPED.1);
    template.set("namespace: ", &quoted(namespace))?;
    let target = |name: &str| format!("kind: Gateway, name: {}}}", quoted(name));
    template.rename(&target(SHIPPED.1), &target(gateway));
    let listener = template.line(&format!("name: {}/{}/", SHIPPED.0, SHIPPED.1))?;
    template.add_behind(listener, &format!("name: {namespace}/{gateway}/http"));
    template.replace(listener..listener.saturating_add(1), Vec::new());
    set_module(&mut template, arguments)?;
    set_variables(&mut template, input)?;
    set_clusters(&mut template, input)?;
    fit_buffer(&mut template, "bufferLimit: ", input)?;
    let variables = input.needs.variables.iter().map(|name| {
        format!(
            "- {{name: {name}, valueFrom: {{secretKeyRef: {{name: mcp-auth, key: {name}}}}}}}\n"
        )
    });
    let env = template.line("env:")?;
    template.replace_block(env, &variables.collect::<String>());
    // Last: a policy may have lines like those that are searched.
    set_policy(&mut template, &input.text)?;
    Ok(vec![RenderedFile {
        name: "envoy-gateway.yaml",
        text: template.text(),
    }])
}

/// A patch for each cluster, behind the patch of the listener.
fn set_clusters(template: &mut Template, input: &RenderInput) -> Result<(), Failure> {
    let patches = template.block(template.line("jsonPatches:")?);
    let items = template.items(patches.clone());
    let first = items.first().map_or(patches.end, |item| item.end);
    let module = template.part(
        template
            .line("uri: ")
            .map(|line| line..line.saturating_add(1))?,
    );
    let module = module.text();
    let url = module.trim().strip_prefix("uri: ").unwrap_or_default();
    let url = url.split("  #").next().unwrap_or_default();
    let module = ServerAddress::of_url(url).ok_or_else(|| {
        Failure::usage(
            "the module has no URL",
            "give one that Envoy can download: --module https://HOST/mcp_auth_filter.wasm",
        )
    })?;
    let mut text = String::from("# The host of the module. yours\n");
    text.push_str(&patch(MODULE, &module)?);
    for cluster in &input.needs.clusters {
        if let Some(server) = &cluster.server {
            text.push_str("# A server that the policy names. yours\n");
            text.push_str(&patch(&cluster.name, server)?);
        }
    }
    template.replace(first..patches.end, indented(&text, "    "));
    Ok(())
}

/// A patch that adds a cluster.
fn patch(name: &str, server: &ServerAddress) -> Result<String, Failure> {
    let cluster = named_cluster(name, server)?.dedented();
    let settings: String = cluster
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let line = line.strip_prefix("- ").or(line.strip_prefix("  "));
            format!("      {}\n", line.unwrap_or_default())
        })
        .collect();
    Ok(format!(
        "- type: type.googleapis.com/envoy.config.cluster.v3.Cluster\n  name: {}\n  operation:\n    \
         op: add\n    path: \"\"\n    value:\n{settings}",
        quoted(name)
    ))
}
