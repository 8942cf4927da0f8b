"""A newer client finds out that the server behind the filter is of an earlier version."""

from __future__ import annotations

from .browser import Browser
from .conftest import Start
from .kinds import LEGACY, Kind
from .matrix import works


@works("server of an earlier version")
def test_speaks_what_the_server_speaks(start: Start, browser: Browser, kind: Kind) -> None:
    program = start(kind, "old_server")
    assert program.connect() == LEGACY
    assert program.list() == ["crm.get_customer"]
    assert program.call("crm.get_customer", query="acme") == "found acme"
    assert len(browser.visited) == 1
