"""An MCP server that knows nothing later than the legacy protocol, in a process of its own."""

from __future__ import annotations

from pathlib import Path

from ..harness.process import ServerProcess
from .kinds import HERE, OTHER_PYTHON


def old_server(log: Path) -> ServerProcess:
    """A server on the first line of the Python SDK."""
    return ServerProcess(OTHER_PYTHON, HERE / "python/server_v1.py", log=log)
