"""A running etcd, and a look at what is in it."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import httpx

from demo.stack import free_ports

from ..harness import web
from ..harness.process import end
from ..harness.waiting import eventually
from .binaries import TOOLS, find

# The records that say which secret names records.
CHECKS = b"mcp-auth/c"


class NotStarted(Exception):
    """etcd did not start; the text is its log."""


class Etcd:
    """A member that is a cluster of its own, with its data in a directory of the test's."""

    def __init__(self, directory: Path) -> None:
        self.log = directory / "etcd.log"
        self.data = directory / "etcd"
        # etcd's JSON gateway connects to the address it was told, so that it has to be told one.
        [self.port] = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start the process; what was stored before is there again."""
        options = {
            "--data-dir": self.data,
            "--listen-client-urls": self.url,
            "--advertise-client-urls": self.url,
            "--listen-peer-urls": "http://127.0.0.1:0",
            "--logger": "zap",
            "--log-level": "warn",
        }
        program = find("ETCD_BIN", ("etcd",), TOOLS / "etcd/usr/bin/etcd")
        arguments = [str(part) for pair in options.items() for part in pair]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([str(program), *arguments], stdout=log, stderr=subprocess.STDOUT)
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process."""
        end(self.process)

    def ask(self, path: str, **body: Any) -> dict[str, Any]:
        """What the JSON gateway answers; bytes go in as bytes."""
        answer = web.post(f"{self.url}/v3/{path}", json=_encoded(body))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def create(self, key: bytes, value: bytes) -> bool:
        """Whether the key was not there before; then it is now."""
        absent = {"key": key, "target": "CREATE", "result": "EQUAL", "create_revision": "0"}
        put = {"request_put": {"key": key, "value": value}}
        return self.ask("kv/txn", compare=[absent], success=[put]).get("succeeded", False)

    def entries(self) -> dict[bytes, bytes]:
        """All there is, but the checks of the secret that names records."""
        return {key: value for key, value in self._all().items() if not key.startswith(CHECKS)}

    def checks(self) -> list[str]:
        """The checks of the secret that names records."""
        return [json.loads(value)["value"] for key, value in self._all().items() if key.startswith(CHECKS)]

    def _all(self) -> dict[bytes, bytes]:
        found = self.ask("kv/range", key=b"\0", range_end=b"\0").get("kvs", [])
        return {base64.b64decode(each["key"]): base64.b64decode(each.get("value", "")) for each in found}

    def clear(self) -> None:
        """Delete all there is."""
        self.ask("kv/deleterange", key=b"\0", range_end=b"\0")

    def _wait_until_ready(self) -> None:
        def is_ready() -> bool:
            if self.process.poll() is not None:
                raise NotStarted(self.log.read_text(errors="replace"))
            try:
                return web.get(f"{self.url}/health", timeout=5).json()["health"] == "true"
            except (httpx.TransportError, ValueError, KeyError):
                return False

        eventually(is_ready, "etcd is ready, but its log says:\n", lambda: self.log.read_text(errors="replace"))


def _encoded(value: Any) -> Any:
    """JSON with every byte string in base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: _encoded(each) for name, each in value.items()}
    return [_encoded(each) for each in value] if isinstance(value, list) else value
