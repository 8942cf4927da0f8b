//! Docker Compose, from `envoy/compose.yaml`.

use super::template::Template;
use super::{RenderArguments, RenderInput, RenderedFile, envoy_file};
use crate::Failure;

const COMPOSE: &str = include_str!("../../../../envoy/compose.yaml");
/// The machine that runs the containers, as its containers name it.
const MACHINE: &str = "host.docker.internal";

pub(super) fn render(
    input: &RenderInput,
    arguments: &RenderArguments,
) -> Result<Vec<RenderedFile>, Failure> {
    if input.needs.is_local {
        return Err(Failure::usage(
            "a policy with `local` accepts connections of its own machine only, and a container is another one",
            "use `mcp-auth run`, or name an issuer",
        ));
    }
    let mut template = Template::of(COMPOSE);
    template.set("#   mcp-auth render ", &arguments.command())?;
    let port = envoy_file::listen_address(input, arguments).port();
    template.rename("10000:10000", &format!("{port}:{port}"));
    if let Some(module) = &arguments.module {
        template.rename("./mcp_auth_filter.wasm:", &format!("{module}:"));
    }
    let environment = template.line("environment:")?;
    match input.needs.variables.as_slice() {
        [] => template.replace(environment..environment.saturating_add(2), Vec::new()),
        variables => {
            let line =
                |name: &String| format!("{name}: ${{{name}:?set it, or write it into .env}}\n");
            let lines: String = variables.iter().map(line).collect();
            template.replace_block(environment, &lines);
        }
    }
    let mut envoy_file = envoy_file::one_file(input, arguments)?;
    for file in &mut envoy_file {
        // The module is where the volume has it.
        let mut shipped = Template::of(&file.text);
        shipped.set("local: {filename: ", "/etc/envoy/mcp_auth_filter.wasm}")?;
        for loopback in ["127.0.0.1", "localhost", "\"::1\""] {
            rename_endpoints(&mut shipped, loopback)?;
        }
        file.text = shipped.text();
    }
    envoy_file.push(RenderedFile {
        name: "compose.yaml",
        text: template.text(),
    });
    Ok(envoy_file)
}

/// Points clusters on loopback to the machine itself: in a container, loopback is the container.
fn rename_endpoints(template: &mut Template, loopback: &str) -> Result<(), Failure> {
    let endpoint = |host: &str| {
        format!("- endpoint: {{address: {{socket_address: {{address: {host}, port_value: ")
    };
    template.rename(&endpoint(loopback), &endpoint(MACHINE));
    Ok(())
}
