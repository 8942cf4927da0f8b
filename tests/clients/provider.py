"""The OpenID provider, and what it was asked for."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


from ..harness import tokens, web
from ..harness.process import NODE, Process, end
from ..harness.waiting import eventually
from .kinds import HERE

# Where the filter asks about opaque tokens.
INTROSPECTION = "/token/introspection"


@dataclass(frozen=True)
class Received:
    """A request to the provider, as it understood it."""

    method: str
    path: str
    status: int
    parameters: dict[str, Any]
    answer: dict[str, Any]


class Provider(Process):
    """`oidc-provider` in a process of its own."""

    def __init__(self, settings: dict[str, Any], log: Path, program: str = "provider.js") -> None:
        super().__init__(NODE, HERE / "node" / program, json.dumps(settings), log=log)
        self.requests: list[Received] = []
        self.issuer: str = json.loads(self.first_line())["issuer"]
        self.port: int = urlsplit(self.issuer).port or 0
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def close(self) -> None:
        """End the process."""
        end(self.process)
        self.reader.join()

    def reset(self) -> None:
        """Forget what was asked for."""
        self.settle()
        self.requests.clear()

    def settle(self) -> None:
        """Wait until everything that was asked for is noted: the notes keep their order."""
        mark = f"/settle-{time.monotonic_ns()}"
        web.get(f"{self.issuer}{mark}")
        eventually(lambda: any(each.path == mark for each in self.requests), "the provider notes", self.complaints)

    def discoveries(self) -> list[tuple[str, int]]:
        """The metadata documents clients looked for, and whether they are there."""
        return [(each.path, each.status) for each in self._all() if ".well-known" in each.path]

    def registrations(self) -> list[Received]:
        """Dynamic client registrations."""
        return [each for each in self._all() if each.path == "/reg"]

    def authorizations(self) -> list[dict[str, Any]]:
        """The parameters of authorization requests."""
        return [each.parameters for each in self._all() if each.path == "/auth"]

    def grants(self, kind: str) -> list[Received]:
        """Token requests with this grant type."""
        asked = [each for each in self._all() if each.path == "/token"]
        return [each for each in asked if each.parameters.get("grant_type") == kind]

    def access_token(self) -> str:
        """The last one that was handed out."""
        granted = [each.answer["access_token"] for each in self._all() if "access_token" in each.answer]
        return granted[-1]

    def introspections(self, token: str) -> list[Received]:
        """What the filter asked about this token."""
        asked = [each for each in self._all() if each.path == INTROSPECTION]
        return [each for each in asked if each.parameters.get("token") == token]

    def revoke(self, token: str, client_id: str) -> None:
        """Take a token back from the public client that has it (RFC 7009)."""
        form = {"token": token, "client_id": client_id}
        web.post(f"{self.issuer}/token/revocation", data=form).raise_for_status()

    def _all(self) -> list[Received]:
        self.settle()
        return self.requests

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            event.pop("event")
            answer = event.pop("answer", None) or {}
            for name in ("access_token", "refresh_token", "id_token"):
                if name in answer:
                    tokens.remember(answer[name])
            self.requests.append(Received(**event, answer=answer))

