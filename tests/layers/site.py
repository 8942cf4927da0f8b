"""A site whose users connect their accounts at the resource, and how they do it in a browser."""

from __future__ import annotations

from typing import Any

from ..harness.envoy_config import ENVIRONMENT, Listener
from . import links, providers
from .browser import Person
from .notes_api import READ
from .providers import ACCOUNTS
from .sign_in import agree
from .stage import GRANTS, Stage


def connecting(stage: Stage, url: str, **changes: Any) -> Listener:
    """The site, with some of the top-level keys of its policy replaced."""
    pages = url.removesuffix("/mcp") + links.PAGES
    signs_in = providers.register(
        stage.login, redirect_uris=[f"{pages}signed-in"], token_endpoint_auth_method="none"
    )
    connects = providers.register(
        stage.resource, redirect_uris=[f"{pages}callback/notes"], grant_types=GRANTS
    )
    policy = stage.policy(url, store={"etcd": {"cluster": "etcd"}}, **changes)
    policy["issuers"][0]["sign_in"] = {
        "authorize": f"{stage.login.issuer}/auth",
        "token": {"cluster": "login", "path": "/token"},
        "client_id": signs_in["client_id"],
    }
    policy["connections"] = {
        "notes": {
            "title": "Notes",
            "issuer": stage.resource.issuer,
            "iss": "required",
            "authorize": f"{stage.resource.issuer}/auth",
            "token": {"cluster": "resource", "path": "/token"},
            "revoke": {"cluster": "resource", "path": "/token/revocation"},
            "client_id": connects["client_id"],
            "client_secret_env": "NOTES_SECRET",
            "scopes": [READ],
            "allows": ["Read your notes"],
            "resource": stage.api.url,
            "account": {"cluster": "api", "path": "/me", "field": "account"},
            "lifetime": "10m",
        }
    }
    policy["tools"] = {"notes.*": {"connection": "notes"}}
    secrets = {**ENVIRONMENT, "NOTES_SECRET": connects["client_secret"]}
    return Listener(policy, "notes", environment=secrets)


def sign_in(person: Person, link: str, user: str) -> None:
    """Open a link, and sign in where it leads."""
    person.goto(link)
    agree(person, user)


def go(stage: Stage, person: Person) -> None:
    """Say yes on the page."""
    person.click("Continue to Notes")
    person.run(person.page.wait_for_url(f"{stage.resource.issuer}/**"))


def connect(stage: Stage, person: Person, link: str, user: str) -> None:
    """All of it."""
    sign_in(person, link, user)
    go(stage, person)
    agree(person, ACCOUNTS[user])
