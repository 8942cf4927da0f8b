"""MCP servers whose tools use accounts at the resource, which users connect on the filter's pages."""

from __future__ import annotations

from typing import Any

from demo import proxy

from ..harness.envoy import ROOT
from ..harness.envoy_config import ENVIRONMENT, Listener
from . import providers
from .links import PAGES
from .notes_api import SCOPES
from .replicas import Site
from .stage import GRANTS, Stage

TITLE = "Notes"

ETCD = {"etcd": {"cluster": "etcd"}}

# A client whose secret is known to the filter, as opposed to a public one.
CONFIDENTIAL = {"token_endpoint_auth_method": "client_secret_basic"}


PUBLIC = {"token_endpoint_auth_method": "none"}


def signs_in(stage: Stage, url: str, **changes: Any) -> dict[str, Any]:
    """How users sign in to the pages of the server at this address; it is told about sign-outs if it asks for it."""
    pages = _pages(url)
    told = {"backchannel_logout_uri": f"{pages}logout", "backchannel_logout_session_required": True}
    told = told if changes.get("back_channel_logout") else {}
    registered = providers.register(stage.login, redirect_uris=[f"{pages}signed-in"], **PUBLIC, **told)
    return {
        "authorize": f"{stage.login.issuer}/auth",
        "token": {"cluster": "login", "path": "/token"},
        "client_id": registered["client_id"],
        **changes,
    }


def _pages(url: str) -> str:
    return url.removesuffix("/mcp") + PAGES


def notes(
    cluster: str = "notes",
    client: dict[str, Any] | None = None,
    sign_in: dict[str, Any] | None = None,
    connection: dict[str, Any] | None = None,
    discover: dict[str, Any] | None = None,
    tools: dict[str, Any] | None = None,
    **policy: Any,
) -> Site:
    """A site whose tools need a connection. What is changed: the client's registration at the resource, how users
    sign in, the connection, rules of tools, top-level keys of the policy. Where users sign in is told about
    sign-outs if the policy asks for it. With `discover` there is no registration: the filter makes its own.

    Only one site of a module can have a `CONFIDENTIAL` client: those with an environment share a VM.
    """

    def site(stage: Stage, url: str) -> Listener:
        secret = None
        if discover is None:
            back = {"redirect_uris": [f"{_pages(url)}callback/notes"], "grant_types": GRANTS}
            registered = providers.register(stage.resource, **{**back, **PUBLIC, **(client or {})})
            secret = registered.get("client_secret")
            server = _written(stage, registered)
        else:
            server = {"discover": discover}
        about = stage.policy(url, **{"store": ETCD, **policy})
        about["issuers"][0]["sign_in"] = signs_in(stage, url, **(sign_in or {}))
        about["connections"] = {
            "notes": {
                "title": TITLE,
                "issuer": stage.resource.issuer,
                **server,
                "scopes": SCOPES,
                "allows": ["Read your notes", "Add notes"],
                "resource": stage.api.url,
                "account": {"cluster": "api", "path": "/me", "field": "account"},
                "lifetime": "10m",
                **(connection or {}),
            }
        }
        about["tools"] = {"notes.*": {"connection": "notes"}, **(tools or {})}
        environment = {**ENVIRONMENT, "NOTES_SECRET": secret} if secret else None
        return Listener(about, cluster, environment=environment)

    return site


def at_simple_provider(sign_in: dict[str, Any] | None = None, **connection: Any) -> Site:
    """A site whose callers sign in, and have their accounts, at the provider that does as a test says."""

    def site(stage: Stage, url: str) -> Listener:
        made = notes(discover={"cluster": "simple"})(stage, url)
        [issuer], about = made.policy["issuers"], made.policy["connections"]["notes"]
        provider = stage.simple.issuer
        issuer |= {"issuer": provider, "jwks": {"cluster": "simple", "path": "/jwks"}}
        issuer["sign_in"] = {
            "authorize": f"{provider}/authorize",
            "token": {"cluster": "simple", "path": "/token"},
            "client_id": "pages",
            **(sign_in or {}),
        }
        about |= {"issuer": provider, "client_id": "filter", "scopes": ["openid"], **connection}
        del about["resource"]
        return made

    return site


def shipped(stage: Stage, url: str) -> Listener:
    """The policy to start from, as its head says: with the two providers in it."""
    about = proxy.load(ROOT / "envoy" / "two-layers-policy.yaml")
    back = {"redirect_uris": [f"{_pages(url)}callback/notes"], "grant_types": GRANTS, **CONFIDENTIAL}
    connects = providers.register(stage.resource, **back)
    [issuer], notes = about["issuers"], about["connections"]["notes"]
    about["resource"] = url
    issuer |= {"issuer": stage.login.issuer, "sign_in": signs_in(stage, url)}
    notes |= {"issuer": stage.resource.issuer, "scopes": SCOPES, **_written(stage, connects)}
    return Listener(about, "notes", environment={**ENVIRONMENT, "NOTES_SECRET": connects["client_secret"]})


def _written(stage: Stage, client: dict[str, Any]) -> dict[str, Any]:
    """What a policy says of the resource's provider, and of a client there."""
    return {
        "iss": "required",
        "authorize": f"{stage.resource.issuer}/auth",
        "token": {"cluster": "resource", "path": "/token"},
        "revoke": {"cluster": "resource", "path": "/token/revocation"},
        "client_id": client["client_id"],
        **({"client_secret_env": "NOTES_SECRET"} if "client_secret" in client else {}),
    }
