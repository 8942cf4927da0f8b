"""The demo's processes: CRM, issuer, a decision point, and Envoy with the filter between client and CRM."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from demo import proxy
from demo.people import Person

STARTUP_SECONDS = 180.0
# Below the ephemeral ports of Linux and macOS.
FIXED_PORTS = range(20_000, 30_000)
# What envoy.yaml takes from Envoy's environment for `seal`.
KEY_VARIABLE = "MCP_AUTH_KEY"

# Changes Envoy's configuration before it starts.
Adapt = Callable[[proxy.Config], proxy.Config]


class StartError(RuntimeError):
    """A process did not come up; the message holds the end of its log."""


class Stack:
    """Runs the processes, and stops them when the block ends."""

    def __init__(
        self,
        directory: Path,
        *,
        listener: int = 0,
        style: str = "json",
        module: Path | None = None,
        adapt: Adapt | None = None,
        decides: bool = False,
    ) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        ports = free_ports(5)
        self.directory = directory
        self.received = directory / "received.jsonl"
        self.style = style
        self._adapt = adapt
        self.placement = proxy.Placement(
            listener=listener if listener and is_free(listener) else ports[0],
            admin=ports[1],
            crm=ports[2],
            login=ports[3],
            decisions=ports[4] if decides else None,
            access_log=directory / "access.log",
            module=module or proxy.MODULE_FILE,
        )
        self._processes: list[tuple[str, subprocess.Popen[bytes]]] = []

    @property
    def direct_url(self) -> str:
        """The CRM itself."""
        return f"http://127.0.0.1:{self.placement.crm}/mcp"

    @property
    def guarded_url(self) -> str:
        """The CRM behind the filter."""
        return self.placement.resource

    def __enter__(self) -> "Stack":
        if not self.placement.module.exists():
            raise StartError(f"{self.placement.module} is missing: run `make wasm` first")
        try:
            self._start_all()
        except BaseException:
            self._stop_all()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_all()

    def token(self, person: Person) -> str:
        """Signs a person in."""
        form = urllib.parse.urlencode({"person": person.key}).encode()
        with urllib.request.urlopen(f"{self.placement.issuer}/token", form, timeout=10) as answer:
            return str(json.load(answer)["access_token"])

    def audit(self) -> list[str]:
        """The lines of the CRM's audit table."""
        url = f"http://127.0.0.1:{self.placement.crm}/audit"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return [json.dumps(row) for row in json.load(answer)]

    def check_alive(self) -> None:
        """Raises if a process has ended."""
        for name, process in self._processes:
            if process.poll() is not None:
                raise StartError(f"{name} ended with {process.returncode}\n{self._log_end(name)}")

    def _start_all(self) -> None:
        place = self.placement
        self._start_module("crm", f"--port={place.crm}", *self._crm_options())
        self._start_module("issuer", f"--port={place.login}", f"--resource={place.resource}")
        if place.decisions is not None:
            self._start_module("decisions", f"--port={place.decisions}")
            self._await("decisions", f"http://127.0.0.1:{place.decisions}/healthz")
        self._await("crm", f"http://127.0.0.1:{place.crm}/healthz")
        self._await("issuer", f"{place.issuer}/healthz")
        self._start("envoy", self._envoy_command())
        self._await("envoy", f"http://127.0.0.1:{place.admin}/ready")

    def _crm_options(self) -> list[str]:
        return [f"--record={self.received}", f"--style={self.style}"]

    def _envoy_command(self) -> list[str]:
        config = proxy.rendered(self.placement)
        if self._adapt:
            config = self._adapt(config)
        file = self.directory / "envoy.yaml"
        file.write_text(yaml.safe_dump(config, sort_keys=False))
        return [
            proxy.binary(),
            *("--config-path", str(file)),
            *("--concurrency", "2"),
            *("--log-level", "warning"),
            *("--component-log-level", "wasm:info"),
            *("--file-flush-interval-msec", "50"),
            "--disable-hot-restart",
        ]

    def _start_module(self, name: str, *options: str) -> None:
        self._start(name, [sys.executable, "-m", f"demo.{name}", *options])

    def _start(self, name: str, command: list[str]) -> None:
        with (self.directory / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=proxy.ROOT,
                env={KEY_VARIABLE: secrets.token_hex(32), **os.environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches this process only, which then stops the others in order.
                start_new_session=True,
            )
        self._processes.append((name, process))

    def _await(self, name: str, url: str) -> None:
        deadline = time.monotonic() + STARTUP_SECONDS
        while time.monotonic() < deadline:
            self.check_alive()
            with contextlib.suppress(urllib.error.URLError, OSError):
                with urllib.request.urlopen(url, timeout=1) as answer:
                    if answer.status == 200:
                        return
            time.sleep(0.05)
        raise StartError(f"{name} is not ready\n{self._log_end(name)}")

    def _log_end(self, name: str) -> str:
        lines = (self.directory / f"{name}.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-15:])

    def _stop_all(self) -> None:
        for _, process in reversed(self._processes):
            process.terminate()
        for _, process in reversed(self._processes):
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()


@contextlib.contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Makes SIGTERM end the program as Ctrl-C does, so that nothing is left running."""
    # A shell starts background jobs with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    previous = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def free_ports(count: int) -> list[int]:
    """Ports that are free, outside the range from which the system gives ports to other programs."""
    found = {}
    while len(found) < count:
        port = secrets.choice(FIXED_PORTS)
        if is_free(port):
            found[port] = None
    return list(found)


def is_free(port: int) -> bool:
    """Whether the port can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
