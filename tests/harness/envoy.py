"""A running Envoy: started from a configuration, watched, and checked at the end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import logs_shown, tokens
from .envoy_config import Cluster, Listener, bootstrap, discovery_response
from .process import end
from .waiting import PATIENCE_S, eventually

ROOT = Path(__file__).resolve().parents[2]
WASM = Path(os.environ.get("MCP_AUTH_WASM", ROOT / "target/wasm32-wasip1/release/mcp_auth_filter.wasm"))

# What the host logs when a module, or Envoy itself, has come to grief.
BROKEN = re.compile(
    r"panicked|VM failed|Function: proxy_on|\[critical\]\[(?!wasm)|assert failure"
)

# What the host logs, once for each, of a policy that the module refuses.
REFUSED_POLICY = "Wasm VM failed Failed to configure base Wasm plugin"

# Marks argument values that may not be logged.
PRIVATE = "PRIVATE-VALUE"

# Envoy compiles the module for each VM before it is ready.
START_LIMIT_S = 180.0


def binary(version: str | None = None) -> Path:
    """The Envoy of this environment, or the one of another version beside it."""
    if version is not None:
        return ROOT / ".envoy" / version / "envoy/_bin/envoy"
    if named := os.environ.get("ENVOY_BIN"):
        return Path(named)
    return Path(sys.prefix, f"lib/python3.{sys.version_info.minor}/site-packages/envoy/_bin/envoy")


class StartError(Exception):
    """Envoy did not start; the text is its log."""


class Envoy:
    """An Envoy process with one worker, unless told otherwise."""

    def __init__(
        self,
        directory: Path,
        listeners: dict[str, Listener],
        clusters: dict[str, Cluster],
        executable: Path | None = None,
        concurrency: int = 1,
    ) -> None:
        self.log_path = directory / "envoy.log"
        self.access_path = directory / "access.log"
        self.admin_path = directory / "admin.address"
        self.access_path.touch()
        config = directory / "envoy.json"
        config.write_text(
            json.dumps(bootstrap(listeners, clusters, str(WASM), str(self.access_path)))
        )
        for listener in listeners.values():
            if listener.file is not None and not listener.file.exists():
                self.change(listener, listener.policy)
        self._needs_module(listeners)
        self.listeners = listeners
        # How many policies the tests had the module refuse.
        self.refused_policies = 0
        self.process = self._run(executable or binary(), config, concurrency)
        logs_shown.watch(self.log_path, lambda: self.process.poll() is None)
        self.ports: dict[str, int] = {}
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def log(self) -> str:
        """Everything Envoy logged."""
        return self.log_path.read_text(errors="replace")

    def admin(self, path: str) -> str:
        """A page of the admin interface."""
        address = self.admin_path.read_text()
        with urllib.request.urlopen(f"http://{address}{path}", timeout=PATIENCE_S) as page:
            return page.read().decode()

    def stats(self, pattern: str) -> dict[str, int]:
        """Counters and gauges whose names match."""
        lines = self.admin(f"/stats?filter={urllib.parse.quote(pattern)}").splitlines()
        pairs = [line.rsplit(": ", 1) for line in lines]
        return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}

    @staticmethod
    def change(listener: Listener, policy: Any) -> None:
        """Put another policy into a listener's file, as one move."""
        assert listener.file is not None
        changed = discovery_response(replace(listener, policy=policy), str(WASM))
        new = listener.file.with_suffix(".new")
        new.write_text(json.dumps(changed))
        new.rename(listener.file)

    def stop(self) -> None:
        """End the process."""
        end(self.process)

    @contextmanager
    def checked(self) -> Iterator[Envoy]:
        """Use it, check what it leaves behind, and end it, also after a failure."""
        try:
            yield self
            self.check()
        finally:
            self.stop()

    def open_requests(self, listener: str | None = None) -> int:
        """How many requests have begun and not ended: at a listener, or at all of them."""
        name = re.escape(listener) if listener else r"(?!admin\.)[^.]+"
        found = self.stats(r"^http\..*\.downstream_rq_active$")
        return sum(n for stat, n in found.items() if re.fullmatch(rf"http\.{name}\.downstream_rq_active", stat))

    def wait_until_quiet(self) -> None:
        """Wait until no request is open, and all of them are in the access log's file."""
        eventually(
            lambda: not self.open_requests() and not sum(self.stats(r"^filesystem\.write_total_buffered$").values()),
            "every request has ended and is logged, but open are",
            self.open_requests,
        )

    def check(self) -> None:
        """What must hold after any test: alive, no panic, no reload, no secret in any log."""
        assert self.process.poll() is None, f"Envoy ended with {self.process.returncode}"
        reloads = {name: n for name, n in self.stats(r"wasm\..*vm_reload").items() if n}
        assert not reloads, f"the Wasm VM was reloaded: {reloads}"
        log = self.log().replace(REFUSED_POLICY, "", self.refused_policies)
        assert not (broken := BROKEN.search(log)), f"Envoy's log: {_around(log, broken)}"
        self.check_no_secrets()

    def check_no_secrets(self) -> None:
        """No token, no part of one, and no argument value that was marked is in a log."""
        text = self.log() + self.access_path.read_text()
        assert PRIVATE not in text, "an argument value was logged"
        for token in tokens.issued:
            # The first part of a JWT is the same for all; an opaque token has only one.
            pieces = token.split(".")[1:] or [token]
            parts = [part for part in pieces if len(part) > 16]
            assert not any(part in text for part in parts), "a part of a token was logged"

    def _needs_module(self, listeners: dict[str, Listener]) -> None:
        filtered = any(each.policy is not None for each in listeners.values())
        assert WASM.exists() or not filtered, f"{WASM} is missing; build it with `make build`"

    def _run(self, executable: Path, config: Path, concurrency: int) -> subprocess.Popen[bytes]:
        assert executable.exists(), f"{executable} is missing; install it with `make tools`"
        options = {
            "-c": config,
            "-l": "warning",
            "--component-log-level": "wasm:info",
            "--concurrency": concurrency,
            "--admin-address-path": self.admin_path,
            "--file-flush-interval-msec": 5,
            "--drain-time-s": 1,
        }
        arguments = [str(part) for pair in options.items() for part in pair]
        with self.log_path.open("wb") as log:
            return subprocess.Popen(
                [str(executable), "--disable-hot-restart", *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _wait_until_ready(self) -> None:
        def is_ready() -> bool:
            if self.process.poll() is not None:
                raise StartError(self.log())
            return self._is_ready()

        eventually(is_ready, "Envoy is ready, but its log says:\n", self.log, START_LIMIT_S)
        self.ports = self._listener_ports()

    def _is_ready(self) -> bool:
        try:
            return self.admin_path.exists() and "LIVE" in self.admin("/ready")
        except OSError:
            return False

    def _listener_ports(self) -> dict[str, int]:
        statuses: list[Any] = json.loads(self.admin("/listeners?format=json"))["listener_statuses"]
        return {
            # A Unix socket has none.
            each["name"]: each["local_address"].get("socket_address", {}).get("port_value", 0)
            for each in statuses
        }


def _around(log: str, found: re.Match[str]) -> str:
    return log[max(0, found.start() - 300) : found.end() + 700]
