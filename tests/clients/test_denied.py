"""A tool that no scope allows: the client gets an error, and the user is not asked for consent."""

from __future__ import annotations

import pytest

from .browser import Browser
from .conftest import Start
from .kinds import Kind
from .matrix import works
from .program import Failed, Program
from .setting import Setting


@works("tool denied")
def test_a_denied_tool_does_not_exist(
    around: Setting, start: Start, browser: Browser, kind: Kind
) -> None:
    program = start(kind)
    program.connect()
    with pytest.raises(Failed) as failed:
        program.call("crm.purge")
    assert failed.value.code == -32602
    goes_on(around, program, browser)


@works("tool denied, `refusals: visible`")
def test_a_forbidden_tool(around: Setting, start: Start, browser: Browser, kind: Kind) -> None:
    program = start(kind, "visible")
    program.connect()
    with pytest.raises(Failed, match="the policy does not allow this"):
        program.call("crm.purge")
    goes_on(around, program, browser)


def goes_on(around: Setting, program: Program, browser: Browser) -> None:
    """The client works as before, and asked for nothing more than at its start."""
    assert "acme" in program.call("crm.get_customer", query="acme")
    assert [call["query"] for call in around.server.calls] == ["acme"]
    assert len(browser.visited) == 1
    assert len(around.provider.authorizations()) == 1
