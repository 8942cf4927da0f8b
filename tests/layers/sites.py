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


def sign_in(stage: Stage, url: str) -> dict[str, Any]:
    """How users sign in to the pages of the server at this address."""
    registered = providers.register(stage.login, redirect_uris=[f"{_pages(url)}signed-in"], **PUBLIC)
    return {
        "authorize": f"{stage.login.issuer}/auth",
        "token": {"cluster": "login", "path": "/token"},
        "client_id": registered["client_id"],
    }


def _pages(url: str) -> str:
    return url.removesuffix("/mcp") + PAGES


def notes(
    cluster: str = "notes",
    client: dict[str, Any] | None = None,
    connection: dict[str, Any] | None = None,
    tools: dict[str, Any] | None = None,
    **policy: Any,
) -> Site:
    """A site whose tools need a connection. What is changed: the client's registration at the resource, the
    connection, rules of tools, top-level keys of the policy.

    Only one site of a module can have a `CONFIDENTIAL` client: those with an environment share a VM.
    """

    def site(stage: Stage, url: str) -> Listener:
        back = {"redirect_uris": [f"{_pages(url)}callback/notes"], "grant_types": GRANTS}
        connects = providers.register(stage.resource, **{**back, **PUBLIC, **(client or {})})
        about = stage.policy(url, **{"store": ETCD, **policy})
        about["issuers"][0]["sign_in"] = sign_in(stage, url)
        secret = connects.get("client_secret")
        about["connections"] = {
            "notes": {
                "title": TITLE,
                "issuer": stage.resource.issuer,
                "iss": "required",
                "authorize": f"{stage.resource.issuer}/auth",
                "token": {"cluster": "resource", "path": "/token"},
                "revoke": {"cluster": "resource", "path": "/token/revocation"},
                "client_id": connects["client_id"],
                **({"client_secret_env": "NOTES_SECRET"} if secret else {}),
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


def shipped(stage: Stage, url: str) -> Listener:
    """The policy to start from, as its head says: with the two providers in it."""
    about = proxy.load(ROOT / "envoy" / "two-layers-policy.yaml")
    pages = url.removesuffix("/mcp") + PAGES
    public = {"token_endpoint_auth_method": "none"}
    signs_in = providers.register(stage.login, redirect_uris=[f"{pages}signed-in"], **public)
    back = {"redirect_uris": [f"{pages}callback/notes"], "grant_types": GRANTS, **CONFIDENTIAL}
    connects = providers.register(stage.resource, **back)
    [issuer], notes = about["issuers"], about["connections"]["notes"]
    about["resource"] = url
    issuer["issuer"] = stage.login.issuer
    issuer["sign_in"] |= {"authorize": f"{stage.login.issuer}/auth", "client_id": signs_in["client_id"]}
    notes |= {
        "issuer": stage.resource.issuer,
        "authorize": f"{stage.resource.issuer}/auth",
        "token": {"cluster": "resource", "path": "/token"},
        "revoke": {"cluster": "resource", "path": "/token/revocation"},
        "client_id": connects["client_id"],
        "scopes": SCOPES,
    }
    return Listener(about, "notes", environment={**ENVIRONMENT, "NOTES_SECRET": connects["client_secret"]})
