"""An MCP server that knows nothing later than the legacy protocol, in a process of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .kinds import HERE, OTHER_PYTHON


class OldServer:
    """A server on the first line of the Python SDK."""

    def __init__(self, log: Path) -> None:
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                [OTHER_PYTHON, str(HERE / "python/server_v1.py")],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        assert first, log.read_text()
        self.port = int(first)

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
