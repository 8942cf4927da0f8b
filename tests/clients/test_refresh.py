"""The token expires while the client works: it is refreshed without the user."""

from __future__ import annotations

import time

from .browser import Browser
from .conftest import Start
from .kinds import Kind
from .matrix import works
from .setting import SHORT, Setting


@works("token expired, has a refresh token")
def test_refreshes_an_expired_token(
    around: Setting, start: Start, browser: Browser, kind: Kind
) -> None:
    program = start(kind, "short")
    program.connect()
    time.sleep(SHORT + 0.2)
    assert "later" in program.call("crm.get_customer", query="later")
    assert len(browser.visited) == 1
    [refreshed] = around.provider.grants("refresh_token")
    assert refreshed.status == 200
    assert refreshed.parameters["resource"] == around.urls["short"]
