"""`mcp-auth`, built from this tree."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

from .envoy import ROOT


@functools.cache
def command() -> Path:
    """The program."""
    subprocess.run(["cargo", "build", "--locked", "--quiet", "-p", "mcp-auth-cli"], cwd=ROOT, check=True)
    return ROOT / "target" / "debug" / "mcp-auth"


def mcp_auth(*arguments: str, directory: Path, status: int = 0) -> str:
    """What it prints."""
    ran = subprocess.run(
        [str(command()), *arguments], cwd=directory, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == status, ran.stdout + ran.stderr
    return ran.stdout
