"""One listener of Envoy seen from outside: what went in, what the server got, what was logged."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import client, client_h2
from .client import Request
from .envoy import Envoy
from .http import Received, Response
from .messages import LEGACY, HeaderList, post
from .upstream import Recording, Upstream
from .waiting import eventually

# The record's name for what the client got (OpenTelemetry).
STATUS = "http.response.status_code"

DECISIONS = {"approved", "blocked", "needs_review", "failed", "draft"}
REFUSALS = {"blocked", "needs_review"}
SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
WASM_LINE = re.compile(r"mcp_auth_access (\{.*)\n")


@dataclass
class LogLine:
    """A line of Envoy's access log."""

    listener: str
    code: int
    details: str
    flags: str
    record: dict[str, Any] | None


# In place of the client's: which request it is for, and the client's own.
JUDGED_ID = re.compile(rb'"mcp-auth-filter:[0-9a-f]{16}:([A-Za-z0-9._-]+)"')
# In place of an integer: one of the filter's (from 2^30 to 2^31).
INTEGER_ID = re.compile(rb'("id" ?: ?)(1[0-9]{9}|20[0-9]{8}|21[0-4][0-9]{7})(?![0-9])')


def with_own_id(body: bytes, own_id: Any) -> bytes:
    """What the server got, with the client's id where the filter put its own."""

    def own(found: re.Match[bytes]) -> bytes:
        return base64.urlsafe_b64decode(found[1] + b"=" * (-len(found[1]) % 4))

    def own_integer(found: re.Match[bytes]) -> bytes:
        return found[1] + json.dumps(own_id).encode()

    body = JUDGED_ID.sub(own, body, count=1)
    return INTEGER_ID.sub(own_integer, body, count=1) if isinstance(own_id, int) else body


def id_of(body: Any) -> Any:
    """The id of a message, if it can be read."""
    try:
        message = json.loads(body) if isinstance(body, bytes) else body
    except ValueError:
        return None
    return message.get("id") if isinstance(message, dict) else None


@dataclass
class Exchange:
    """A request through the filter, and everything it caused."""

    response: Response
    upstream: Recording
    line: LogLine

    @property
    def status(self) -> int:
        """The status the client got."""
        return self.response.status

    @property
    def record(self) -> dict[str, Any]:
        """The filter's access log record."""
        assert self.line.record is not None, f"no record: {self.line}"
        return self.line.record

    @property
    def received(self) -> Received:
        """The one request the server got."""
        assert not self.upstream.garbage, f"the server got no HTTP: {self.upstream.garbage}"
        assert len(self.upstream.requests) == 1, self._summary()
        return self.upstream.requests[0]

    @property
    def logged_status(self) -> int:
        """The status the record says the client got."""
        return self.record[STATUS]

    def refused(
        self, status: int | set[int], code: int | set[int] | None = None, decision: str | None = None
    ) -> Exchange:
        """Nothing reached the server, and client and log say the same about it."""
        assert self.upstream.bytes == 0, f"reached the server: {self._summary()}"
        assert self.status in _set(status), self._summary()
        if code is not None:
            assert self.response.error_code() in _set(code), self._summary()
        allowed = REFUSALS if decision is None else {decision}
        assert self.record["decision"] in allowed, self.record
        self._record_is_complete()
        return self

    def does_not_hold(self, reason: str = "condition_not_met") -> Exchange:
        """A condition refused a call of a tool, and the model reads that."""
        self.refused(200, None, "blocked")
        assert self.record["reason"] == reason, self.record
        assert self.response.json["result"]["isError"] is True, self._summary()
        return self

    def unavailable(self, reason: str | None = None) -> Exchange:
        """Refused for now, with a hint when to come back; never let through."""
        self.refused(503, None, "blocked")
        assert int(self.response.header("retry-after") or 0) > 0
        assert self.response.header("www-authenticate") is None
        assert reason is None or self.record["reason"] == reason
        return self

    def invalid_token(self, reason: str | None = None) -> Exchange:
        """Refused as a bad token."""
        self.refused(401, None, "needs_review")
        assert 'error="invalid_token"' in (self.response.header("www-authenticate") or "")
        assert reason is None or self.record["reason"] == reason
        return self

    def forwarded(self, body: Any = None, status: int = 200) -> Received:
        """The server got exactly one request; `body` is compared as bytes or as JSON, with the client's own id."""
        received = self.received
        sent = with_own_id(received.body, id_of(body))
        assert self.status == status, self._summary()
        assert self.record["decision"] == "approved", self.record
        self._record_is_complete()
        if isinstance(body, bytes):
            assert sent == body
        elif body is not None:
            assert json.loads(sent) == body
        return received

    def _record_is_complete(self) -> None:
        record = self.record
        assert record["decision"] in DECISIONS, record
        assert SNAKE_CASE.fullmatch(record["reason"]), record
        assert record[STATUS] == self.status == self.line.code, record

    def _summary(self) -> str:
        seen = [request.raw or request.body for request in self.upstream.requests]
        return (
            f"status {self.status} {self.response.headers} {self.response.body[:600]!r}\n"
            f"record {self.line.record} details {self.line.details!r} flags {self.line.flags!r}\n"
            f"server got {seen} {self.upstream.garbage}"
        )


class Gateway:
    """A listener, with the recording server behind it."""

    def __init__(self, envoy: Envoy, name: str, upstream: Upstream) -> None:
        self.envoy, self.name, self.upstream = envoy, name, upstream
        self.port = envoy.ports[name]
        self.skip_log()

    def skip_log(self) -> None:
        """Forget log lines up to now."""
        self.access_mark = self.envoy.access_path.stat().st_size
        self.log_mark = self.envoy.log_path.stat().st_size

    def post(
        self,
        body: dict[str, Any] | bytes,
        token: str | None,
        era: str = LEGACY,
        headers: HeaderList | None = None,
        drop: tuple[str, ...] = (),
        like: dict[str, Any] | None = None,
        http2: bool = False,
        **request: Any,
    ) -> Exchange:
        """A POST as clients of this era send it; see `messages.post`."""
        return self.send(post(body, token, era, headers, drop, like, **request), http2)

    def get(self, path: str = "/mcp", token: str | None = None, headers: HeaderList | None = None) -> Exchange:
        """A GET as legacy clients open their event stream with."""
        return self.bodyless("GET", path, token, headers)

    def bodyless(
        self, method: str, path: str = "/mcp", token: str | None = None, headers: HeaderList | None = None
    ) -> Exchange:
        """A request without a body."""
        usual: HeaderList = [("accept", "text/event-stream"), ("mcp-protocol-version", LEGACY)]
        if token is not None:
            usual.append(("authorization", f"Bearer {token}"))
        return self.send(Request(method, path, [*usual, *(headers or [])]))

    def send(self, request: Request, http2: bool = False) -> Exchange:
        """Send a request and gather what came of it."""
        self.upstream.take()
        response = (client_h2 if http2 else client).send(self.port, request)
        return self.exchange(response)

    def exchange(self, response: Response) -> Exchange:
        """The one exchange since the last: its response, its log line, what the server got."""
        (line,) = self.lines(1)
        return Exchange(response, self.upstream.take(), line)

    def lines(self, count: int) -> list[LogLine]:
        """Exactly this many new lines of the access log, each with exactly one record."""
        lines = self._wait_for_lines(count)
        assert len(lines) == count, f"{len(lines)} lines instead of {count}: {lines}"
        own = [line.record for line in lines if line.record is not None]
        self._check_host_log(own)
        self.skip_log()
        return lines

    def settle(self) -> None:
        """Wait until every request has ended and is logged, and forget these log lines."""
        self.envoy.wait_until_quiet()
        self.skip_log()

    def wait_for_arrival(self, count: int = 1) -> None:
        """Wait until this many requests since the last exchange have arrived at Envoy, at least in part.

        They may have ended: the filter refuses some before they are complete.
        """
        arrived = lambda: self.envoy.open_requests(self.name) + self.logged()  # noqa: E731
        eventually(lambda: arrived() >= count, f"{count} requests arrive, but there are", arrived)

    def logged(self) -> int:
        """How many requests were logged since the last exchange."""
        return self._new_text(self.envoy.access_path, self.access_mark).count("\n")

    def _wait_for_lines(self, count: int) -> list[LogLine]:
        def text() -> str:
            return self._new_text(self.envoy.access_path, self.access_mark)

        expected = f"{count} access log lines of {self.name}, but there is"
        eventually(lambda: text().count("\n") >= count, expected, lambda: f"{text()}\nEnvoy's log:\n{self._host_log()}")
        whole, _, _ = text().rpartition("\n")
        return [_line(each) for each in whole.splitlines()]

    def _check_host_log(self, records: list[dict[str, Any]]) -> None:
        """The host's log has the same records, once each, or none if the policy keeps them out."""

        def lines() -> list[str]:
            return WASM_LINE.findall(self._host_log())

        if not self._has_host_log():
            assert not lines(), f"the records are in two logs: {lines()}"
            return
        eventually(lambda: len(lines()) >= len(records), f"{len(records)} records in Envoy's log, but there are", lines)
        logged = [json.loads(line) for line in lines()]
        key = str
        assert sorted(logged, key=key) == sorted(records, key=key), f"{logged} != {records}"

    def _has_host_log(self) -> bool:
        policy = self.envoy.listeners[self.name].policy
        audit = policy.get("audit", {}) if isinstance(policy, dict) else {}
        return audit.get("log") == "both"

    def _host_log(self) -> str:
        return self._new_text(self.envoy.log_path, self.log_mark)

    def _new_text(self, path: Any, mark: int) -> str:
        with open(path, "rb") as file:
            file.seek(mark)
            return file.read().decode(errors="replace")


# Any listener of a test module by its name: what the fixture `through` is.
Through = Callable[[str], Gateway]


def _set(value: int | set[int]) -> set[int]:
    return value if isinstance(value, set) else {value}


def _line(text: str) -> LogLine:
    """A line; `-` is Envoy's word for a filter state that is not there."""
    if text.endswith('"record":-}'):
        text = text.removesuffix("-}") + "null}"
    return LogLine(**json.loads(text))
