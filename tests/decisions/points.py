"""Decision points: Cerbos, Open Policy Agent, and one that answers as it is told to."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..harness.http_server import Asked, HttpServer, KeyAnswer
from ..harness.process import end
from ..harness.waiting import eventually

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
CERBOS = MODULES / "@cerbos/cerbos-linux-x64/cerbos-linux-x64"

Answers = KeyAnswer | Callable[[dict[str, Any]], KeyAnswer]


def decided(decision: Any, **context: Any) -> KeyAnswer:
    """An AuthZEN decision."""
    answer = {"decision": decision, **({"context": context} if context else {})}
    return KeyAnswer(body=json.dumps(answer).encode())


def decided_each(allows: Callable[[dict[str, Any]], bool]) -> Callable[[dict[str, Any]], KeyAnswer]:
    """Answers to a batch of questions."""

    def answer(question: dict[str, Any]) -> KeyAnswer:
        decisions = [{"decision": allows({**question, **each})} for each in question["evaluations"]]
        return KeyAnswer(body=json.dumps({"evaluations": decisions}).encode())

    return answer


class OwnPoint(HttpServer):
    """Answers by path, and notes the questions."""

    method = "POST"

    def __init__(self) -> None:
        self.paths: dict[str, Answers] = {}
        self.asked: list[tuple[Asked, dict[str, Any]]] = []
        super().__init__()

    def take(self) -> list[dict[str, Any]]:
        """The questions since the last time."""
        taken, self.asked = self.asked, []
        return [question for _, question in taken]

    def answer(self, asked: Asked) -> KeyAnswer:
        """The answer to a question."""
        question = json.loads(asked.body)
        self.asked.append((asked, question))
        answer = self.paths.get(asked.path, KeyAnswer(404, b"not found", "text/plain"))
        return answer(question) if callable(answer) else answer


class BrokenPoint:
    """Accepts a connection, reads, sends the given bytes, and then closes the connection or waits."""

    def __init__(self, sent: bytes, waits: bool) -> None:
        self.sent, self.waits = sent, waits
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self.server.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.recv(65536)
            if self.sent:
                connection.sendall(self.sent)
            if self.waits:
                time.sleep(8)


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Served:
    """A program that serves HTTP on a port."""

    def __init__(self, command: list[str], health: str, port: int, environment: dict[str, str], log: Path) -> None:
        self.port = port
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                command, env={**os.environ, **environment}, stdout=file, stderr=subprocess.STDOUT
            )

        def is_ready() -> bool:
            assert self.process.poll() is None, log.read_text(errors="replace")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{health}", timeout=1):
                    return True
            except (urllib.error.URLError, OSError):
                return False

        eventually(is_ready, f"{command[0]} answers", lambda: log.read_text(errors="replace"))

    def close(self) -> None:
        """End it."""
        end(self.process)


def cerbos(directory: Path) -> Served:
    """Cerbos, with the policy beside this file."""
    policies = directory / "policies"
    policies.mkdir()
    shutil.copy(HERE / "tool.yaml", policies)
    port = free_port()
    config = directory / "cerbos.yaml"
    listen = {"httpListenAddr": f"127.0.0.1:{port}", "grpcListenAddr": f"127.0.0.1:{free_port()}"}
    storage = {"driver": "disk", "disk": {"directory": str(policies)}}
    config.write_text(json.dumps({"server": listen, "storage": storage, "telemetry": {"disabled": True}}))
    command = [str(CERBOS), "server", f"--config={config}"]
    return Served(command, "/_cerbos/health", port, {"CERBOS_NO_TELEMETRY": "1"}, directory / "cerbos.log")


def opa(directory: Path) -> Served:
    """Open Policy Agent's engine, with the policy beside this file."""
    port = free_port()
    command = [sys.executable, str(HERE / "opa_server.py"), str(port), str(HERE / "mcp.rego")]
    environment = {"PYTHONPATH": str(MODULES / "opa")}
    return Served(command, "/health", port, environment, directory / "opa.log")
