"""Envoy's configuration: the listeners that are compared, and the server behind them."""

import copy
import json
import os
from pathlib import Path
from typing import Any

from benches.envoy import messages
from demo import proxy

Config = dict[str, Any]

EXTENSIONS = "type.googleapis.com/envoy.extensions.filters.http"
MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network"
    ".http_connection_manager.v3.HttpConnectionManager"
)
# The same variable as in tests/: another build of the filter.
MODULE = Path(os.environ.get("MCP_AUTH_WASM", proxy.MODULE_FILE)).resolve()
# Larger than any body here. Envoy's own filter has 8 KiB by default, ours 256 KiB.
LIMIT = 256 * 1024

ANSWER = b'{"jsonrpc":"2.0","id":42,"result":{"content":[{"type":"text","text":"done"}]}}'
# The server says in these headers what it received.
RECEIVED_BYTES = "x-received-bytes"
RECEIVED_USER = "x-received-user"


def compared(upstream: int, others: dict[str, Path]) -> Config:
    """The Envoy that is measured. `others`: the modules of the other Wasm filters, by their names."""
    issuer = {
        "issuer": messages.ISSUER,
        "jwks": {"inline": messages.key_set()},
        "algorithms": ["RS256"],
        "identity": {"organization": "org_id", "roles": "realm_access.roles"},
    }
    filters = {
        "router": [],
        **{name: [_other(name, module)] for name, module in others.items()},
        "native": [_jwt_authn(), _mcp(), _rbac()],
        "ours": [_ours([issuer])],
    }
    return _in_front_of(upstream, filters)


def flooded(upstream: int, issuers: list[Config]) -> Config:
    """An Envoy with this filter, which accepts the tokens of these issuers."""
    return _in_front_of(upstream, {"ours": [_ours(issuers)]})


def _in_front_of(upstream: int, filters: dict[str, list[Config]]) -> Config:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}}
    return _bootstrap(
        [_listener(name, chain, route) for name, chain in filters.items()],
        [
            {
                "name": "upstream",
                "connect_timeout": "2s",
                "load_assignment": {
                    "cluster_name": "upstream",
                    "endpoints": [
                        {"lb_endpoints": [{"endpoint": {"address": _address(upstream)}}]}
                    ],
                },
            }
        ],
    )


def server() -> Config:
    """A second Envoy as the server: reads the whole request, answers at once."""
    received = {RECEIVED_BYTES: "%BYTES_RECEIVED%", RECEIVED_USER: "%REQ(x-mcp-user)%"}
    route = {
        "match": {"prefix": "/"},
        "direct_response": {"status": 200, "body": {"inline_string": ANSWER.decode()}},
        "response_headers_to_add": [
            {"header": {"key": name, "value": value}} for name, value in received.items()
        ],
    }
    whole = _filter("buffer", "buffer.v3.Buffer", max_request_bytes=2 * LIMIT)
    return _bootstrap([_listener("server", [whole], route)], [])


def _bootstrap(listeners: list[Config], clusters: list[Config]) -> Config:
    return {
        "admin": {"address": _address(0)},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    }


def _listener(name: str, filters: list[Config], route: Config) -> Config:
    manager = {
        "@type": MANAGER,
        "stat_prefix": name,
        "http_filters": [*filters, _filter("router", "router.v3.Router")],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    }
    http = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return {
        "name": name,
        "address": _address(0),
        "per_connection_buffer_limit_bytes": 4 * LIMIT,
        "filter_chains": [{"filters": [http]}],
    }


def _other(name: str, module: Path) -> Config:
    code = {"local": {"filename": str(module)}}
    vm = {"vm_id": name, "runtime": "envoy.wasm.runtime.v8", "code": code}
    plugin = {"name": name, "vm_config": vm, "allow_on_headers_stop_iteration": True}
    return _filter("wasm", "wasm.v3.Wasm", config=plugin)


def _ours(issuers: list[Config]) -> Config:
    """The filter as envoy/envoy.yaml has it, with a policy like the native chain's."""
    config = proxy.load()
    plugin = proxy.plugin(config)
    plugin["vm_config"]["code"]["local"]["filename"] = str(MODULE)
    plugin["configuration"]["value"] = {
        "resource": messages.RESOURCE,
        "issuers": issuers,
        "roles": {messages.ROLE: {"tools": [messages.ALLOWED]}},
    }
    [found] = [
        i for i in proxy.connection_manager(config)["http_filters"] if i["name"] == "mcp_auth"
    ]
    return copy.deepcopy(found)


def _jwt_authn() -> Config:
    provider = {
        "issuer": messages.ISSUER,
        "audiences": [messages.RESOURCE],
        "local_jwks": {"inline_string": json.dumps(messages.key_set())},
        "jwt_cache_config": {"jwt_cache_size": 100},
        "payload_in_metadata": "claims",
    }
    rule = {"match": {"prefix": "/"}, "requires": {"provider_name": "login"}}
    return _filter(
        "jwt_authn", "jwt_authn.v3.JwtAuthentication", providers={"login": provider}, rules=[rule]
    )


def _mcp() -> Config:
    """In the one setting that can be defended: strict, and judging what is in the body."""
    return _filter(
        "mcp",
        "mcp.v3.Mcp",
        traffic_mode="REJECT_NO_MCP",
        attribute_source="BODY",
        reject_duplicate_keys=True,
        max_request_body_size=LIMIT,
    )


def _rbac() -> Config:
    session = ["initialize", "notifications/initialized", "ping", "tools/list"]
    may_call = {
        "and_rules": {
            "rules": [
                _metadata("mcp", ["method"], _exactly("tools/call")),
                _metadata("mcp", ["params", "name"], _exactly(messages.ALLOWED)),
            ]
        }
    }
    permissions = [may_call, *(_metadata("mcp", ["method"], _exactly(m)) for m in session)]
    roles = ["claims", "realm_access", "roles"]
    has_role = {"list_match": {"one_of": _exactly(messages.ROLE)}}
    policy = {
        "permissions": permissions,
        "principals": [_metadata("jwt_authn", roles, has_role)],
    }
    return _filter(
        "rbac", "rbac.v3.RBAC", rules={"action": "ALLOW", "policies": {messages.ROLE: policy}}
    )


def _metadata(source: str, path: list[str], value: Config) -> Config:
    matcher = {
        "filter": f"envoy.filters.http.{source}",
        "path": [{"key": key} for key in path],
        "value": value,
    }
    return {"sourced_metadata": {"metadata_matcher": matcher, "metadata_source": "DYNAMIC"}}


def _exactly(text: str) -> Config:
    return {"string_match": {"exact": text}}


def _filter(name: str, kind: str, **settings: Any) -> Config:
    typed = {"@type": f"{EXTENSIONS}.{kind}", **settings}
    return {"name": f"envoy.filters.http.{name}", "typed_config": typed}


def _address(port: int) -> Config:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
