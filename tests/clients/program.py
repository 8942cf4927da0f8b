"""A running client program: commands go in, answers come out, and the browser stands by."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Protocol

from ..harness.process import Process
from .kinds import Kind


class Browser(Protocol):
    """Where the program sends its user."""

    def visit(self, url: str) -> str:
        """Follow where an authorization request leads; the address of the callback."""


class Failed(Exception):
    """What the SDK raised."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['name']}: {error['message']}")
        # Of the JSON-RPC error, if it is one.
        self.code: int | None = error.get("code")


class Ended(Exception):
    """The program is gone; what it wrote to its log."""


class Program(Process):
    """A client program of one kind, connected once `connect` has returned."""

    def __init__(self, kind: Kind, options: dict[str, Any], browser: Browser, log: Path) -> None:
        super().__init__(*kind.command, json.dumps({**options, **kind.options}), log=log)
        self.browser = browser

    def connect(self) -> str:
        """Wait until it is connected; the protocol version it speaks."""
        return self._answer()["protocol"]

    def list(self) -> list[str]:
        """The tools it sees."""
        return self.ask("list")

    def call(self, name: str, **arguments: Any) -> str:
        """Call a tool; the text it answers."""
        result = self.ask("call", name=name, arguments=arguments)
        if result["failed"]:
            raise Failed({"name": "the tool failed", "message": result["text"]})
        return result["text"]

    def ask(self, command: str, **parameters: Any) -> Any:
        """Have it carry out a command; what came of it."""
        self._say({command: parameters})
        return self._answer()

    def close(self) -> None:
        """End it, in peace if it can."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            super().close()

    def _say(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        print(json.dumps(message), file=self.process.stdin, flush=True)

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message = json.loads(line)
            if "browse" in message:
                self._say({"arrived": self.browser.visit(message["browse"])})
            elif "error" in message:
                raise Failed(message["error"])
            else:
                return message["reply"]
        raise Ended(self.complaints()[-3000:])
