"""A client that connects and makes its first call."""

from __future__ import annotations

import json

from ..harness import tokens
from .kinds import Kind
from .program import Program
from .setting import Setting

VISIBLE = ["crm.assign_ticket", "crm.get_customer", "crm.search_slowly"]


def works_as_the_user(around: Setting, program: Program, kind: Kind) -> None:
    """It connects, sees its tools, and calls one; the server knows for whom."""
    assert program.connect() == kind.protocol
    assert sorted(program.list()) == VISIBLE
    answer = json.loads(program.call("crm.get_customer", query="acme", user_id="user-bob"))
    assert answer["user_id"] == tokens.USER
    assert {headers.get("x-mcp-user") for headers in around.server.headers} == {tokens.USER}
