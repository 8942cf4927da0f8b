"""A running Envoy with one worker, and the processor time it has used."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from demo import proxy

START_TIMEOUT_S = 180.0


class Envoy:
    """An Envoy process; leaving the `with` block ends it."""

    def __init__(self, directory: Path, name: str, config: dict[str, Any]) -> None:
        self._log = directory / f"{name}.log"
        self._admin = directory / f"{name}.admin"
        self._admin.unlink(missing_ok=True)
        file = directory / f"{name}.json"
        file.write_text(json.dumps(config))
        options = ["-c", file, "-l", "warning", "--concurrency", "1", "--disable-hot-restart"]
        options += ["--admin-address-path", self._admin]
        with self._log.open("wb") as log:
            command = [proxy.binary(), *map(str, options)]
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self.ports: dict[str, int] = {}

    def __enter__(self) -> Self:
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        listeners = json.loads(self.admin("/listeners?format=json"))["listener_statuses"]
        self.ports = {
            each["name"]: each["local_address"]["socket_address"]["port_value"]
            for each in listeners
        }
        return self

    def __exit__(
        self,
        _: type[BaseException] | None,
        __: BaseException | None,
        ___: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def log(self) -> str:
        """What Envoy logged."""
        return self._log.read_text(errors="replace")

    def admin(self, path: str) -> str:
        """A page of the admin interface."""
        url = f"http://{self._admin.read_text()}{path}"
        with urllib.request.urlopen(url, timeout=5) as page:
            return str(page.read().decode())

    def version(self) -> str:
        """Envoy's version, such as 1.40.0."""
        return str(json.loads(self.admin("/server_info"))["version"]).split("/")[1]

    def reloads(self) -> int:
        """How often a Wasm VM had to be loaded anew."""
        lines = self.admin("/stats?filter=vm_reload").splitlines()
        return sum(int(line.rsplit(": ", 1)[1]) for line in lines)

    def cpu_seconds(self) -> float:
        """Processor time of all threads. Linux only; in nanoseconds, unlike /proc/<pid>/stat."""
        threads = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(file.read_text().split()[0]) for file in threads) / 1e9

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + START_TIMEOUT_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"Envoy did not start:\n{self.log()}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            return self.admin("/ready").startswith("LIVE")
        except (OSError, urllib.error.URLError):
            return False
