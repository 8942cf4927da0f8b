"""What a run needs: the fixture server in two manners, and Envoy with the filter before each."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.stack import free_ports

from ..harness import tokens
from ..harness.envoy import ROOT, Envoy
from ..harness.envoy_config import Cluster, Config, Listener
from ..harness.policy import Policy, policy

SERVER = ROOT / "target/conformance/debug/conformance-server"
HEADER_MUTATION = (
    "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
)

EVERYTHING = {"tools": ["*"], "prompts": ["*"], "resources": ["*"]}

# The fixture tool with an argument that is mirrored in a header.
MIRRORING = {"test_custom_header": {"param_headers": {"region": "Region"}}}


@dataclass(frozen=True)
class Pair:
    """The URL of a server, and that of the filter before one like it."""

    direct: str
    filtered: str


@dataclass(frozen=True)
class Setting:
    """A server that compares mirrored headers with the body, and one that does not."""

    comparing: Pair
    believing: Pair


@contextmanager
def setting(directory: Path) -> Iterator[Setting]:
    """Everything running; at the end, Envoy must have come through it well."""
    with ExitStack() as stack:
        # One for each side: what one run announces, the other must not hear.
        ports = {
            "direct": stack.enter_context(_server()),
            "comparing": stack.enter_context(_server()),
            "believing": stack.enter_context(_server("--believe-body")),
        }
        envoy = stack.enter_context(_envoy(directory, ports))
        yield Setting(
            Pair(_url(ports["direct"]), _url(envoy.ports["comparing"])),
            Pair(_url(ports["believing"]), _url(envoy.ports["believing"])),
        )


def allow_everything(resource: str) -> Policy:
    """A policy under which nothing may be noticed of the filter."""
    return policy(
        resource=resource,
        roles={"*": EVERYTHING},
        arguments={},
        builtin_arguments=False,
        tools=MIRRORING,
    )


@contextmanager
def _envoy(directory: Path, ports: dict[str, int]) -> Iterator[Envoy]:
    guarded = ("comparing", "believing")
    pairs = zip(guarded, free_ports(len(guarded)), strict=True)
    listeners = {name: _listener(name, port) for name, port in pairs}
    clusters = {name: Cluster(ports[name]) for name in guarded}
    with Envoy(directory, listeners, clusters).checked() as envoy:
        yield envoy


def _listener(cluster: str, port: int) -> Listener:
    """The suite sends no headers of ours, so a filter before ours signs it in."""
    resource = _url(port)
    sign_in = _adds_header("authorization", f"Bearer {tokens.token(aud=resource)}")
    return Listener(allow_everything(resource), cluster, port=port, before=(sign_in,))


def _adds_header(name: str, value: str) -> Config:
    mutation = {"append": {"header": {"key": name, "value": value}}}
    typed = {"@type": HEADER_MUTATION, "mutations": {"request_mutations": [mutation]}}
    return {"name": "envoy.filters.http.header_mutation", "typed_config": typed}


@contextmanager
def _server(*options: str) -> Iterator[int]:
    """A server process, and its port."""
    with subprocess.Popen([SERVER, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}/mcp"
