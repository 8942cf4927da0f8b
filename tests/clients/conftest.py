"""Fixtures: one provider, server and Envoy for each test process; a client program for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..harness.envoy import Envoy
from .browser import REDIRECT_URI, Browser
from .kinds import Kind
from .program import Program
from .setting import Setting, setting

Start = Callable[..., Program]


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    """Everything around the clients."""
    with setting(tmp_path_factory.mktemp("clients")) as everything:
        yield everything


@pytest.fixture
def around(running: Setting) -> Setting:
    """Everything around the client, with nothing noted."""
    running.reset()
    return running


@pytest.fixture
def envoy(running: Setting) -> Envoy:
    """The Envoy in front of the server."""
    return running.envoy


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A new browser."""
    fresh = Browser()
    yield fresh
    fresh.close()


@pytest.fixture
def start(around: Setting, envoy: Envoy, browser: Browser, tmp_path: Path) -> Iterator[Start]:
    """Start a client program; it is not connected yet."""
    started: list[Program] = []

    def run(kind: Kind, resource: str = "crm", **options: str) -> Program:
        common = {"url": around.urls[resource], "issuer": around.provider.issuer, "redirect_uri": REDIRECT_URI}
        started.append(Program(kind, {**common, **options}, browser, tmp_path / f"{len(started)}.log"))
        return started[-1]

    yield run
    for program in started:
        program.close()
