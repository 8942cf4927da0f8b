"""Fixtures: one recording server and key server for each test process, one Envoy for each module.

A test module names its listeners in `LISTENERS`; the first one is what `gateway` talks to. With
`OFFICIAL_SERVERS`, it has servers on the official SDK beside the recording one.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .harness import left_behind, logs_shown
from .harness.changing import Changing
from .harness.envoy import Envoy
from .harness.envoy_config import Cluster, Listener
from .harness.gateway import Gateway
from .harness.handles import HandleGateway
from .harness.introspection import Introspection
from .harness.issuer import Issuer
from .harness.mcp_server import McpServer
from .harness.upstream import Upstream


@pytest.fixture(scope="session")
def upstream_server() -> Iterator[Upstream]:
    """The recording server."""
    server = Upstream()
    yield server
    server.close()


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    """The key server."""
    server = Issuer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def introspection() -> Iterator[Introspection]:
    """The introspection endpoint."""
    server = Introspection()
    yield server
    server.close()


@pytest.fixture(scope="session")
def clusters(
    upstream_server: Upstream, issuer: Issuer, introspection: Introspection
) -> Iterator[dict[str, Cluster]]:
    """Where Envoy may connect to."""
    with socket.socket() as dead:
        # Bound and not listening: connections are refused, and no other program gets the port.
        dead.bind(("127.0.0.1", 0))
        yield {
            "upstream": Cluster(upstream_server.port),
            "upstream_h2": Cluster(upstream_server.port, http2=True),
            "issuer": Cluster(issuer.port),
            "introspection": Cluster(introspection.port),
            "dead": Cluster(dead.getsockname()[1]),
        }


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, McpServer]]:
    """A server on the official SDK for each response style."""
    running = {"json": McpServer(json_response=True), "events": McpServer(json_response=False)}
    yield running
    for server in running.values():
        server.close()


@pytest.fixture
def server(servers: dict[str, McpServer], style: str) -> McpServer:
    """The server of this style, with nothing noted."""
    servers[style].reset()
    return servers[style]


@pytest.fixture(scope="module")
def official(request: pytest.FixtureRequest) -> dict[str, Cluster]:
    """Where these servers are, for modules that want them."""
    if not getattr(request.module, "OFFICIAL_SERVERS", False):
        return {}
    running: dict[str, McpServer] = request.getfixturevalue("servers")
    return {f"{style}_server": Cluster(server.port) for style, server in running.items()}


@pytest.fixture(scope="module")
def envoy(
    request: pytest.FixtureRequest,
    clusters: dict[str, Cluster],
    official: dict[str, Cluster],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Envoy]:
    """The module's Envoy, with the listeners the module names."""
    directory = tmp_path_factory.mktemp(request.module.__name__.rpartition(".")[2])
    prepare: Callable[[], None] | None = getattr(request.module, "prepare", None)
    if prepare is not None:
        prepare()
    listeners: dict[str, Listener] = request.module.LISTENERS
    running = Envoy(
        directory,
        {name: each.placed(directory) for name, each in listeners.items()},
        {**clusters, **official, **getattr(request.module, "CLUSTERS", {})},
        concurrency=getattr(request.module, "CONCURRENCY", 1),
    )
    with running.checked():
        yield running


@pytest.fixture
def upstream(upstream_server: Upstream) -> Upstream:
    """The recording server, as if new."""
    upstream_server.reset()
    return upstream_server


@pytest.fixture
def through(envoy: Envoy, upstream: Upstream) -> Callable[[str], Gateway]:
    """Any listener of the module by its name."""
    return lambda name: Gateway(envoy, name, upstream)


@pytest.fixture
def sealed(envoy: Envoy, upstream: Upstream) -> Callable[[str], HandleGateway]:
    """Any listener of the module, and no handle of the server's own may come out of it."""
    return lambda name: HandleGateway(envoy, name, upstream)


@pytest.fixture
def changing(envoy: Envoy, upstream: Upstream) -> Changing:
    """The module's listener `changing`, whose policy is in a file."""
    return Changing(envoy, envoy.listeners["changing"], "changing")


@pytest.fixture
def gateway(
    request: pytest.FixtureRequest, through: Callable[[str], Gateway]
) -> Gateway:
    """The module's first listener."""
    return through(next(iter(request.module.LISTENERS)))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory for an Envoy of the test's own."""
    return tmp_path


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left() -> Iterator[None]:
    """What the tests start ends with them. Set up first, so that it is checked last."""
    mark = left_behind.mark()
    yield
    left_behind.check_none(mark)


def pytest_runtest_setup() -> None:
    """The logs to show begin with this test."""
    logs_shown.forget_ended()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """A failed test shows the log of every Envoy that ran during it."""
    report = yield
    if report.failed:
        report.sections += logs_shown.sections()
    return report
