"""Two Envoys with the same configuration, each address of theirs behind one front."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from ..harness.envoy import Envoy, binary
from ..harness.envoy_config import Listener
from ..harness.waiting import eventually
from .front import Front
from .stage import Stage

NAMES = ("a", "b")

RECORD = re.compile(r'"record":(\{.*\})\}\n')


# An MCP server at an address of its own: what stands there, given the address. Clients of the filter's are
# registered here, where their redirect URIs are known.
Site = Callable[[Stage, str], Listener]


class Replicas:
    """Envoys by the names `a` and `b`; the sites are reached through their fronts."""

    def __init__(
        self,
        directory: Path,
        stage: Stage,
        sites: dict[str, Site],
        fronts: dict[str, Front],
        versions: dict[str, str],
    ) -> None:
        self.versions = versions
        self.directory, self.clusters, self.fronts = directory, stage.clusters(), fronts
        self.listeners = {name: site(stage, self.url(name)) for name, site in sites.items()}
        self.envoys: dict[str, Envoy] = {}
        self.placed: dict[str, dict[str, Listener]] = {}

    def url(self, site: str) -> str:
        """The one address of a site: the `resource` of its policy."""
        return f"{self.origin(site)}/mcp"

    def origin(self, site: str) -> str:
        """Where its other pages are."""
        return f"http://127.0.0.1:{self.fronts[site].port}"

    def start(self, name: str) -> None:
        """Start a replica (again)."""
        directory = self.directory / f"{name}{len(list(self.directory.glob(f'{name}*')))}"
        directory.mkdir()
        executable = binary(self.versions.get(name))
        # Each replica has its own files with filters.
        self.placed[name] = {site: each.placed(directory) for site, each in self.listeners.items()}
        self.envoys[name] = Envoy(directory, self.placed[name], self.clusters, executable)
        for site, front in self.fronts.items():
            front.ports[name] = self.envoys[name].ports[site]

    def kill(self, name: str) -> None:
        """A replica ends without notice."""
        self.envoys[name].check()
        process = self.envoys.pop(name).process
        process.kill()
        process.wait()

    def log(self) -> str:
        """What every replica logged that is still there."""
        return "".join(each.log() for each in self.envoys.values())

    def records(self) -> list[dict[str, Any]]:
        """The filter's record of each request so far."""
        written = "".join(each.access_path.read_text() for each in self.envoys.values())
        return [json.loads(line) for line in RECORD.findall(written)]

    @contextmanager
    def logs(self, reason: str) -> Iterator[list[dict[str, Any]]]:
        """What is done inside is logged with this reason; afterwards, the new records that are.

        Envoy logs a request after it was answered.
        """
        new: list[dict[str, Any]] = []
        before = len(self._with(reason))
        yield new
        expected = f"the reason {reason} is logged, but the last ones are"
        last = lambda: [each["reason"] for each in self.records()[-5:]]  # noqa: E731
        new += eventually(lambda: self._with(reason)[before:], expected, last)

    def _with(self, reason: str) -> list[dict[str, Any]]:
        return [each for each in self.records() if each["reason"] == reason]

    def check(self) -> None:
        """What must hold after any test."""
        for each in self.envoys.values():
            each.check()

    def stop(self) -> None:
        """End the processes."""
        for each in self.envoys.values():
            each.stop()


@contextmanager
def replicas(
    directory: Path, stage: Stage, sites: dict[str, Site], versions: dict[str, str] | None = None
) -> Iterator[Replicas]:
    """Start them, each in its version of Envoy, see whether they are well afterwards, and stop them."""
    with ExitStack() as stack:
        fronts = {name: stack.enter_context(closing(Front())) for name in sites}
        running = Replicas(directory, stage, sites, fronts, versions or {})
        stack.callback(running.stop)
        # Each takes seconds to compile the module.
        with ThreadPoolExecutor() as together:
            list(together.map(running.start, NAMES))
        yield running
        running.check()
