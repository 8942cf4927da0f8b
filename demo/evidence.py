"""What is found afterwards: the requests the CRM wrote down, and Envoy's access log."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.calls import params_of

WAIT_SECONDS = 20.0


@dataclass(frozen=True)
class Decision:
    """One line of the access log, and the filter's record at its end."""

    line: str
    record: dict[str, Any]


class Tail:
    """Reads what was added to a file since the last look."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset = 0

    def skip(self) -> None:
        """Forgets what is there."""
        self.lines()

    def lines(self) -> list[str]:
        """The complete lines added since."""
        if not self._file.exists():
            return []
        with self._file.open("rb") as file:
            file.seek(self._offset)
            added = file.read()
        complete = added[: added.rfind(b"\n") + 1]
        self._offset += len(complete)
        return complete.decode(errors="replace").splitlines()


class Received:
    """The requests that reached the CRM."""

    def __init__(self, file: Path) -> None:
        self._tail = Tail(file)

    def skip(self) -> None:
        """Forgets earlier requests."""
        self._tail.skip()

    def params(self, method: str) -> str:
        """The parameters of the last request with this JSON-RPC method, or nothing."""
        requests = [json.loads(line) for line in self._tail.lines()]
        return params_of([r["body"] for r in requests if r["body"]], method)


class AccessLog:
    """The decisions the filter took."""

    def __init__(self, file: Path) -> None:
        self._tail = Tail(file)

    def skip(self) -> None:
        """Forgets earlier decisions."""
        self._tail.skip()

    def decision(self, method: str | None) -> Decision | None:
        """The decision on the last request with this method; Envoy writes it a moment later.

        A request that was refused unread has no method: then it is the last decision there is.
        """
        seen: list[Decision] = []
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            lines = self._tail.lines()
            decisions = [d for d in map(decision_in, lines) if d]
            if lines and not decisions:
                # The request is logged, and the filter had no part in it.
                return None
            seen += decisions
            matching = [d for d in seen if method in (None, d.record.get("mcp.method.name"))]
            if matching:
                return matching[-1]
            time.sleep(0.05)
        return seen[-1] if seen else None


def decision_in(line: str) -> Decision | None:
    """The record in an access-log line, if there is one."""
    start = line.find("{")
    if start < 0:
        return None
    try:
        return Decision(line=line, record=json.loads(line[start:]))
    except ValueError:
        return None
