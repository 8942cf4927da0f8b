"""Fixtures: one stage for each test process, two Envoys for each module, people for each test.

A test module names its sites in `SITES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from .browser import Person
from .replicas import Replicas, replicas
from .stage import Stage, stage


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """All parts around the filter."""
    with stage(tmp_path_factory.mktemp("layers")) as running:
        yield running


@pytest.fixture
def around(everything: Stage) -> Stage:
    """All parts around the filter, with nothing noted or stored."""
    everything.reset()
    return everything


@pytest.fixture(scope="module")
def pair(
    request: pytest.FixtureRequest, everything: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replicas]:
    """The module's replicas."""
    directory = tmp_path_factory.mktemp(request.module.__name__.rpartition(".")[2])
    with replicas(directory, everything, request.module.SITES) as running:
        yield running


@pytest.fixture
def person(everything: Stage) -> Iterator[Callable[..., Person]]:
    """Somebody new at a browser of their own; options are Playwright's."""
    came: list[Person] = []

    def come(**options: object) -> Person:
        came.append(everything.browser.person(**options))
        return came[-1]

    yield come
    for each in came:
        each.close()
