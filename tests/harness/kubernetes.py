"""deploy/kubernetes, made with the real tools, and put into Envoy as Istio and Envoy Gateway do it."""

from __future__ import annotations

import copy
import functools
import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from demo import proxy

from .envoy import ROOT
from .process import NODE

DEPLOY = ROOT / "deploy" / "kubernetes"
CHART = DEPLOY / "chart"
OVERLAYS = ["istio-sidecar", "istio-gateway", "istio-waypoint", "envoy-gateway"]
TOOLS = ROOT / ".clients" / "kubernetes" / "bin"
SCRIPTS = ROOT / "tests" / "kubernetes"

NAMESPACE = "crm"
WASM = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"
EXTENSION = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
MANAGER = "envoy.filters.network.http_connection_manager"

Resource = dict[str, Any]


class ToolError(Exception):
    """A tool ended with an error; the text is what it said."""


def run(*command: str | Path, given: str = "") -> str:
    """What a tool prints."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise ToolError(done.stderr + done.stdout)
    return done.stdout


@functools.cache
def _text(directory: Path) -> str:
    return run(TOOLS / "kubectl", "kustomize", directory)


def built(directory: Path) -> list[Resource]:
    """What `kubectl apply -k` would send."""
    return list(yaml.safe_load_all(_text(directory)))


def overlay(name: str) -> list[Resource]:
    """The resources of an overlay."""
    return built(DEPLOY / "overlays" / name)


def chart(values: Resource) -> list[Resource]:
    """What `helm install` would send."""
    rendered = run(TOOLS / "python", SCRIPTS / "render_chart.py", CHART, NAMESPACE, given=json.dumps(values))
    return [each for text in json.loads(rendered) for each in yaml.safe_load_all(text) if each]


def mistakes(resources: list[Resource], directory: Path) -> list[str]:
    """What the published schemas say: of Kubernetes itself, of Istio and of Envoy Gateway."""
    core = [each for each in resources if _is_core(each)]
    file = directory / "core.yaml"
    file.write_text(yaml.safe_dump_all(core))
    try:
        run(TOOLS / "kubernetes-validate", "--strict", "--quiet", file)
    except ToolError as error:
        return [str(error)]
    others = json.dumps([each for each in resources if not _is_core(each)])
    found: list[str] = json.loads(run(NODE, SCRIPTS / "validate.mjs", given=others))
    return found


def _is_core(resource: Resource) -> bool:
    group = resource["apiVersion"].rpartition("/")[0]
    return "." not in group or group == "networking.k8s.io"


def only(resources: list[Resource], kind: str) -> Resource:
    """The only resource of a kind."""
    [found] = [each for each in resources if each["kind"] == kind]
    return found


# Istio


@dataclass(frozen=True)
class Chain:
    """A filter chain that istiod makes, as far as patches match it."""

    context: str
    listener: str = ""
    name: str = ""
    sni: str = ""
    # None: a listener inside the proxy, without a port.
    port: int | None = None


CHAINS = {
    "istio-sidecar": Chain("SIDECAR_INBOUND", "virtualInbound", name="0.0.0.0_8000", port=8000),
    "istio-gateway": Chain("GATEWAY", sni="crm.example.com", port=443),
    "istio-waypoint": Chain("SIDECAR_INBOUND", "main_internal", name="inbound-vip|8000|http|crm.crm.svc.cluster.local"),
}
# Of other servers at the same proxy.
OTHER_CHAINS = {
    "istio-sidecar": Chain("SIDECAR_INBOUND", "virtualInbound", name="0.0.0.0_9000", port=9000),
    "istio-gateway": Chain("GATEWAY", sni="other.example.com", port=443),
    "istio-waypoint": Chain("SIDECAR_INBOUND", "main_internal", name="inbound-vip|8000|http|other.crm.svc.cluster.local"),
}


def _matches(patch: Resource, chain: Chain) -> bool:
    """Whether a patch is for a filter chain (istiod: listenerMatch and filterChainMatch)."""
    match = patch.get("match", {})
    if match.get("context") != chain.context:
        return False
    listener = match.get("listener", {})
    if listener.get("portNumber", chain.port) != chain.port or listener.get("name", chain.listener) != chain.listener:
        return False
    wanted = listener.get("filterChain", {})
    assert set(wanted) <= {"name", "sni", "filter"}, wanted
    return wanted.get("name", chain.name) == chain.name and wanted.get("sni", chain.sni) == chain.sni


def with_istio(config: proxy.Config, resources: list[Resource], chain: Chain, file: Path) -> proxy.Config:
    """Envoy as istiod configures it after the patches. The discovered filter stands in a file."""
    filters = only(resources, "EnvoyFilter")["spec"]["configPatches"]
    names = Names.of(config)
    _bare(config)
    listener = config["static_resources"]["listeners"][0]
    manager = proxy.connection_manager(config)
    extensions = {}
    for each in filters:
        value = copy.deepcopy(each["patch"]["value"])
        if each["applyTo"] == "EXTENSION_CONFIG":
            extensions[value["name"]] = value
        elif not _matches(each, chain):
            continue
        elif each["applyTo"] == "LISTENER":
            _merge(listener, value)
        elif each["applyTo"] == "NETWORK_FILTER":
            _merge(manager, value["typed_config"])
        elif each["applyTo"] == "HTTP_FILTER":
            assert each["patch"]["operation"] == "INSERT_BEFORE"
            wanted = each["match"]["listener"]["filterChain"]["filter"]["subFilter"]["name"]
            there = [one["name"] for one in manager["http_filters"]]
            manager["http_filters"].insert(there.index(wanted), value)
        else:
            raise AssertionError(each["applyTo"])
    for one in manager["http_filters"]:
        if "config_discovery" in one:
            extension = extensions[one["name"]]
            names.put(extension["typed_config"]["config"], config)
            source = one["config_discovery"]["config_source"]
            del source["ads"]
            source["path_config_source"] = {"path": str(file)}
            file.write_text(json.dumps({"resources": [{"@type": EXTENSION, **extension}]}))
    # Envoy discovers nothing without a name of its own; Istio gives it one.
    config["node"] = {"id": "proxy", "cluster": "crm"}
    return config


def _merge(into: Resource, value: Resource) -> None:
    """Merges as protobuf does."""
    for key, each in value.items():
        if isinstance(each, dict) and isinstance(into.get(key), dict):
            _merge(into[key], each)
        elif isinstance(each, list) and key in into:
            into[key] += each
        else:
            into[key] = each


# Envoy Gateway


def with_envoy_gateway(
    config: proxy.Config, resources: list[Resource], patched: bool = True, code: Resource | None = None
) -> proxy.Config:
    """Envoy as Envoy Gateway 1.9 configures it (internal/xds/translator: wasm.go, listener.go, jsonpatch.go)."""
    names = Names.of(config)
    if code is not None:
        names = replace(names, code=code)
    _bare(config)
    extension = only(resources, "EnvoyExtensionPolicy")
    [module] = extension["spec"]["wasm"]
    name = f"envoyextensionpolicy/{NAMESPACE}/{extension['metadata']['name']}/wasm/0"
    plugin = {
        "name": module["name"],
        "root_id": module["rootID"],
        "vm_config": {
            "vm_id": name,
            "runtime": "envoy.wasm.runtime.v8",
            "code": {},
            "environment_variables": {"host_env_keys": module["env"]["hostKeys"]},
        },
        "configuration": {"value": module["config"]},
    }
    names.put(plugin, config)
    text = json.dumps(plugin["configuration"]["value"])
    plugin["configuration"] = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": text}
    manager = proxy.connection_manager(config)
    filter_name = f"envoy.filters.http.wasm/{name}"
    # It is enabled for the route that the EnvoyExtensionPolicy names.
    added = {"name": filter_name, "disabled": True, "typed_config": {"@type": WASM, "config": plugin}}
    manager["http_filters"].insert(0, added)
    enabled = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {}}
    for host in manager["route_config"]["virtual_hosts"]:
        for route in host["routes"]:
            route["typed_per_filter_config"] = {filter_name: enabled}
    _set_client_traffic(config, only(resources, "ClientTrafficPolicy")["spec"])
    if patched:
        patches = only(resources, "EnvoyPatchPolicy")["spec"]["jsonPatches"]
        listeners = config["static_resources"]["listeners"]
        operations = [each["operation"] for each in patches if each["type"] == LISTENER]
        given = json.dumps({"resource": listeners[0], "operations": operations})
        listeners[0] = json.loads(run(TOOLS / "python", SCRIPTS / "apply_patches.py", given=given))
    return config


def _set_client_traffic(config: proxy.Config, spec: Resource) -> None:
    """What Envoy Gateway makes of a ClientTrafficPolicy."""
    manager = proxy.connection_manager(config)
    config["static_resources"]["listeners"][0]["per_connection_buffer_limit_bytes"] = int(
        spec["connection"]["bufferLimit"]
    )
    actions = {"RejectRequest": "REJECT_REQUEST"}
    manager["normalize_path"] = True
    manager["merge_slashes"] = not spec["path"]["disableMergeSlashes"]
    manager["path_with_escaped_slashes_action"] = actions[spec["path"]["escapedSlashesAction"]]
    manager["common_http_protocol_options"] = {
        "headers_with_underscores_action": actions[spec["headers"]["withUnderscoresAction"]]
    }
    manager["request_timeout"] = spec["timeout"]["http"]["requestReceivedTimeout"]
    manager["stream_idle_timeout"] = spec["timeout"]["http"]["streamIdleTimeout"]


# Both

# The limits of envoy/envoy.yaml that the proxies of a cluster need as well.
LISTENER_LIMITS = ["per_connection_buffer_limit_bytes"]
MANAGER_LIMITS = [
    "normalize_path",
    "merge_slashes",
    "path_with_escaped_slashes_action",
    "common_http_protocol_options",
    "request_headers_timeout",
    "request_timeout",
]


def limits(config: proxy.Config) -> Resource:
    """The limits of a configuration; Envoy's own where it names none."""
    listener, manager = config["static_resources"]["listeners"][0], proxy.connection_manager(config)
    found = {name: listener.get(name, 1048576) for name in LISTENER_LIMITS}
    return found | {name: manager.get(name) for name in MANAGER_LIMITS}


def _bare(config: proxy.Config) -> None:
    """Without the filter and the limits: a proxy of a cluster has neither by itself."""
    listener, manager = config["static_resources"]["listeners"][0], proxy.connection_manager(config)
    manager["http_filters"] = [manager["http_filters"][-1]]
    for name in LISTENER_LIMITS:
        listener.pop(name, None)
    for name in MANAGER_LIMITS:
        manager.pop(name, None)


@dataclass(frozen=True)
class Names:
    """The module, the server and the issuer of one run."""

    code: Resource
    resource: str
    issuer: str

    @classmethod
    def of(cls, config: proxy.Config) -> Names:
        """Those of the configuration of a `Stack`."""
        policy = proxy.policy(config)
        code = proxy.plugin(config)["vm_config"]["code"]
        return cls(code, policy["resource"], policy["issuers"][0]["issuer"])

    def put(self, plugin: Resource, config: proxy.Config) -> None:
        """Into the settings of the filter, and the issuer's cluster under the name that the policy has for it."""
        plugin["vm_config"]["code"] = self.code
        policy = plugin["configuration"]["value"]
        policy["resource"] = self.resource
        [issuer] = policy["issuers"]
        issuer["issuer"] = self.issuer
        [cluster] = [each for each in config["static_resources"]["clusters"] if each["name"] == "login"]
        cluster["name"] = cluster["load_assignment"]["cluster_name"] = issuer["jwks"]["cluster"]
