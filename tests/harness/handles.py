"""Handles as a server gives them out, and a watch that none of its own ever comes out."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from . import tokens
from .answers import Answer, default_answer, json_answer, result
from .client import Request
from .envoy import PRIVATE
from .envoy_config import Listener
from .gateway import Exchange, Gateway
from .http import Response
from .keys import key
from .messages import LEGACY, HeaderList, common_headers, rpc
from .policy import policy

# Each has the mark for which Envoy's logs are searched.
SESSION = f"{PRIVATE}-session"
TASK = f"{PRIVATE}-task"
STATE = f'{{"{PRIVATE}":"state"}}'
EVENT = f"{PRIVATE}-event"

SESSION_HEADER = "mcp-session-id"
EVENT_HEADER = "last-event-id"

# The id of an event, as a stream has it.
ID_LINE = re.compile(rb"^id: ([A-Za-z0-9._-]+)", re.MULTILINE)

ERP = "https://erp.example.com/mcp"

# The server whose handles these are, and another one under the same key.
SERVERS = {"crm": Listener(policy()), "erp": Listener(policy(resource=ERP))}

NO_KEY = Listener(policy(seal=None))
OBSERVE = Listener(policy(mode="observe"))
BUFFERED = Listener(
    policy(hold="buffer_filter"), stop_iteration=False, buffer_filter=1024 * 1024
)
# Handles that can be waited out.
SECONDS = 3
SHORT = Listener(policy(seal={"key_env": "MCP_AUTH_KEY", "lifetime": f"{SECONDS}s"}))


@dataclass(frozen=True)
class Stranger:
    """A caller of a server, as good as the owner of a handle, and not the owner."""

    listener: str
    claims: dict[str, Any] = field(default_factory=dict)

    def token(self, *roles: str) -> str:
        """A token that is accepted there."""
        return tokens.token(*roles, **self.claims)


_STRANGERS = {
    "other_user": Stranger("crm", {"sub": "user-bob"}),
    "same_name_at_another_issuer": Stranger(
        "crm", {"iss": tokens.OTHER_ISSUER, "signer": key("ES256", "other")}
    ),
    "same_user_at_another_server": Stranger("erp", {"aud": ERP}),
}
STRANGERS = pytest.mark.parametrize("stranger", _STRANGERS.values(), ids=_STRANGERS.keys())


class HandleGateway(Gateway):
    """A listener whose server gives out handles. No client and no log ever sees the server's own,
    and no log what the client holds."""

    held: ClassVar[set[str]] = set()

    def hold(self, handle: str) -> str:
        """Note a handle of a client's."""
        assert handle and PRIVATE not in handle and PRIVATE not in _decoded(handle)
        self.held.add(handle)
        return handle

    def exchange(self, response: Response) -> Exchange:
        marks = self.log_mark, self.access_mark
        exchange = super().exchange(response)
        shown = json.dumps([response.headers, response.trailers]) + response.body.decode()
        assert PRIVATE not in shown, f"the client got a handle of the server's: {shown}"
        logs = self._new_text(self.envoy.log_path, marks[0])
        logs += self._new_text(self.envoy.access_path, marks[1])
        assert not any(handle in logs for handle in self.held), "a handle was logged"
        return exchange


# Any listener of a test module by its name: what the fixture `sealed` is.
Sealed = Callable[[str], HandleGateway]


def _decoded(handle: str) -> str:
    """A sealed id, decoded as base64."""
    # The id of its key comes first.
    handle = handle.rpartition(".")[2]
    text = base64.urlsafe_b64decode(handle + "=" * (-len(handle) % 4))
    return text.decode("latin-1")


def forgeries(handle: str) -> list[str]:
    """Texts that look like a handle and are none; the last one's spare bits included."""
    changed = {
        handle[:at] + chr(ord(handle[at]) ^ 1) + handle[at + 1 :]
        for at in (0, 1, len(handle) // 2, len(handle) - 1)
    }
    spare = [handle[:-1] + letter for letter in "ABCQgwz_-" if letter != handle[-1]]
    return [*changed, *spare, handle[:-1], handle + "A", handle + "=", handle.swapcase(), handle * 2]


INITIALIZE = rpc(
    "initialize",
    {
        "protocolVersion": LEGACY,
        "capabilities": {},
        "clientInfo": {"name": "tests", "version": "1"},
    },
)
INITIALIZED = result(
    {
        "protocolVersion": LEGACY,
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "crm", "version": "1"},
    }
)


def with_session(answer: Answer, session: str = SESSION) -> Answer:
    """The same answer, with a session."""
    return answer.with_(headers=[*answer.headers, ("Mcp-Session-Id", session)])


def begin(gateway: HandleGateway, token: str | None, session: str = SESSION, http2: bool = False) -> str:
    """Begin a session; what the client holds of it."""
    gateway.upstream.answer = with_session(json_answer(INITIALIZED), session)
    exchange = gateway.post(INITIALIZE, token, http2=http2)
    gateway.upstream.answer = default_answer
    exchange.forwarded()
    return gateway.hold(exchange.response.header(SESSION_HEADER) or "")


def bodyless(
    gateway: Gateway, method: str, token: str | None, headers: HeaderList, http2: bool = False
) -> Exchange:
    """A GET or DELETE as clients of earlier versions send them."""
    usual = [*common_headers(token)[1:], ("mcp-protocol-version", LEGACY)]
    return gateway.send(Request(method, "/mcp", [*usual, *headers]), http2)


def ping(
    gateway: Gateway, method: str, token: str | None, headers: HeaderList, http2: bool = False
) -> Exchange:
    """The least a client can ask for with an HTTP method of MCP's."""
    if method == "POST":
        return gateway.post(rpc("ping"), token, headers=headers, http2=http2)
    return bodyless(gateway, method, token, headers, http2)
