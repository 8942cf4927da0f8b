//! The resources of Envoy Gateway, from `envoy/envoy-gateway.yaml`: an EnvoyExtensionPolicy, an EnvoyPatchPolicy for
//! the settings that it does not have, and the policies for traffic.

use super::envoy_file::{fit_buffer, named_cluster, quoted};
use super::istio::module_hash;
use super::template::{Template, indented};
use super::{RenderArguments, RenderInput, RenderedFile};
use crate::Failure;
use crate::policy_needs::ServerAddress;
use crate::terminal_text::printable;

const GATEWAY: &str = include_str!("../../../../envoy/envoy-gateway.yaml");
/// What stands for the policy while other lines are searched: a policy may have lines like those.
const PLACEHOLDER: &str = "policy: here";
/// The type of a patch that adds a cluster.
const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";

pub(super) fn render(
    input: &RenderInput,
    arguments: &RenderArguments,
) -> Result<Vec<RenderedFile>, Failure> {
    let mut template = Template::of(GATEWAY);
    template.set("#   mcp-auth render ", &arguments.command())?;
    let policy = template.line("config:")?;
    template.replace_block(policy, PLACEHOLDER);
    set_names(&mut template, arguments)?;
    set_module(&mut template, arguments)?;
    let variables = &input.needs.variables;
    template.set("env: {hostKeys: ", &format!("[{}]}}", variables.join(", ")))?;
    let of_proxy = variables.iter().map(|name| {
        format!(
            "- {{name: {name}, valueFrom: {{secretKeyRef: {{name: mcp-auth, key: {name}}}}}}}\n"
        )
    });
    let container = template.line("container:")?;
    let env = template.line_in(template.block(container), "env:")?;
    match variables.as_slice() {
        [] => template.set("container:", " {}").map(|()| {
            let block = template.block(container);
            template.replace(block, Vec::new());
        })?,
        _ => template.replace_block(env, &of_proxy.collect::<String>()),
    }
    set_clusters(&mut template, input)?;
    fit_buffer(&mut template, "bufferLimit: ", input)?;
    let policy = template.line("config:")?;
    let (namespace, route) = (&arguments.namespace, &arguments.route);
    let name = |given: &Option<String>| given.as_deref().unwrap_or("crm").to_owned();
    let own = format!("httproute/{}/{}/rule/0", name(namespace), name(route));
    let keys = input.clusters_of_mcp_servers();
    let names: Vec<_> = keys.map(|(key, _)| (key.clone(), own.clone())).collect();
    template.replace_block(policy, &input.text_with_clusters(&names)?);
    Ok(vec![RenderedFile {
        name: "envoy-gateway.yaml",
        text: template.text(),
    }])
}

/// The names of the Gateway, its listener, the HTTPRoute and the server.
fn set_names(template: &mut Template, arguments: &RenderArguments) -> Result<(), Failure> {
    let name = |option: &str, given: &Option<String>, shipped: &'static str| match given {
        None => Ok(shipped.to_owned()),
        Some(given) => {
            let is_name = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte)
            };
            match !given.is_empty() && given.bytes().all(is_name) {
                true => Ok(given.clone()),
                false => Err(Failure::usage(
                    format!(
                        "`{}` is no name of a resource in Kubernetes",
                        printable(given)
                    ),
                    format!("give {option} lower-case letters, digits and dashes"),
                )),
            }
        }
    };
    let namespace = name("--namespace", &arguments.namespace, "crm")?;
    let gateway = name("--gateway", &arguments.gateway, "eg")?;
    let listener = name("--listener", &arguments.listener, "https")?;
    let route = name("--route", &arguments.route, "crm")?;
    template.set("namespace: ", &quoted(&namespace))?;
    let target = |kind: &str, name: &str| format!("kind: {kind}, name: {}}}", quoted(name));
    template.rename(&target("Gateway", "eg"), &target("Gateway", &gateway));
    template.rename(&target("HTTPRoute", "crm"), &target("HTTPRoute", &route));
    template.rename(
        "name: crm/eg/https",
        &format!("name: {namespace}/{gateway}/{listener}"),
    );
    let filter = |namespace: &str| format!("/envoyextensionpolicy/{namespace}/mcp-auth/");
    template.rename(&filter("crm"), &filter(&namespace));
    let owner = |namespace: &str, gateway: &str| {
        format!(
            "gateway.envoyproxy.io/owning-gateway-namespace: {}, gateway.envoyproxy.io/owning-gateway-name: {}}}",
            quoted(namespace),
            quoted(gateway)
        )
    };
    template.rename(&owner("crm", "eg"), &owner(&namespace, &gateway));
    if let Some((key, value)) = arguments
        .workload
        .as_ref()
        .and_then(|it| it.split_once('='))
    {
        let labels = format!(
            "podSelector: {{matchLabels: {{{}: {}}}}}",
            quoted(key),
            quoted(value)
        );
        template.rename("podSelector: {matchLabels: {app: crm}}", &labels);
    }
    Ok(())
}

/// The module: a file, or an image of a registry.
fn set_module(template: &mut Template, arguments: &RenderArguments) -> Result<(), Failure> {
    if let Some(module) = &arguments.module {
        let image = module.strip_prefix("oci://");
        if ServerAddress::of_url(module).is_none() && image.is_none() {
            return Err(Failure::usage(
                "the module has no URL",
                "give one that Envoy Gateway can download: --module https://HOST/mcp_auth_filter.wasm, or oci://",
            ));
        }
        if image.is_some() {
            template.rename("        type: HTTP", "        type: Image");
            template.rename("        http:", "        image:");
        }
        template.set("url: ", image.unwrap_or(module))?;
    }
    if let Some(hash) = module_hash(arguments)? {
        template.set("sha256: ", &hash)?;
    }
    Ok(())
}

/// A patch for each cluster, behind the patches of the listener.
fn set_clusters(template: &mut Template, input: &RenderInput) -> Result<(), Failure> {
    let patches = template.block(template.line("jsonPatches:")?);
    let items = template.items(patches.clone());
    let is_cluster =
        |item: &&std::ops::Range<usize>| template.part((*item).clone()).text().contains(CLUSTER);
    let first = items
        .iter()
        .find(is_cluster)
        .map_or(patches.end, |item| item.start);
    let mut text = String::new();
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
        "- type: {CLUSTER}\n  name: {}\n  operation:\n    op: add\n    path: \"\"\n    value:\n{settings}",
        quoted(name)
    ))
}
