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
        pages = url.removesuffix("/mcp") + PAGES
        public = {"token_endpoint_auth_method": "none"}
        told = {"backchannel_logout_uri": f"{pages}logout", "backchannel_logout_session_required": True}
        told = told if (sign_in or {}).get("back_channel_logout") else {}
        signs_in = providers.register(stage.login, redirect_uris=[f"{pages}signed-in"], **public, **told)
        back = {"redirect_uris": [f"{pages}callback/notes"], "grant_types": GRANTS}
        secret = None
        if discover is None:
            registered = providers.register(stage.resource, **{**back, **public, **(client or {})})
            secret = registered.get("client_secret")
            server = _written(stage, registered)
        else:
            server = {"discover": discover}
        about = stage.policy(url, **{"store": ETCD, **policy})
        about["issuers"][0]["sign_in"] = {
            "authorize": f"{stage.login.issuer}/auth",
            "token": {"cluster": "login", "path": "/token"},
            "client_id": signs_in["client_id"],
            **(sign_in or {}),
        }
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
