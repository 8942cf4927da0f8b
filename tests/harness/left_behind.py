"""Finds processes that outlive the test process which started them."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from .waiting import eventually

PROC = Path("/proc")

# Every process that the tests start inherits this variable, also through other processes.
VARIABLE = "MCP_AUTH_TEST_PROCESS"


def mark() -> str:
    """Mark everything that this process starts from now on."""
    os.environ[VARIABLE] = uuid.uuid4().hex
    return os.environ[VARIABLE]


def check_none(mark: str) -> None:
    """No marked process is left. Without /proc (outside Linux) nothing is checked."""
    eventually(lambda: not marked(mark), "no process is left behind, but there is", lambda: marked(mark))


def marked(mark: str) -> list[str]:
    """The marked processes that run, by their ids and commands."""
    text = f"{VARIABLE}={mark}".encode()
    others = [each for each in PROC.glob("[0-9]*") if each.name != str(os.getpid())]
    return [_command(each) for each in others if text in _read(each / "environ").split(b"\0")]


def _command(process: Path) -> str:
    return f"{process.name}: {_read(process / 'cmdline').replace(bytes(1), b' ').decode(errors='replace')}"


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        # The process has ended, or belongs to another user.
        return b""
