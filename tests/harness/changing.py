"""A policy in a file, which changes while Envoy runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import client, tokens
from .envoy import Envoy, binary
from .envoy_config import Cluster, Listener
from .http import Response
from .messages import LEGACY, call, post
from .waiting import eventually


class Changing:
    """An Envoy that reads its filter from a file."""

    def __init__(self, envoy: Envoy, listener: Listener, name: str = "crm") -> None:
        self.envoy, self.listener = envoy, listener
        self.port = envoy.ports[name]

    def change(self, to: Any) -> None:
        """Put another policy into the file."""
        self.envoy.change(self.listener, to)

    def ask(self, tool: str) -> Response:
        """A call of a tool."""
        return client.send(self.port, post(call(LEGACY, tool), tokens.support()))

    def may(self, tool: str) -> bool:
        """Whether a new request may use a tool."""
        response = self.ask(tool)
        assert response.status == 200, response
        return "result" in response.rpc()

    def changes_to(self, to: Any, tool: str) -> None:
        """Change the policy, and wait until it allows a tool."""
        self.change(to)
        self.wait_to_allow(tool)

    def wait_to_allow(self, tool: str) -> None:
        """Wait until the policy allows a tool."""
        eventually(lambda: self.may(tool), f"the policy allows {tool}")

    def wait_for_updates(self, outcome: str, count: int = 1) -> None:
        """Wait until Envoy took, or rejected, what was in the file this often."""
        updates = lambda: self.updates(outcome)  # noqa: E731
        eventually(lambda: updates() == count, f"{count} updates with the outcome {outcome}, but there are", updates)

    def updates(self, outcome: str) -> int:
        """How often Envoy took, or rejected, what was in the file."""
        pattern = rf"config_discovery\.http_filter\.mcp_auth\.update_{outcome}$"
        return sum(self.envoy.stats(pattern).values())

    def accepts(self, policy: Any) -> None:
        """Put a policy into the file that is loaded."""
        accepted = self.updates("success")
        self.change(policy)
        self.wait_for_updates("success", accepted + 1)

    def refuses(self, policy: Any) -> str:
        """Put a policy into the file that is not loaded; what Envoy logs about it."""
        rejected, before = self.updates("rejected"), len(self.envoy.log())
        self.envoy.refused_policies += 1
        self.change(policy)
        self.wait_for_updates("rejected", rejected + 1)
        return self.envoy.log()[before:]

    def virtual_machines(self) -> int:
        """How many VMs Envoy has, for old and new policies."""
        return sum(self.envoy.stats(r"^wasm\.envoy\.wasm\.runtime\.v8\.active$").values())

    def wait_for_virtual_machines(self, most: int) -> None:
        """Wait until those of old policies are gone."""
        expected = f"at most {most} virtual machines are left, but there are"
        eventually(lambda: self.virtual_machines() <= most, expected, self.virtual_machines)


@contextmanager
def running(
    directory: Path, clusters: dict[str, Cluster], version: str | None, first: Any, concurrency: int = 1
) -> Iterator[Changing]:
    """Envoy with a policy in a file."""
    listener = Listener(first, file=directory / "mcp_auth.json")
    with Envoy(directory, {"crm": listener}, clusters, binary(version), concurrency).checked() as envoy:
        yield Changing(envoy, listener)
