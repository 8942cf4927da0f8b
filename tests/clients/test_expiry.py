"""The token expires and there is no refresh token: the client signs in again."""

from __future__ import annotations

import time

from .browser import Browser
from .conftest import Start
from .kinds import Kind
from .matrix import works
from .setting import SHORT, Setting


@works("token expired, has none")
def test_signs_in_again(around: Setting, start: Start, browser: Browser, kind: Kind) -> None:
    program = start(kind, "short_no_refresh")
    program.connect()
    time.sleep(SHORT + 0.2)
    assert "later" in program.call("crm.get_customer", query="later")
    assert len(browser.visited) == 2
    first, second = around.provider.authorizations()
    assert second["client_id"] == first["client_id"], "it need not register again"
    assert second["scope"] == first["scope"]
    assert len(around.provider.grants("authorization_code")) == 2
