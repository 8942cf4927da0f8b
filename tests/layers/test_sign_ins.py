"""How often a person is asked for something in a conversation of ten calls, in each way of authenticating.

What is counted is what the browser did: how often it was opened, which pages had to be passed with a click, and
on how many of those a password was typed. docs/authentication.md has the numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ..clients.kinds import KINDS
from ..clients.program import Failed, Program
from ..harness import tokens
from ..harness.envoy import ROOT
from ..harness.envoy_config import ENVIRONMENT, Listener
from .browser import Person
from .connect import connect, link_in
from .notes_api import SCOPES
from .providers import ACCOUNTS
from .replicas import Replicas
from .sign_in import agree
from .sites import ETCD, notes
from .stage import Stage

CALLS = 10

STATIC = {"authorization": "static", "credential_env": "NOTES_TOKEN"}
ONCE = {"notes.*": {"single_use": True}}


@cache
def _environment(stage: Stage) -> dict[str, str]:
    """With a credential that was issued for the server once, before the conversations."""
    person = stage.browser.person()
    granted = stage.client(stage.resource).tokens(person, ACCOUNTS["dana"], scope=" ".join(SCOPES))
    person.close()
    return {**ENVIRONMENT, "NOTES_TOKEN": tokens.remember(granted["access_token"])}


def _with_credential(stage: Stage, url: str, **policy: Any) -> Listener:
    changed = stage.policy(url, upstream=STATIC, **policy)
    return Listener(changed, "notes", environment=_environment(stage))


def _local(stage: Stage, url: str) -> Listener:
    caller = {"user": "dana", "roles": ["support"]}
    return Listener(stage.policy(url, issuers=None, scopes=None, local=caller, upstream=STATIC), "notes", environment=_environment(stage))


SITES = {
    "local": _local,
    "once": lambda stage, url: _with_credential(stage, url, store=ETCD, tools=ONCE),
    "static": _with_credential,
    "passed": lambda stage, url: Listener(stage.policy(url, upstream={"authorization": "pass"}), "notes"),
    "layers": notes(),
}


@dataclass
class Attended:
    """A browser that a client opens for its user, and what the user had to do there."""

    person: Person
    user: str
    # Whether it keeps no cookies from one visit to the next.
    forgets: bool = False
    opened: int = 0
    # What was sent on each page that was passed.
    sent: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.person.on("request", self._note)

    def visit(self, url: str) -> str:
        """Sign in for the client."""
        self._open()
        self.person.goto(url)
        agree(self.person, self.user)
        return self.person.url()

    def connect(self, link: str) -> None:
        """Connect an account."""
        self._open()
        connect(self.person, link, self.user)

    def row(self, way: str) -> str:
        """The row of the table in the documentation."""
        passwords = sum("password=" in each for each in self.sent)
        return f"| {way} | {self.opened} | {len(self.sent)} | {passwords} |"

    def _open(self) -> None:
        self.opened += 1
        if self.forgets:
            self.person.run(self.person.context.clear_cookies())

    def _note(self, request: Any) -> None:
        if request.is_navigation_request() and request.method == "POST":
            self.sent.append(request.post_data or "")


@dataclass(frozen=True)
class Way:
    """A way of authenticating, as the documentation calls it."""

    name: str
    site: str
    user: str = "dana"
    tool: str = "notes.list"
    forgets: bool = False


WAYS = [
    Way("local", "local"),
    Way("every call (`single_use`), the provider remembers the browser", "once"),
    Way("every call (`single_use`), the provider asks each time", "once", forgets=True),
    Way("at configuration, `static`", "static"),
    Way("at configuration, `pass`", "passed", "erin", "crm.get_customer"),
    Way("two layers (`connections`)", "layers"),
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.site}{'-forgets' * way.forgets}")
def test_sign_ins_of_a_conversation(
    around: Stage, pair: Replicas, person: Callable[..., Person], tmp_path: Path, way: Way
) -> None:
    browser = Attended(person(), way.user, way.forgets)
    kind = next(each for each in KINDS if each.name == "python-v2")
    options = {"url": pair.url(way.site), "issuer": around.login.issuer, "redirect_uri": around.landing.url}
    client = Program(kind, options, browser, tmp_path / "client.log")
    arguments = {"customer": "acme"} if way.tool == "crm.get_customer" else {}
    try:
        client.connect()
        answered = [_call(client, browser, way.tool, **arguments) for _ in range(CALLS)]
    finally:
        client.close()
    expected = arguments or {"status": 200, "account": ACCOUNTS[way.user], "notes": []}
    assert answered == [expected] * CALLS
    assert browser.row(way.name) in (ROOT / "docs/authentication.md").read_text(), browser.row(way.name)


def _call(client: Program, browser: Attended, tool: str, **arguments: str) -> Any:
    try:
        return json.loads(client.call(tool, **arguments))
    except Failed as asked:
        browser.connect(link_in(str(asked)))
        return json.loads(client.call(tool, **arguments))
