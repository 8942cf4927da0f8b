"""The clients: which SDK, which version of it, and which protocol it is to speak."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..harness.messages import LEGACY, MODERN
from ..harness.process import NODE

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

# The first line of the Python SDK cannot be installed beside the second.
OTHER_PYTHON = str(ROOT / ".clients/python-v1/bin/python")


@dataclass(frozen=True)
class Kind:
    """A client program, and the protocol version it ends up with."""

    name: str
    package: str
    protocol: str
    command: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)


def _python(line: str) -> str:
    return str(HERE / f"python/python_{line}.py")


def _typescript(line: str) -> str:
    return str(HERE / f"node/typescript-{line}.js")


# The two with limits of their own.
PYTHON_V1 = "python-v1"
TYPESCRIPT_V1 = "typescript-v1"
# The one on the newest of everything in Python.
PYTHON_V2 = "python-v2"

_V1 = "mcp 1.30.0"
_V2 = "mcp 2.3.0"
_TS1 = "@modelcontextprotocol/sdk 1.32.2"
_TS2 = "@modelcontextprotocol/client 2.4.0"

_DPOP = (NODE, str(HERE / "node/bound.js"))

# `auto` finds out what the server speaks before it settles on a version.
KINDS = [
    Kind(PYTHON_V1, _V1, LEGACY, (OTHER_PYTHON, _python("v1"))),
    Kind("python-v2-legacy", _V2, LEGACY, (sys.executable, _python("v2")), {"mode": "legacy"}),
    Kind(PYTHON_V2, _V2, MODERN, (sys.executable, _python("v2")), {"mode": "auto"}),
    Kind(TYPESCRIPT_V1, _TS1, LEGACY, (NODE, _typescript("v1"))),
    Kind("typescript-v2-legacy", _TS2, LEGACY, (NODE, _typescript("v2")), {"mode": "legacy"}),
    Kind("typescript-v2", _TS2, MODERN, (NODE, _typescript("v2")), {"mode": "auto"}),
]

# The official SDKs know no DPoP; a library that does makes the proofs for this one.
BOUND_KINDS = [
    Kind("dpop-legacy", _TS2, LEGACY, _DPOP, {"mode": "legacy"}),
    Kind("dpop", _TS2, MODERN, _DPOP, {"mode": "auto"}),
]
