"""Everything around a client: Envoy with the filter, the MCP server, and the OpenID provider."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..harness import tokens
from ..harness.envoy import Envoy
from ..harness.envoy_config import Cluster, Listener
from ..harness.introspection import CLIENT_SECRET
from ..harness.mcp_server import McpServer
from ..harness.policy import CLAIMS, CLIENT_ID, SECRET_ENV, Policy, introspected, policy
from .browser import REDIRECT_URI
from .kinds import KINDS, Kind
from .old_server import old_server
from .provider import INTROSPECTION, Provider

# Needed by every request, and by one tool besides.
READ = "crm:read"
SEARCH = "crm:search"

# Two ways to be known to the provider without registering there.
KNOWN = {"client_id": "chat"}
CLIENT_DOCUMENT = "https://apps.example.com/client.json"

# The registration of a client without users.
NO_USERS: dict[str, Any] = {"grant_types": ["client_credentials"], "redirect_uris": [], "response_types": []}

# Seconds; times in tokens have no fractions, so that more than one is left.
SHORT = 3
# An age that a token reaches while a test waits, and that a slow client keeps within.
AGE = 5
HOUR = 3600


def aged(seconds: int) -> dict[str, Any]:
    """A tool that wants a token, or a sign-in, no older than this."""
    return {"crm.search_slowly": {"max_token_age": f"{seconds}s"}}


# The server under several names. For each, what the provider and the policy do about it.
RESOURCES: dict[str, dict[str, Any]] = {
    "crm": {},
    "visible": {"policy": {"refusals": "visible"}},
    "no_refresh": {"refresh_tokens": False},
    "short": {"first_token_lifetime": SHORT},
    "short_no_refresh": {"first_token_lifetime": SHORT, "refresh_tokens": False},
    "fresh_token": {"refresh_tokens": False, "policy": {"tools": aged(AGE)}},
    "fresh_sign_in": {"refresh_tokens": False, "policy": {"tools": aged(HOUR // 2)}, "signed_in_ago": HOUR},
    "old_server": {"cluster": "old_server"},
    "stingy": {"scopes": [READ], "refresh_tokens": False},
    "opaque": {"format": "opaque"},
    "opaque_brief": {"format": "opaque", "cache": "1s"},
    "opaque_short": {"format": "opaque", "first_token_lifetime": SHORT},
    "bound": {"policy": {"dpop": "required"}},
    "bound_opaque": {"format": "opaque", "policy": {"dpop": "accepted"}},
}


@dataclass
class Setting:
    """What the tests look at."""

    provider: Provider
    server: McpServer
    envoy: Envoy
    # The address of the MCP server under each of its names.
    urls: dict[str, str]

    def reset(self) -> None:
        """Forget what was noted."""
        self.provider.reset()
        self.server.reset()


@contextmanager
def setting(directory: Path) -> Iterator[Setting]:
    """Start everything, and stop it afterwards."""
    with ExitStack() as stack:
        ports = {name: stack.enter_context(_reserved_port()) for name in RESOURCES}
        urls = {name: f"http://127.0.0.1:{port}/mcp" for name, port in ports.items()}
        provider = stack.enter_context(closing(Provider(_provider_settings(urls), directory / "provider.log")))
        server = stack.enter_context(closing(McpServer(json_response=False)))
        old = stack.enter_context(closing(old_server(directory / "old_server.log")))
        listeners = {name: _listener(name, url, ports[name], provider.issuer) for name, url in urls.items()}
        clusters = {
            "upstream": Cluster(server.port),
            "old_server": Cluster(old.port),
            "provider": Cluster(provider.port),
        }
        envoy = Envoy(directory, listeners, clusters)
        with envoy.checked() as running:
            yield Setting(provider, server, running, urls)


def _listener(name: str, url: str, port: int, issuer: str) -> Listener:
    about = RESOURCES[name]
    return Listener(
        _policy(url, _trusted(issuer, **about), **about.get("policy", {})),
        about.get("cluster", "upstream"),
        port,
        environment={SECRET_ENV: CLIENT_SECRET},
    )


def _trusted(name: str, format: str = "jwt", cache: str = "1m", **_: Any) -> dict[str, Any]:
    """The provider, as the policy sees it."""
    if format == "opaque":
        endpoint = {"cluster": "provider", "cache": cache}
        return introspected(INTROSPECTION, name, introspection=endpoint, clock_skew="0s")
    return {
        "issuer": name,
        "jwks": {"cluster": "provider", "path": "/jwks"},
        "types": ["at+jwt"],
        "identity": CLAIMS,
        "clock_skew": "0s",
    }


def _policy(resource: str, trusted: dict[str, Any], **changes: Any) -> Policy:
    tools = {"crm.search_slowly": {"scopes": [SEARCH]}}
    return policy(**{"resource": resource, "issuers": [trusted], "scopes": [READ], "tools": tools, **changes})


def _provider_settings(urls: dict[str, str]) -> dict[str, Any]:
    public = {
        "redirect_uris": [REDIRECT_URI],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }
    filter_itself = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **NO_USERS}
    document = {**public, "client_id": CLIENT_DOCUMENT, "client_name": "An app with a document"}
    return {
        "user": tokens.USER,
        "scopes": [READ, SEARCH],
        "claims": {"org_id": tokens.ORGANIZATION, "realm_access": {"roles": ["support"]}},
        "clients": [{**public, **KNOWN}, filter_itself, *map(_robot, KINDS)],
        "client_documents": {CLIENT_DOCUMENT: document},
        "resources": {url: _resource(name) for name, url in urls.items()},
    }


def _resource(name: str) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "first_token_lifetime": 600,
        "refresh_tokens": True,
        "scopes": [READ, SEARCH],
        "format": "jwt",
        # Seconds; the provider remembers the user from then, and its tokens say so.
        "signed_in_ago": None,
    }
    return {key: RESOURCES[name].get(key, default) for key, default in defaults.items()}


def robot(kind: Kind) -> dict[str, str]:
    """Credentials of a client that acts for itself."""
    return {"client_id": f"robot-{kind.name}", "client_secret": "tests"}


def _robot(kind: Kind) -> dict[str, Any]:
    return {**robot(kind), **NO_USERS}


@contextmanager
def _reserved_port() -> Iterator[int]:
    """A port that the system gives to no other program. Envoy shares it, as between its workers."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
