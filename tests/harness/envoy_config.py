"""Envoy's configuration for a set of listeners, one policy each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from demo import proxy

Config = dict[str, Any]

# What the shipped configuration lets the module ask of Envoy: no test has more.
CAPABILITIES: Config = proxy.plugin(proxy.load())["capability_restriction_config"]

# What the shipped configuration buffers for one connection, in bytes.
BUFFER_LIMIT: int = proxy.load()["static_resources"]["listeners"][0]["per_connection_buffer_limit_bytes"]

# The VM's environment: what policies name with `key_env`.
ENVIRONMENT = {"MCP_AUTH_KEY": "a secret of the tests, long enough"}

WASM = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
BUFFER = "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer"
MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network"
    ".http_connection_manager.v3.HttpConnectionManager"
)
PROTOCOL_OPTIONS = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
EXTENSION = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
FILE_LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"

# The filter's own record between facts of Envoy's, so that a missing one is seen.
LOG_LINE = (
    '{"listener":"%s","code":%%RESPONSE_CODE%%,"details":"%%RESPONSE_CODE_DETAILS%%",'
    '"flags":"%%RESPONSE_FLAGS%%","record":%%FILTER_STATE(wasm.mcp_auth:PLAIN)%%}\n'
)


@dataclass(frozen=True)
class Listener:
    """One address of Envoy, with the filter in front of a cluster."""

    # None: Envoy alone. Anything else goes to the filter as it is.
    policy: Any = None
    cluster: str = "upstream"
    # For a client that checks the address against the resource's name. 0: any free one.
    port: int = 0
    # An IP address, or a Unix socket's path.
    address: str = "127.0.0.1"
    # Whether Envoy takes the client's address from the connection, not from X-Forwarded-For.
    use_remote_address: bool = False
    stop_iteration: bool = True
    # The limit of a buffer filter after ours.
    buffer_filter: int | None = None
    # Envoy's limit of the time in which a request arrives.
    request_timeout: str | None = None
    # Envoy's own limit of what filters may buffer.
    buffer_limit: int = BUFFER_LIMIT
    before: tuple[Config, ...] = ()
    routes: tuple[Config, ...] = ()
    upgrades: tuple[str, ...] = ()
    # The filter stands in this file, which Envoy watches (see `Envoy.change`). Test modules name one of their own.
    file: Path | None = None
    # Of the VM; listeners with one have a VM of their own.
    environment: dict[str, str] | None = None
    # Capabilities that the VM does not have; listeners with some have a VM of their own.
    without: tuple[str, ...] = ()

    def placed(self, directory: Path) -> Listener:
        """With its file in this directory."""
        return self if self.file is None else replace(self, file=directory / self.file)


@dataclass(frozen=True)
class Cluster:
    """A server on this machine."""

    port: int
    http2: bool = False


def bootstrap(
    listeners: dict[str, Listener], clusters: dict[str, Cluster], wasm: str, access_log: str
) -> Config:
    """The whole configuration. Ports are chosen by the system and asked for afterwards."""
    return {
        # Discovery, also from a file, has to say who asks.
        "node": {"id": "tests", "cluster": "tests"},
        "admin": {"address": _address(0)},
        "static_resources": {
            "listeners": [_listener(n, each, wasm, access_log) for n, each in listeners.items()],
            "clusters": [_cluster(name, each) for name, each in clusters.items()],
        },
    }


def _address(port: int, address: str = "127.0.0.1") -> Config:
    if address.startswith(("/", "@")):
        return {"pipe": {"path": address}}
    # "::" is every address of this machine, those of IPv4 too.
    compat = {"ipv4_compat": True} if address == "::" else {}
    return {"socket_address": {"address": address, "port_value": port, **compat}}


def _listener(name: str, listener: Listener, wasm: str, access_log: str) -> Config:
    return {
        "name": name,
        "address": _address(listener.port, listener.address),
        "per_connection_buffer_limit_bytes": listener.buffer_limit,
        "filter_chains": [{"filters": [_manager(name, listener, wasm, access_log)]}],
    }


def _manager(name: str, listener: Listener, wasm: str, access_log: str) -> Config:
    route = {"match": {"prefix": "/"}, "route": {"cluster": listener.cluster, "timeout": "20s"}}
    manager: Config = {
        "@type": MANAGER,
        "stat_prefix": name,
        "use_remote_address": listener.use_remote_address,
        # The filter has to cope with paths and header names as the client spells them.
        "normalize_path": False,
        "common_http_protocol_options": {"headers_with_underscores_action": "ALLOW"},
        "http_protocol_options": {"enable_trailers": True},
        "upgrade_configs": [{"upgrade_type": each} for each in listener.upgrades],
        "route_config": {
            "virtual_hosts": [
                {"name": name, "domains": ["*"], "routes": [*listener.routes, route]}
            ]
        },
        "http_filters": _filters(listener, wasm),
        "access_log": [_access_log(name, access_log)],
    }
    if listener.request_timeout is not None:
        manager["request_timeout"] = listener.request_timeout
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


def _access_log(name: str, path: str) -> Config:
    log = {
        "@type": FILE_LOG,
        "path": path,
        "log_format": {"text_format_source": {"inline_string": LOG_LINE % name}},
    }
    return {"name": "envoy.access_loggers.file", "typed_config": log}


def _filters(listener: Listener, wasm: str) -> list[Config]:
    filters = list(listener.before)
    if listener.file is not None:
        filters.append(_discovered(listener.file))
    elif listener.policy is not None:
        filters.append(_wasm_filter(listener, wasm))
    if listener.buffer_filter is not None:
        typed = {"@type": BUFFER, "max_request_bytes": listener.buffer_filter}
        filters.append({"name": "envoy.filters.http.buffer", "typed_config": typed})
    return [*filters, {"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}]


def _discovered(file: Path) -> Config:
    path = {"path": str(file), "watched_directory": {"path": str(file.parent)}}
    source = {"path_config_source": path, "resource_api_version": "V3"}
    return {"name": "mcp_auth", "config_discovery": {"config_source": source, "type_urls": [WASM]}}


def discovery_response(listener: Listener, wasm: str) -> Config:
    """What the file of a listener's filter holds."""
    resource = {"@type": EXTENSION, **_wasm_filter(listener, wasm), "name": "mcp_auth"}
    return {"resources": [resource]}


def _wasm_filter(listener: Listener, wasm: str) -> Config:
    plugin: Config = {
        "name": "mcp_auth",
        "root_id": "mcp_auth",
        "failure_policy": "FAIL_RELOAD",
        "vm_config": {
            "vm_id": "mcp_auth",
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": wasm}},
            "environment_variables": {"key_values": ENVIRONMENT},
        },
        "capability_restriction_config": CAPABILITIES,
        "configuration": _configuration(listener.policy),
    }
    if listener.environment:
        variables = {"key_values": ENVIRONMENT | listener.environment}
        plugin["vm_config"] |= {"vm_id": "mcp_auth_env", "environment_variables": variables}
    if listener.without:
        allowed = CAPABILITIES["allowed_capabilities"]
        kept = {name: value for name, value in allowed.items() if name not in listener.without}
        plugin["capability_restriction_config"] = {"allowed_capabilities": kept}
        plugin["vm_config"] |= {"vm_id": "without_" + "_".join(listener.without)}
    if listener.stop_iteration:
        plugin["allow_on_headers_stop_iteration"] = True
    return {
        "name": "envoy.filters.http.wasm",
        "typed_config": {"@type": WASM, "config": plugin},
    }


def _configuration(policy: Any) -> Config:
    if isinstance(policy, str):
        return {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": policy}
    return {"@type": "type.googleapis.com/google.protobuf.Struct", "value": policy}


def _cluster(name: str, cluster: Cluster) -> Config:
    protocol = {"http2_protocol_options": {}} if cluster.http2 else {
        "http_protocol_options": {"enable_trailers": True}
    }
    endpoint = {"endpoint": {"address": _address(cluster.port)}}
    return {
        "name": name,
        "connect_timeout": "2s",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": PROTOCOL_OPTIONS,
                "explicit_http_config": protocol,
            }
        },
    }
