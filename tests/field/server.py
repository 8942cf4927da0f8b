"""The real servers, each a process of its own that listens at $PORT."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from demo.stack import free_ports

from ..harness.envoy import ROOT
from ..harness.process import NODE, end
from ..harness.waiting import eventually

HERE = Path(__file__).parent
NODE_SERVERS = HERE / "node/node_modules/@modelcontextprotocol"
PYTHON_SERVERS = ROOT / ".clients/servers/bin"
# The environment of the Python SDK's first line.
OLD_PYTHON = ROOT / ".clients/python-v1/bin/python"


@dataclass(frozen=True)
class Server:
    """How a server is started. `$PORT` and `$DIRECTORY` stand for its port and its directory."""

    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    # Files of its directory, as every run finds them.
    files: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def running(self, directory: Path) -> Iterator[int]:
        """Its port, while it runs."""
        port = free_ports(1)[0]
        places = {"$PORT": str(port), "$DIRECTORY": str(directory)}
        command = [_placed(each, places) for each in self.command]
        more = {name: _placed(value, places) for name, value in self.environment.items()}
        environment = {"PATH": os.environ["PATH"], "HOME": str(directory), "PORT": str(port), **more}
        log = directory.with_suffix(".log")
        with log.open("w") as out:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, cwd=directory
            )
        try:
            eventually(
                lambda: process.poll() is not None or _accepts(port), "the server listens", log.read_text
            )
            assert process.poll() is None, log.read_text()
            yield port
        finally:
            end(process, patiently=False)

    def prepare(self, directory: Path) -> None:
        """Make its directory as every run finds it."""
        for path in sorted(directory.rglob("*"), reverse=True):
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()
        for name, text in self.files.items():
            file = directory / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)


def official(name: str, *arguments: str) -> tuple[str, ...]:
    """A server of the Model Context Protocol project."""
    return (NODE, str(NODE_SERVERS / f"server-{name}/dist/index.js"), *arguments)


def bridged(name: str, *arguments: str) -> tuple[str, ...]:
    """One of them that speaks stdio only."""
    return (NODE, str(HERE / "node/bridge.js"), *official(name, *arguments)[1:])


def _placed(text: str, places: dict[str, str]) -> str:
    for place, value in places.items():
        text = text.replace(place, value)
    return text


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
