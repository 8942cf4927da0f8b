"""Fixtures: one stage for each test process, two Envoys for each module, people for each test.

A test module names its sites in `SITES`, and in `VERSIONS` the replicas with another version of Envoy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from .assistant import MODERN, Answer, Assistant
from .browser import Person
from .providers import SCOPE
from .replicas import Replicas, replicas
from .sign_in import Client
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
    versions = getattr(request.module, "VERSIONS", None)
    with replicas(directory, everything, request.module.SITES, versions) as running:
        yield running


@pytest.fixture
def person(everything: Stage) -> Iterator[Callable[..., Person]]:
    """A new user with a separate browser; options are Playwright's."""
    came: list[Person] = []

    def come(**options: object) -> Person:
        came.append(everything.browser.person(**options))
        return came[-1]

    yield come
    for each in came:
        each.close()


@pytest.fixture
def token(around: Stage, pair: Replicas, person: Callable[..., Person]) -> Callable[..., str]:
    """A token for a site, from a sign-in of its own: in a new browser, with a new client, unless they are named."""

    def sign_in(
        user: str, site: str = "notes", at: Person | None = None, client: Client | None = None
    ) -> str:
        asked = {"scope": f"openid {SCOPE}", "resource": pair.url(site)}
        client = client or around.client(around.login)
        return client.tokens(at or person(), user, **asked)["access_token"]

    return sign_in


@pytest.fixture
def assistant(pair: Replicas, token: Callable[..., str]) -> Iterator[Callable[..., Assistant]]:
    """A client at a site: signed in as this user, or with this token."""
    with ExitStack() as stack:

        def start(
            user: str,
            site: str = "notes",
            mode: str = MODERN,
            with_token: str | None = None,
            answer: Answer | None = None,
        ) -> Assistant:
            started = Assistant(pair.fronts[site].port, with_token or token(user, site), mode, answer)
            return stack.enter_context(closing(started))

        yield start
