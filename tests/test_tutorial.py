"""The tutorials and the incident, as a reader follows them: every command, and what it prints."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from demo.stack import free_ports

from .clients.browser import REDIRECT_URI
from .clients.kinds import HERE as CLIENTS
from .clients.kinds import KINDS, PYTHON_V2
from .clients.program import Failed, Program
from .field.server import HERE as FIELD
from .harness.command_line import command
from .harness.documents import blocks
from .harness.envoy import ROOT, WASM, binary
from .harness.process import NODE
from .harness.waiting import PATIENCE_S, eventually
from .harness.walkthrough import Walk, walk

# What no answer of the filter may have: data of Globex, of other users and of administrators.
SECRETS = ("Umbrella Foods", "settlement talks", "4111")


@contextmanager
def reader(document: str, directory: Path, *ports: int) -> Iterator[Walk]:
    """A reader with the programs of this tree, at ports that are free."""
    (directory / "demo").symlink_to(ROOT / "demo")
    folders = [str(command().parent), str(Path(sys.executable).parent), str(Path(NODE).parent)]
    environment = {
        "PATH": os.pathsep.join([*folders, os.environ["PATH"]]),
        "ENVOY_BIN": str(binary(None)),
        "MCP_AUTH_MODULE": str(WASM),
    }
    places = dict(zip(ports, free_ports(len(ports)), strict=True))
    with walk(ROOT / "docs" / document, directory, places, environment) as found:
        yield found


def test_the_tutorial_prints_what_it_says(tmp_path: Path) -> None:
    with reader("tutorial/ten-minutes.md", tmp_path, 8000, 10000) as walked:
        walked.section("A server that believes everything")
        walked.section("A first policy")
        walked.place("policy.yaml")
        walked.section("Start the filter")
        # The server has a mistake that the first policy does not know.
        for title in [title for title in walked.sections if title.startswith("Attack")]:
            walked.section(title)
        log = walked.background[1]
        for words in ("allowed (set organization_id)", "no_role", "argument_in_string", "hid ssn, card_number"):
            eventually(lambda: words in log.read_text(), words, log.read_text)  # noqa: B023
        last = walked.typed(walked.placed('call 10000 crm.search_tickets \'{"query":"invoice"}\''))[1]
        last += walked.typed(walked.placed('call 10000 crm.get_billing \'{"customer_id":"c-100"}\''))[1]
        assert not [secret for secret in SECRETS if secret in last]
        walked.section("Why was it decided so?")


class Form(HTMLParser):
    """The first form of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.action:
            self.action = unescape(found["action"])
        elif tag == "input" and "name" in found:
            self.fields.setdefault(found["name"], found.get("value", ""))


class Visitor:
    """A user who signs in with a name, and agrees."""

    def __init__(self) -> None:
        self.http = httpx.Client(timeout=PATIENCE_S)
        self.pages = 0

    def visit(self, url: str) -> str:
        """Follow where an authorization request leads; the address of the callback."""
        answer = self.http.get(url)
        for _ in range(20):
            if answer.is_redirect:
                url = str(answer.next_request.url) if answer.next_request else ""
                if url.startswith(REDIRECT_URI):
                    return url
                answer = self.http.get(url)
            else:
                answer.raise_for_status()
                self.pages += 1
                form = Form(answer.text)
                answer = self.http.post(form.action, data={**form.fields, "login": "dana", "password": "any"})
        raise AssertionError(f"the provider goes round in circles at {url}")

    def close(self) -> None:
        """Close its connections."""
        self.http.close()


def test_the_sign_in_works_as_the_tutorial_says(tmp_path: Path) -> None:
    installed(tmp_path / "node_modules")
    [kind] = [kind for kind in KINDS if kind.name == PYTHON_V2]
    with reader("tutorial/sign-in.md", tmp_path, 3001, 9000, 10000) as walked, closing(Visitor()) as visitor:
        walked.section("The parts")
        walked.section("The policy")
        walked.place("policy.yaml")
        walked.section("Start")
        options = {"url": f"http://127.0.0.1:{walked.ports[10000]}/mcp", "redirect_uri": REDIRECT_URI}
        with closing(Program(kind, options, visitor, tmp_path / "client.log")) as client:
            client.connect()
            assert visitor.pages == 2
            tools = client.list()
            assert len(tools) == 9 and "get-env" in tools and "toggle-simulated-logging" not in tools
            assert "MCP_AUTH_MODULE" in client.call("get-env")
            walked.section("One more attack")
            eventually(lambda: "get-env" not in client.list(), "the tool is gone")
            with pytest.raises(Failed) as failed:
                client.call("get-env")
            assert failed.value.code == -32602
            assert "Echo: hello" in client.call("echo", message="hello")


def installed(folder: Path) -> None:
    """What `npm install` would put there."""
    (folder / ".bin").mkdir(parents=True)
    for packages, name in [(FIELD, "@modelcontextprotocol"), (CLIENTS, "oidc-provider")]:
        (folder / name).symlink_to(packages / "node" / "node_modules" / name)
    (folder / ".bin" / "mcp-server-everything").symlink_to(
        folder / "@modelcontextprotocol/server-everything/dist/index.js"
    )


def test_the_sign_in_takes_six_commands_and_one_short_file() -> None:
    found = blocks(ROOT / "docs" / "tutorial" / "sign-in.md")
    [file] = [block for block in found if "file=provider.mjs" in block.words]
    assert 10 < file.text.count("\n") <= 30
    typed = [block.text.strip() for block in found if block.words[:1] == ("sh",)]
    connected = next(n for n, text in enumerate(typed) if text.startswith("claude mcp add"))
    # curl only shows what a client receives.
    needed = [text for text in typed[: connected + 1] if not text.startswith("curl")]
    assert len(needed) == 6 and not [text for text in needed if "\n" in text]


# An incident

RECORDS = [
    ("approved", "allowed", "crm.get_customer"),
    ("blocked", "condition_not_met", "crm.refund"),
    ("approved", "allowed", "crm.refund"),
]


def record(caller: str, decision: str, reason: str, tool: str) -> str:
    """A line of the access log."""
    fields = {
        "decision": decision,
        "reason": reason,
        "evidence": [{"source": "roles.manager", "summary": "`crm.*` allows it"}],
        "mode": "enforce",
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "mcp.method.name": "tools/call",
        "gen_ai.tool.name": tool,
        "enduser.id": caller,
        "enduser.roles": ["manager"],
        "identified_by": "token",
        "duration_ms": 3,
    }
    return f"2026-11-29T10:00:00.000Z {json.dumps(fields, separators=(',', ':'))}"


def test_a_refused_user_is_helped_as_documented(tmp_path: Path) -> None:
    with reader("operations/refused-user.md", tmp_path) as walked:
        titles = list(walked.sections)
        walked.section(titles[0])
        walked.section(titles[1])
        _, output = walked.typed("mcp-auth hash u-dana --policy policy.yaml")
        caller = output.split()[0]
        lines = [record(caller, decision, reason, tool) for decision, reason, tool in RECORDS]
        (tmp_path / "access.log").write_text(
            "\n".join([*lines, record("0" * 16, "approved", "allowed", "crm.refund")]) + "\n"
        )
        for title in titles[2:]:
            walked.section(title)
