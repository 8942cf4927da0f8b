"""`mcp-auth accounts`: an administrator lists and ends the accounts of a user in etcd."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ..harness import tokens
from ..harness.command_line import mcp_auth
from ..harness.envoy_config import ENVIRONMENT
from .assistant import LEGACY, MODERN, Assistant
from .browser import Person
from .connect import asked, connect
from .providers import ACCOUNTS
from .replicas import Replicas
from .sites import notes
from .stage import Stage

SITES = {"notes": notes()}

People = Callable[..., Person]
Start = Callable[..., Assistant]
Run = Callable[..., str]


@pytest.fixture
def run(around: Stage, pair: Replicas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command with the policy of the site, and its keys in the environment."""
    (tmp_path / "policy.json").write_text(json.dumps(pair.listeners["notes"].policy))
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    def command(*arguments: str, store: str = around.etcd.url, status: int = 0) -> str:
        fixed = ("accounts", "--store", store, "--policy", "policy.json", "--issuer", around.login.issuer)
        return mcp_auth(*fixed, *arguments, directory=tmp_path, status=status)

    return command


def test_accounts_are_listed_and_ended_by_name(
    around: Stage, pair: Replicas, run: Run, person: People, token: Callable[..., str], assistant: Start
) -> None:
    held = token("dana")
    clients = [assistant("dana", mode=mode, with_token=held) for mode in (LEGACY, MODERN)]
    for client in clients:
        connect(person(), asked(client), "dana")
    other = assistant("erin")
    connect(person(), asked(other), "erin")
    granted = [each.answer["access_token"] for each in around.resource.grants("authorization_code")]
    listed = run("--user", "dana", "--json")
    accounts = json.loads(listed)["accounts"]
    assert [each["account"] for each in accounts] == [ACCOUNTS["dana"]] * 2
    assert {each["state"] for each in accounts} == {"linked"}
    text = run("--user", "dana")
    assert text.count("notes as dana@notes") == 2
    secrets = [part for each in (*tokens.issued, *granted) for part in each.split(".")[-1:] if len(part) > 16]
    assert not [each for each in secrets if each in text or each in listed]
    assert "no linked account" in run("--user", "nina")
    assert "no linked account" in run("--user", "dana@notes")

    ended = json.loads(run("--user", "dana", "--end", "notes", "--json"))["accounts"]
    assert [each["state"] for each in ended] == ["ended"] * 2
    assert {each["revocation"] for each in ended} == {"token revoked"}
    # The provider has revoked the tokens, at once the filter asks again, and other users keep theirs.
    assert [around.account(each).status_code for each in granted] == [401, 401, 200]
    for client in clients:
        assert asked(client)
    assert other.notes()["account"] == ACCOUNTS["erin"]
    assert "no linked account" in run("--user", "dana")


def test_all_accounts_of_a_user_end_with_the_requests_under_way(
    around: Stage, pair: Replicas, run: Run, person: People, assistant: Start
) -> None:
    client = assistant("dana")
    connect(person(), asked(client), "dana")
    assert "notes as dana@notes" in run("--user", "dana", "--end-all")
    assert asked(client)


def test_what_cannot_be_done_is_said(around: Stage, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def error(*arguments: str, store: str = around.etcd.url) -> None:
        run("--user", "dana", *arguments, store=store, status=2)

    error("--end", "calendar")
    error(store="http://127.0.0.1:1")
    error(store="127.0.0.1:2379")
    error("--issuer-of", "x")
    monkeypatch.delenv("MCP_AUTH_KEY")
    error()
    monkeypatch.setenv("MCP_AUTH_KEY", "short")
    error()
    policy = json.loads((tmp_path / "policy.json").read_text())
    policy["store"] = "memory"
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    error()
    # With another key the accounts of the user have other names.
    policy["store"] = {"etcd": {"cluster": "etcd"}}
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    monkeypatch.setenv("MCP_AUTH_KEY", "another secret of the tests, long enough")
    assert "no linked account" in run("--user", "dana")
