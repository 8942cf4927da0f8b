"""All the parts around the filter, running."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from ..clients.provider import Provider
from ..harness import web
from ..harness.envoy_config import Cluster
from ..harness.policy import CLAIMS, Policy, policy
from ..harness.waiting import eventually
from . import notes_api, providers
from .browser import Chromium
from .etcd import Etcd
from .hooks import Hooks
from .landing import Landing
from .notes_api import NotesApi
from .notes_server import NotesServer
from .sign_in import Client
from .simple_provider import SimpleProvider
from .strict_server import StrictServer

# What each role may do; `providers.USERS` says who has which.
ROLES = {"support": {"tools": ["notes.*"]}, "manager": {"tools": ["notes.*", "crm.*"]}}

GRANTS = ["authorization_code", "refresh_token"]


@dataclass(eq=False)
class Stage:
    """What the tests look at."""

    etcd: Etcd
    browser: Chromium
    login: Provider
    resource: Provider
    # A provider of its own, which does as a test says.
    simple: SimpleProvider
    api: NotesApi
    # The MCP server with sessions, and without.
    server: NotesServer
    stateless: NotesServer
    # One that needs a credential of the resource on every request.
    hosted: NotesServer
    # A server that checks tokens itself.
    strict: StrictServer
    landing: Landing
    hooks: Hooks
    # What `login` says of its users.
    claims: Path

    def clusters(self) -> dict[str, Cluster]:
        """What Envoy may connect to."""
        return {
            "notes": Cluster(self.server.port),
            "notes_stateless": Cluster(self.stateless.port),
            "hosted": Cluster(self.hosted.port),
            "notes_strict": Cluster(self.strict.port),
            "login": Cluster(self.login.port),
            "resource": Cluster(self.resource.port),
            "simple": Cluster(self.simple.port),
            "api": Cluster(urlsplit(self.api.url).port or 0),
            "etcd": Cluster(self.etcd.port),
            "hooks": Cluster(self.hooks.port),
        }

    def policy(self, url: str, **changes: Any) -> Policy:
        """A policy for the MCP server at this address, with some of its top-level keys replaced."""
        issuer = {
            "issuer": self.login.issuer,
            "jwks": {"cluster": "login", "path": "/jwks"},
            "types": ["at+jwt"],
            "identity": {name: CLAIMS[name] for name in ("user", "roles", "scopes")},
        }
        own = {"resource": url, "issuers": [issuer], "scopes": [providers.SCOPE], "roles": ROLES}
        return policy(**{**own, "arguments": None, "tools": None, **changes})

    def client(self, provider: Provider, **metadata: Any) -> Client:
        """A client program that people come back to, newly registered."""
        about = {"redirect_uris": [self.landing.url], "grant_types": GRANTS, **metadata}
        return Client(provider, providers.register(provider, **about), self.landing.url)

    def give_role(self, user: str, role: str) -> None:
        """Change what `login` says of a user from now on."""
        claims = json.loads(self.claims.read_text())
        claims[user] = providers.claims_of(user, role)
        self.claims.write_text(json.dumps(claims))

    def account(self, token: str) -> httpx.Response:
        """The resource's answer to a request with this token: whose account it is for, or 401."""
        return web.get(f"{self.api.url}/me", headers={"authorization": f"Bearer {token}"})

    def wait_until_refused(self, token: str) -> None:
        """Wait until the resource takes a token no more."""
        eventually(lambda: self.account(token).status_code == 401, "the resource refuses the token")

    def reset(self) -> None:
        """Forget what was noted and stored; who is signed in where stays."""
        for each in (self.login, self.resource, self.simple, self.server, self.stateless, self.hosted, self.strict):
            each.reset()
        for user, role in providers.USERS.items():
            self.give_role(user, role)
        self.hooks.messages.clear()
        self.hooks.statuses.clear()
        self.api.notes.clear()
        self.api.accounts.clear()
        self.etcd.clear()


@contextmanager
def stage(directory: Path) -> Iterator[Stage]:
    """Start everything, and stop it afterwards."""
    with ExitStack() as stack:
        api = stack.enter_context(closing(NotesApi()))
        resource = stack.enter_context(closing(providers.resource(directory, api.url, notes_api.SCOPES)))
        api.trust(resource)
        yield Stage(
            etcd=stack.enter_context(closing(Etcd(directory))),
            browser=stack.enter_context(closing(Chromium())),
            login=stack.enter_context(closing(providers.login(directory))),
            resource=resource,
            simple=stack.enter_context(closing(SimpleProvider(api.accounts))),
            api=api,
            server=stack.enter_context(closing(NotesServer(api, stateless=False))),
            stateless=stack.enter_context(closing(NotesServer(api, stateless=True))),
            hosted=stack.enter_context(closing(NotesServer(api, stateless=False, guarded=True))),
            strict=stack.enter_context(closing(StrictServer(api))),
            landing=stack.enter_context(closing(Landing())),
            hooks=stack.enter_context(closing(Hooks())),
            claims=directory / providers.CLAIMS_FILE,
        )
