"""Fixtures: for each test module its server, and one Envoy with a listener for each policy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..harness.envoy import Envoy
from ..harness.envoy_config import Cluster, Listener
from .matrix import Field, Subject
from .policies import ALLOW_ALL, ALLOW_ALL_POLICY, STRICT


@pytest.fixture(scope="module")
def field(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """The module's server behind its Envoy."""
    subject: Subject = request.module.SUBJECT
    directory = tmp_path_factory.mktemp(subject.name)
    home = directory / "server"
    home.mkdir()
    subject.server.prepare(home)
    listeners = {
        ALLOW_ALL: Listener(ALLOW_ALL_POLICY, "server"),
        STRICT: Listener(subject.strict_policy(home), "server"),
    }
    with subject.server.running(home) as port:
        with Envoy(directory, listeners, {"server": Cluster(port)}).checked() as envoy:
            yield Field(subject, home, port, envoy)
